package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/edgehold/edgehold/cmd/internal/e2e/port"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

func TestGatewayExampleIsACompleteConfiguration(t *testing.T) {
	text, err := yaml.Marshal(exampleGateway())
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(reflect.TypeFor[gatewayConfig](), "") {
		if strings.HasPrefix(key, "mqtt.broker.") || strings.HasPrefix(key, "mqtt.users") {
			continue // instead of the embedded broker; a list
		}
		at := any(tree)
		for step := range strings.SplitSeq(key, ".") {
			below, _ := at.(map[string]any)
			at = below[step]
		}
		if at == nil {
			t.Errorf("the example lacks %s", key)
		}
	}
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadGatewayConfig(file, nil); err != nil {
		t.Error(err)
	}
}

func TestGatewayReadmeExplainsEveryKey(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| key of the gateway | default | what it is |")
	table, _, _ = strings.Cut(table, "\n\n")
	got, want := keysInTable(table), keys(reflect.TypeFor[gatewayConfig](), "")
	for _, key := range want {
		if !slices.Contains(got, key) {
			t.Errorf("README.md does not explain %s", key)
		}
	}
	for _, key := range got {
		if !slices.Contains(want, key) {
			t.Errorf("README.md explains %s, which is no key", key)
		}
	}
}

// keysInTable are the words in backquotes of a table's first column.
func keysInTable(table string) (all []string) {
	for line := range strings.Lines(table) {
		columns := strings.Split(line, "|")
		if len(columns) < 2 {
			continue
		}
		for i, word := range strings.Split(columns[1], "`") {
			if i%2 == 1 {
				all = append(all, word)
			}
		}
	}
	return all
}

func TestGatewayConfigurationIsChecked(t *testing.T) {
	for name, row := range map[string]struct {
		set []string
		key string
	}{
		"no address":                              {[]string{"lwm2m.udp=[]", "lwm2m.dtls=none"}, "lwm2m"},
		"no port":                                 {[]string{"lwm2m.udp=[localhost]"}, "lwm2m.udp"},
		"an unknown key":                          {[]string{"lwm2m.port=5683"}, "configuration"},
		"a certificate alone":                     {[]string{"lwm2m.certificate=/a"}, "lwm2m.certificate"},
		"TLS without certificate":                 {[]string{"lwm2m.tls=[':5684']"}, "lwm2m.tls"},
		"a pattern that is none":                  {[]string{"lwm2m.nosec=['[']"}, "lwm2m.nosec"},
		"two brokers":                             {[]string{"mqtt.listen=['unix:///tmp/x']", "mqtt.broker.address=mqtt://x:1883"}, "mqtt.broker"},
		"a network for everybody":                 {[]string{"mqtt.listen=['mqtt://:1883']"}, "mqtt.users"},
		"mqtts without certificate":               {[]string{"mqtt.listen=['mqtts://:8883']", "mqtt.users=[{name: a}]"}, "mqtt.listen"},
		"an address of no known form":             {[]string{"mqtt.listen=['http://x']"}, "mqtt.listen"},
		"values of another kind":                  {[]string{"mqtt.values=numbers"}, "mqtt.values"},
		"metrics for the network":                 {[]string{"metrics.listen=0.0.0.0:9465"}, "metrics.listen"},
		"a bootstrap server that knows not where": {[]string{"bootstrap.dtls=':5784'"}, "bootstrap.server"},
	} {
		_, err := loadGatewayConfig("", row.set)
		if err == nil || !strings.Contains(err.Error(), row.key+" ") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(hints(err)) == 0 {
			t.Errorf("%s: %v has no hint", name, err)
		}
	}
}

func TestGatewayCheckReadsEveryFile(t *testing.T) {
	c := gatewayCheckCommand()
	c.SetOut(io.Discard)
	files := map[string]string{"lwm2m.credentials": "/no/credentials", "lwm2m.models": "/no/models", "lwm2m.certificate": "/no/certificate", "mqtt.certificate": "/no/other", "mqtt.client_ca": "/no/ca"}
	args := []string{"--set", "packages.keys=[/no/key]", "--set", "lwm2m.key=/no/x", "--set", "lwm2m.client_ca=/no/x", "--set", "mqtt.key=/no/x"}
	for key, file := range files {
		args = append(args, "--set", key+"="+file)
	}
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.Execute()
	if err == nil {
		t.Fatal("files that are not there are fine")
	}
	for _, file := range []string{"/no/credentials", "/no/models", "/no/certificate", "/no/other", "/no/key"} {
		if !strings.Contains(err.Error(), file) {
			t.Errorf("nothing is said of %s: %v", file, err)
		}
	}
}

// Who can't listen says why, and what to do.
func TestGatewayThatCannotListen(t *testing.T) {
	dir := t.TempDir()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket, err := net.Listen("unix", filepath.Join(dir, "mqtt.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, row := range map[string]struct{ set, why, hint string }{
		"UDP in use":        {"lwm2m.udp=['" + udp.LocalAddr().String() + "']", "in use", "ss -l"},
		"DTLS in use":       {"lwm2m.dtls=" + udp.LocalAddr().String(), "in use", "ss -l"},
		"TCP in use":        {"lwm2m.tcp=['" + tcp.Addr().String() + "']", "in use", "ss -l"},
		"metrics in use":    {"metrics.listen=" + tcp.Addr().String(), "in use", "ss -l"},
		"socket in use":     {"mqtt.listen=['unix://" + socket.Addr().String() + "']", "in use", "ss -l"},
		"another machine's": {"lwm2m.dtls=192.0.2.1:5684", "cannot assign", "ip address"},
		"no such port":      {"lwm2m.dtls=127.0.0.1:99999", "invalid port", "HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := loadGatewayConfig("", []string{
				"state_directory=" + t.TempDir(), "lwm2m.udp=['127.0.0.1:0']", "lwm2m.dtls=none", "mqtt.listen=['unix://" + filepath.Join(dir, "free.sock") + "']", row.set,
			})
			if err != nil {
				t.Fatal(err)
			}
			err = runGateway(t.Context(), config, slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err == nil || !strings.Contains(err.Error(), row.why) {
				t.Fatalf("got %v", err)
			}
			if all := strings.Join(hints(err), "\n"); !strings.Contains(all, row.hint) {
				t.Errorf("%v: it says to do %q", err, all)
			}
		})
	}
}

func TestGatewayOfAnUnknownKeyNamesItsOwnExample(t *testing.T) {
	_, err := loadGatewayConfig("", []string{"lwm2m.port=5683"})
	if got := hints(err); len(got) != 1 || !strings.Contains(got[0], "`edgeholdd gateway example`") {
		t.Errorf("it says to do %q", got)
	}
}

const patience = 20 * time.Second

func startGateway(t *testing.T, config gatewayConfig) func() {
	t.Helper()
	config.setDefaults()
	if err := config.validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runGateway(ctx, config, slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the gateway: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestGatewayOverDTLS runs the whole: a device with a key, MQTT over the unix socket, metrics, and a restart after which the
// device goes on within its security association.
func TestGatewayOverDTLS(t *testing.T) {
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials.yaml")
	if err := os.WriteFile(credentials, []byte("devices: [{endpoint: sensor-1, psk: {key: 00112233445566778899aabbccddeeff}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := gatewayConfig{
		StateDirectory: filepath.Join(dir, "state"),
		LwM2M:          gatewayLwM2M{UDP: []string{}, DTLS: port.Address(t), Credentials: credentials},
		MQTT:           gatewayMQTT{Listen: []string{"unix://" + filepath.Join(dir, "mqtt.sock")}},
		Metrics:        gatewayMonitoring{Listen: port.Address(t)},
	}
	stop := startGateway(t, config)
	runSensor(t, client.Account{URI: "coaps://" + config.LwM2M.DTLS, Mode: client.PSK, Identity: "sensor-1", Key: "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"})
	first := readThrough(t, config.MQTT.Listen[0])
	exposed := get(t, "http://"+config.Metrics.Listen+"/metrics")
	for _, line := range []string{"edgehold_gateway_devices 1\n", "edgehold_gateway_announced_total ", "edgehold_gateway_coap_requests_total ", "edgehold_gateway_coap_retransmissions_total ", "edgehold_gateway_dtls_handshakes_total 1\n"} {
		if !strings.Contains(exposed, line) {
			t.Errorf("the metrics lack %q", line)
		}
	}
	stop()
	startGateway(t, config)
	second := readThrough(t, config.MQTT.Listen[0])
	if first.Epoch != second.Epoch {
		t.Error("the device has registered again after the restart")
	}
	if exposed := get(t, "http://"+config.Metrics.Listen+"/metrics"); !strings.Contains(exposed, "edgehold_gateway_dtls_handshakes_total 0\n") {
		t.Error("the device has shaken hands again after the restart")
	}
}

// TestGatewayBootstraps has a device that knows only the bootstrap server come to the gateway, and lose its place when its key
// is taken out of the file.
func TestGatewayBootstraps(t *testing.T) {
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials.yaml")
	if err := os.WriteFile(credentials, []byte("devices: [{endpoint: sensor-1, psk: {key: 00112233445566778899aabbccddeeff}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := port.Address(t)
	config := gatewayConfig{
		StateDirectory: filepath.Join(dir, "state"),
		LwM2M:          gatewayLwM2M{UDP: []string{}, DTLS: address, Credentials: credentials},
		MQTT:           gatewayMQTT{Listen: []string{"unix://" + filepath.Join(dir, "mqtt.sock")}},
		Bootstrap:      gatewayBootstrap{DTLS: port.Address(t), Server: "coaps://" + address},
	}
	startGateway(t, config)
	value := client.NewTable(client.Definition{ID: 3303, Multiple: true, Resources: []client.Resource{
		{ID: 5700, Name: "Sensor Value", Kind: lwm2m.KindFloat, Operations: client.Readable, Mandatory: true},
	}}, client.Rules{})
	if err := value.Fill(lwm2m.Tree{{Path: lwm2m.PathOf(3303, 0)}, {Path: lwm2m.PathOf(3303, 0, 5700), Value: lwm2m.Float(20.5)}}); err != nil {
		t.Fatal(err)
	}
	device, err := client.New(client.Config{
		Endpoint: "sensor-1", Objects: []client.Object{machine.NewDevice(machine.DeviceConfig{}), struct{ client.Object }{value}}, Stay: true, // bootstrap deletes what can be
		Accounts: []client.Account{{URI: "coaps://" + config.Bootstrap.DTLS, Bootstrap: true, Mode: client.PSK, Identity: "sensor-1", Key: "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"}},
		Network:  &client.Internet{Local: "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- device.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	readThrough(t, config.MQTT.Listen[0])

	gone := farewells(t, config.MQTT.Listen[0])
	if err := os.WriteFile(credentials, []byte("devices: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case f := <-gone:
		if f.Thing != "sensor-1" || f.Reason != "removed" {
			t.Errorf("%+v", f)
		}
	case <-time.After(patience):
		t.Error("a device whose key is gone is still there")
	}
}

// TestGatewayRemovesWhoMayNotBeThere: a name that needs a credential now, while the gateway runs, and a key that was taken out while it did not.
func TestGatewayRemovesWhoMayNotBeThere(t *testing.T) {
	t.Run("keys alone", func(t *testing.T) { removesWhoMayNotBeThere(t, false) })
	t.Run("certificates too", func(t *testing.T) { removesWhoMayNotBeThere(t, true) })
}

func removesWhoMayNotBeThere(t *testing.T, certificates bool) {
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nosec: [sensor-1]")
	config := gatewayConfig{
		StateDirectory: filepath.Join(dir, "state"),
		LwM2M:          gatewayLwM2M{UDP: []string{port.Address(t)}, DTLS: port.Address(t), Credentials: credentials},
		MQTT:           gatewayMQTT{Listen: []string{"unix://" + filepath.Join(dir, "mqtt.sock")}},
		Metrics:        gatewayMonitoring{Listen: port.Address(t)},
	}
	if certificates {
		l := &config.LwM2M
		l.Certificate, l.Key = certify(t, dir)
		l.ClientCA = l.Certificate
	}
	stop := startGateway(t, config)
	leave := runSensor(t, client.Account{URI: "coap://" + config.LwM2M.UDP[0], Mode: client.NoSec})
	readThrough(t, config.MQTT.Listen[0])
	gone := farewells(t, config.MQTT.Listen[0])
	write("devices: [{endpoint: sensor-1, psk: {key: 00112233445566778899aabbccddeeff}}]")
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("a device without security has the name of one that has a key")
	}
	leave()
	leave = runSensor(t, client.Account{URI: "coaps://" + config.LwM2M.DTLS, Mode: client.PSK, Identity: "sensor-1", Key: "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"})
	readThrough(t, config.MQTT.Listen[0])
	stop()
	leave()
	write("devices: []")
	startGateway(t, config)
	deadline := time.Now().Add(patience)
	for strings.Contains(metricsOf(config), "edgehold_gateway_devices 1\n") || metricsOf(config) == "" {
		if time.Now().After(deadline) {
			t.Fatal("a device whose key was taken out while the gateway did not run is still there")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// certify makes a certificate that vouches for itself.
func certify(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "gateway.crt"), filepath.Join(dir, "gateway.key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// runSensor is sensor-1 until leave.
func runSensor(t *testing.T, account client.Account) (leave func()) {
	t.Helper()
	value := client.NewTable(client.Definition{ID: 3303, Multiple: true, Resources: []client.Resource{
		{ID: 5700, Name: "Sensor Value", Kind: lwm2m.KindFloat, Operations: client.Readable, Mandatory: true},
	}}, client.Rules{})
	if err := value.Fill(lwm2m.Tree{{Path: lwm2m.PathOf(3303, 0)}, {Path: lwm2m.PathOf(3303, 0, 5700), Value: lwm2m.Float(20.5)}}); err != nil {
		t.Fatal(err)
	}
	account.Short, account.Lifetime = 1, time.Hour
	device, err := client.New(client.Config{
		Endpoint: "sensor-1", Objects: []client.Object{machine.NewDevice(machine.DeviceConfig{}), value}, Stay: true,
		Accounts: []client.Account{account}, Network: &client.Internet{Local: "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = device.Run(ctx)
	}()
	leave = func() { cancel(); <-ended }
	t.Cleanup(leave)
	return leave
}

// metricsOf is what the gateway exposes, "" until it does.
func metricsOf(config gatewayConfig) string {
	r, err := http.Get("http://" + config.Metrics.Listen + "/metrics")
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// farewells hears who goes.
func farewells(t *testing.T, address string) <-chan *mqtt.Farewell {
	t.Helper()
	connection, err := mqtt.Dial(t.Context(), mqtt.DialConfig{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	c, err := mqtt.NewClient(t.Context(), connection, mqtt.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	gone := make(chan *mqtt.Farewell, 16)
	if _, err := c.Watch(t.Context(), mqtt.Watcher{Gone: func(f *mqtt.Farewell) { gone <- f }}); err != nil {
		t.Fatal(err)
	}
	return gone
}

// readThrough waits for the device's announcement and reads its temperature.
func readThrough(t *testing.T, address string) *mqtt.Announcement {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	connection, err := mqtt.Dial(ctx, mqtt.DialConfig{Address: address, Retry: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	c, err := mqtt.NewClient(ctx, connection, mqtt.ClientConfig{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	announced := make(chan *mqtt.Announcement, 16)
	stop, err := c.Watch(ctx, mqtt.Watcher{Announced: func(a *mqtt.Announcement) { announced <- a }})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	select {
	case a := <-announced:
		topic := mqtt.Topic{Thing: a.Thing, Object: "Temperature", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Sensor_Value"}
		r, err := c.Do(ctx, mqtt.Request{Topic: topic, Operation: mqtt.Get})
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := r.Objects.Property(topic); v != 20.5 {
			t.Errorf("the temperature is %v", v)
		}
		return a
	case <-ctx.Done():
		t.Fatal("the device is not announced")
		return nil
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
