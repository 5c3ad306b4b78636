package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is wrong is told at once, with what to do.
func TestProblems(t *testing.T) {
	key := write(t, "psk", strings.Repeat("0a", 16)+"\n", 0o600)
	open := write(t, "psk", strings.Repeat("0a", 16), 0o644)
	pub := write(t, "targets.pub", `{"ed25519_public":"`+hex.EncodeToString(make([]byte, 32))+`"}`, 0o644)
	good := []string{"--endpoint", "sensor-1", "--server", "coaps://gateway:5684", "--psk-key-file", key, "--trust-key", pub, "--state-dir", t.TempDir()}
	without := func(flag string, more ...string) []string {
		var all []string
		for i := 0; i < len(good); i += 2 {
			if good[i] != flag {
				all = append(all, good[i], good[i+1])
			}
		}
		return append(all, more...)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"good":            {good, 0, "device sensor-1 would register with coaps://gateway:5684 and take packages of 1 keys"},
		"no endpoint":     {without("--endpoint"), 1, "no endpoint name"},
		"no server":       {without("--server"), 1, "no server"},
		"no state":        {without("--state-dir"), 1, "no folder for its state"},
		"no key":          {without("--psk-key-file"), 1, "coaps:// needs a key"},
		"key of all":      {without("--psk-key-file", "--psk-key-file", open), 1, "chmod 600"},
		"key for coap":    {without("--server", "--server", "coap://gateway"), 1, "write coaps"},
		"another scheme":  {without("--server", "--server", "http://gateway"), 1, "write coap://, coaps://"},
		"no trusted key":  {without("--trust-key", "--trust-key", key), 1, "the trusted key psk"},
		"unknown flag":    {append(good, "--colour"), 2, "flag provided but not defined"},
		"an argument":     {append(good, "sensor-2"), 2, `"sensor-2" is no flag`},
		"log level":       {append(good, "--log-level", "loud"), 2, `"loud"`},
		"no such file":    {append(good, "--config", "/does/not/exist"), 1, "config.unreadable"},
		"port":            {without("--server", "--server", "coaps://gateway:99999"), 1, "from 1 to 65535"},
		"listen":          {append(good, "--listen", "5690"), 1, "write HOST:PORT"},
		"lifetime":        {append(good, "--lifetime", "-3s"), 1, "at least 1s"},
		"escapes":         {without("--endpoint", "--endpoint", "a\x1b[31m"), 1, "can't be shown"},
		"several at once": {without("--endpoint", "--server", "x"), 1, "no endpoint name"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), append([]string{"check"}, test.args...), &out, &errs)
			if all := out.String() + errs.String(); code != test.code || !strings.Contains(all, test.want) {
				t.Errorf("code %d, want %d; %s", code, test.code, all)
			}
		})
	}
}

func TestListenWhereSomebodyDoes(t *testing.T) {
	taken, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"run", "--endpoint", "sensor-1", "--server", "coap://127.0.0.1:5683", "--state-dir", t.TempDir(), "--listen", taken.LocalAddr().String()}, &out, &errs)
	if code != 1 || !strings.Contains(errs.String(), "in use") || !strings.Contains(errs.String(), "another address with --listen") {
		t.Errorf("code %d: %s", code, &errs)
	}
}

func TestFileAndFlags(t *testing.T) {
	file := write(t, "device.json", `{"endpoint": "from-file", "server": "coap://file:1", "sample_interval": "2s", "limits": {"deadline": "1s"}, "offer": {"knobs": ["TX_PWR"]}}`, 0o644)
	s, err := parse("run", []string{"--config", file, "--endpoint", "from-flag"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if s.Endpoint != "from-flag" || s.Server != "coap://file:1" || time.Duration(s.Sample) != 2*time.Second || time.Duration(s.Limits.Deadline) != time.Second || len(s.Offer.Knobs) != 1 {
		t.Errorf("got %+v", s)
	}
	for _, bad := range []string{`{"endpiont": "x"}`, `{`, `{"sample_interval": 5}`} {
		if _, err := parse("run", []string{"--config", write(t, "device.json", bad, 0o644)}, os.Stderr); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// What lets the device in at a broker is read when it starts, and not when the first value is lost.
func TestBrokers(t *testing.T) {
	secret, open, noCA := write(t, "password", "well met\n", 0o600), write(t, "password", "well met", 0o644), write(t, "ca.pem", "", 0o644)
	for name, test := range map[string]struct {
		brokers map[string]broker
		want    string
	}{
		"good":            {map[string]broker{"broker:8883": {User: "sensor-1", PasswordFile: secret, CA: systemCA}}, ""},
		"no port":         {map[string]broker{"broker": {}}, "HOST:PORT"},
		"password of all": {map[string]broker{"broker:1883": {User: "sensor-1", PasswordFile: open}}, "chmod 600"},
		"no certificate":  {map[string]broker{"broker:1883": {CA: noCA}}, "no certificate"},
		"no file":         {map[string]broker{"broker:1883": {CA: "/does/not/exist"}}, "no such file"},
	} {
		got, err := (&settings{Brokers: test.brokers}).brokers()
		if test.want == "" {
			if b := got["broker:8883"]; err != nil || b.User != "sensor-1" || b.Password != "well met" || b.Roots == nil {
				t.Errorf("%s: %+v, %v", name, b, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCommands(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
	}{"none": {nil, 2}, "help": {[]string{"help"}, 0}, "unknown": {[]string{"fly"}, 2}} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), test.args, &out, &errs); got != test.code {
			t.Errorf("%s: %d, %s%s", name, got, &out, &errs)
		}
	}
}

// signed is the example's workload as a parcel, and the file of the key that it is signed with.
func signed(t *testing.T) (packed []byte, keyFile string) {
	t.Helper()
	const example = "../../examples/07-temp-average"
	module, err := pluginstest.TinyGo(example)
	pluginstest.Need(t, err)
	module = pluginstest.Pack(t, example, module)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	seal, err := parcel.Seal(parcel.Statement{Name: "temp-average", Version: "1.0.0", Kind: "workload", Digest: sha256.Sum256(module),
		Length: uint64(len(module)), Counter: 1, Devices: "*"}, key)
	if err == nil {
		packed, err = parcel.Pack(seal, module)
	}
	if err != nil {
		t.Fatal(err)
	}
	return packed, write(t, "targets.pub", `{"ed25519_public":"`+hex.EncodeToString(key.Public().(ed25519.PublicKey))+`"}`, 0o644)
}

// patience is how long a test waits for what others bring about, on a machine that has other work.
const patience = time.Minute

// push brings the workload onto the device and starts it.
func push(t *testing.T, s *server.Server, packed []byte) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.Len() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not register")
		}
	}
	instance := lwm2m.PathOf(9, 1)
	_, err := s.Create(t.Context(), "sensor-1", instance, nil)
	if err == nil {
		err = s.Replace(t.Context(), "sensor-1", instance.Child(2), lwm2m.Tree{{Path: instance.Child(2), Value: lwm2m.Opaque(packed)}})
	}
	for _, resource := range []uint16{4, 10} {
		if err == nil {
			err = s.Execute(t.Context(), "sensor-1", instance.Child(resource), "")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What the program itself holds stays small, a running workload included; the pages of its own file are the kernel's to drop. RATIONALE.md
// has what is in it.
func TestResidentMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and waits until it has settled")
	}
	packed, key := signed(t)
	program := filepath.Join(t.TempDir(), "edgehold-device")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	u, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Transports: []coap.Transport{u}, Authorise: server.Bound("*")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	device := exec.Command(program, "run", "--endpoint", "sensor-1", "--server", "coap://"+u.Addresses()[0].String(), "--state-dir", t.TempDir(), "--simulate", "--sample", "1s", "--trust-key", key)
	if err := device.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = device.Process.Signal(syscall.SIGTERM)
		if err := device.Wait(); err != nil {
			t.Errorf("the device ends with %v", err)
		}
	}()
	push(t, s, packed)
	var own, file int
	small := func() bool { return own <= 6<<10 && own+file <= 12<<10 }
	for deadline := time.Now().Add(settles + 2*trimEvery); ; time.Sleep(time.Second) { // polled: another process settles
		own, file = field(t, device.Process.Pid, "RssAnon:"), field(t, device.Process.Pid, "RssFile:")
		if small() || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("%d KiB of its own, %d KiB of its file", own, file)
	if !small() {
		t.Errorf("%d KiB of its own, %d KiB of its file", own, file)
	}
}

// field reads a size in KiB from /proc/PID/status.
func field(t *testing.T, pid int, name string) int {
	t.Helper()
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 && words[0] == name {
			n, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", name)
	return 0
}
