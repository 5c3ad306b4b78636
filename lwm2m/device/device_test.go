package device

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// field is a server that devices register with.
type field struct {
	*server.Server
	t       *testing.T
	address string
}

func newField(t *testing.T) *field {
	t.Helper()
	u, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Transports: []coap.Transport{u}, Authorise: server.Bound("*"), Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	f := &field{Server: s, t: t, address: u.Addresses()[0].String()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func logger(t *testing.T) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func key() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
}

// config is a device in a folder of its own.
func (f *field) config(endpoint, dir string) Config {
	return Config{
		Endpoint: endpoint, StateDir: dir, Simulate: true, SampleInterval: 100 * time.Millisecond, Listen: "127.0.0.1:0", Stay: true, Logger: logger(f.t),
		TrustKeys: []ed25519.PublicKey{key().Public().(ed25519.PublicKey)},
		Limits:    Limits{Deadline: patience},
		Accounts:  []client.Account{{URI: "coap://" + f.address, Short: 1, Mode: client.NoSec, Lifetime: time.Hour}},
	}
}

// running starts a device and returns what stops it.
func (f *field) running(c Config) (d *Device, stop func()) {
	f.t.Helper()
	d, err := New(f.t.Context(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("run: %v", err)
		}
		if err := d.Close(); err != nil {
			f.t.Errorf("close: %v", err)
		}
	}
	f.t.Cleanup(stop)
	f.until("it registers", func() bool { _, ok := f.Device(c.Endpoint); return ok })
	return d, stop
}

// patience is how long a test waits for what others bring about, on a machine that has other work.
const patience = time.Minute

// until waits for what another goroutine brings about.
func (f *field) until(what string, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("it did not come to this: %s", what)
		}
	}
}

func (f *field) read(endpoint, path string) lwm2m.Value {
	f.t.Helper()
	p := lwm2m.MustParsePath(path)
	tree, err := f.Read(f.t.Context(), endpoint, p)
	if err != nil {
		f.t.Fatalf("read %s: %v", path, err)
	}
	v, ok := tree.Value(p)
	if !ok {
		f.t.Fatalf("read %s: %v", path, tree)
	}
	return v
}

func (f *field) write(endpoint, path string, v lwm2m.Value) {
	f.t.Helper()
	p := lwm2m.MustParsePath(path)
	if err := f.Replace(f.t.Context(), endpoint, p, lwm2m.Tree{{Path: p, Value: v}}); err != nil {
		f.t.Fatalf("write %s: %v", path, err)
	}
}

func (f *field) execute(endpoint, path string) {
	f.t.Helper()
	if err := f.Execute(f.t.Context(), endpoint, lwm2m.MustParsePath(path), ""); err != nil {
		f.t.Fatalf("execute %s: %v", path, err)
	}
}

// shell runs a command on object 19.
func (f *field) shell(endpoint, command string) string {
	f.t.Helper()
	f.write(endpoint, "/19/0/0/0", lwm2m.OpaqueString(command))
	return f.read(endpoint, "/19/0/0/1").Text()
}

// averagePackage is the example, signed.
func averagePackage(t *testing.T) []byte { return examplePackage(t, "../../examples/07-temp-average") }

// examplePackage is an example without the deadline that it asks for, which a machine that has other work may miss; its fuel bounds it.
func examplePackage(t *testing.T, example string) []byte {
	t.Helper()
	module, err := pluginstest.TinyGo(example)
	pluginstest.Need(t, err)
	m, err := wasmabi.ReadManifest(pluginstest.Pack(t, example, module))
	if err != nil {
		t.Fatal(err)
	}
	m.Limits.DeadlineMS = 0
	if module, err = plugins.Pack(module, m); err != nil {
		t.Fatal(err)
	}
	seal, err := parcel.Seal(parcel.Statement{Name: m.Name, Version: m.Version, Kind: m.Kind, Digest: sha256.Sum256(module),
		Length: uint64(len(module)), Counter: 1, Devices: "*"}, key())
	if err != nil {
		t.Fatal(err)
	}
	p, err := parcel.Pack(seal, module)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A device joins, gets a workload over the air step by step as D3.3 section 6.3.2 has it, reports its use, has its radio turned down, passes data to its neighbour, and
// goes on by itself after a restart.
func TestTheLifeOfADevice(t *testing.T) {
	p := averagePackage(t)
	f := newField(t)
	dir := t.TempDir()
	_, stop := f.running(f.config("sensor-1", dir))
	neighbour, _ := f.running(f.config("sensor-2", t.TempDir()))

	for path, want := range map[string]string{"/3/0/17": "tinyml", "/3303/0/5750": "simulated"} {
		if got := f.read("sensor-1", path).Text(); !strings.Contains(got, want) {
			t.Errorf("%s is %q", path, got)
		}
	}
	f.push("sensor-1", p)
	f.push("sensor-2", p)
	if got := f.read("sensor-1", "/9/1/0").Text(); got != "temp-average" {
		t.Errorf("the package is called %q", got)
	}

	t.Run("metrics", func(t *testing.T) {
		f.until("it has used the processor", func() bool { return f.read("sensor-1", "/35002/1/27211").Float() > 0 })
		if m := f.read("sensor-1", "/35002/1/27212").Integer(); m < 64<<10 || m > 256<<10 {
			t.Errorf("memory %d", m)
		}
		if object, instance := f.read("sensor-1", "/35002/1/27210").ObjectLink(); object != 9 || instance != 1 {
			t.Errorf("it is about %d:%d", object, instance)
		}
		if e := f.read("sensor-1", "/35002/1/27214").Text(); e != "" {
			t.Errorf("error %q", e)
		}
	})
	t.Run("knobs", func(t *testing.T) {
		before := f.read("sensor-1", "/4/0/2").Integer()
		if got := f.shell("sensor-1", "mlsysops knobs set TX_PWR LOW"); got != "TX_PWR | LOW\n" {
			t.Errorf("got %q", got)
		}
		if after := f.read("sensor-1", "/4/0/2").Integer(); after >= before {
			t.Errorf("the signal was %d dBm and is %d dBm", before, after)
		}
	})
	t.Run("a lease that nobody renews", func(t *testing.T) {
		if got := f.shell("sensor-1", "mlsysops knobs set TX_PWR MEDIUM 2s node-1"); got != "TX_PWR | MEDIUM\n" {
			t.Errorf("got %q", got)
		}
		f.until("it is back where a person set it", func() bool { return f.shell("sensor-1", "mlsysops knobs get TX_PWR") == "TX_PWR | LOW\n" })
		if got := f.shell("sensor-1", "mlsysops knobs renew TX_PWR MEDIUM 2s node-1"); !strings.HasPrefix(got, "error: ") {
			t.Errorf("the node is back, and renews %q", got)
		}
	})
	t.Run("routes", func(t *testing.T) {
		f.route("sensor-2", 0, "coap://endpoint1", "local://1/temp")
		f.route("sensor-1", 0, "local://1/temp_avg", "coap://"+neighbour.Addresses()[0]+"/endpoint1")
		f.until("values come to the neighbour", func() bool { return neighbour.router.Stats().Carried > 0 })
	})
	t.Run("restart", func(t *testing.T) {
		stop()
		carried := neighbour.router.Stats().Carried
		f.running(f.config("sensor-1", dir))
		f.until("the workload runs again", func() bool {
			active := lwm2m.MustParsePath("/9/1/12")
			tree, err := f.Read(t.Context(), "sensor-1", active) // nobody is there until it has registered anew
			v, _ := tree.Value(active)
			return err == nil && v.Boolean()
		})
		f.until("its values come to the neighbour again", func() bool { return neighbour.router.Stats().Carried > carried })
		if got := f.shell("sensor-1", "mlsysops knobs get TX_PWR"); got != "TX_PWR | HIGH\n" {
			t.Errorf("after a restart the knob is at %q", got)
		}
	})
	t.Run("removal", func(t *testing.T) {
		if err := f.Delete(t.Context(), "sensor-1", lwm2m.MustParsePath("/9/1")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(t.Context(), "sensor-1", lwm2m.MustParsePath("/35002/1")); err == nil {
			t.Error("it is measured still")
		}
	})
}

// A policy that runs on nodes comes over the air as it is, and tunes the radio of the device that it is on; over a restart it knows
// where it was.
func TestPolicyOnTheDevice(t *testing.T) {
	p := examplePackage(t, "../../examples/09-radio-power")
	f := newField(t)
	dir := t.TempDir()
	c := f.config("sensor-1", dir)
	c.Distance = 2
	_, stop := f.running(c)
	f.push("sensor-1", p)
	f.until("it turns the radio down", func() bool { return f.shell("sensor-1", "mlsysops knobs get TX_PWR") == "TX_PWR | MEDIUM\n" })
	if why := f.read("sensor-1", "/35002/1/27215").Text(); !strings.HasSuffix(why, "a step down; TX_PWR to MEDIUM for 2m0s") {
		t.Errorf("its last decision: %q", why)
	}
	if failure := f.read("sensor-1", "/35002/1/27214").Text(); failure != "" {
		t.Error(failure)
	}
	t.Logf("%v %% of a processor, %v bytes", f.read("sensor-1", "/35002/1/27211"), f.read("sensor-1", "/35002/1/27212"))
	stop()
	_, stop = f.running(c)
	var why string
	f.until("it decides again", func() bool {
		decision := lwm2m.MustParsePath("/35002/1/27215")
		tree, err := f.Read(t.Context(), "sensor-1", decision) // nobody is there until it has registered anew
		v, _ := tree.Value(decision)
		why = v.Text()
		return err == nil && why != ""
	})
	if !strings.Contains(why, "as it is; TX_PWR to MEDIUM") && !strings.Contains(why, "TX_PWR to LOW") { // anew it would only count good readings
		t.Errorf("after the restart: %q", why)
	}
	f.execute("sensor-1", "/9/1/11")
	if at := f.shell("sensor-1", "mlsysops knobs get TX_PWR"); at != "TX_PWR | HIGH\n" {
		t.Errorf("the policy is gone, and the knob is at %s", at)
	}
	stop()
}

// push brings a workload onto a device.
func (f *field) push(endpoint string, p []byte) {
	f.t.Helper()
	if _, err := f.Create(f.t.Context(), endpoint, lwm2m.MustParsePath("/9/1"), nil); err != nil {
		f.t.Fatalf("create: %v", err)
	}
	f.write(endpoint, "/9/1/2", lwm2m.Opaque(p))
	if s := f.read(endpoint, "/9/1/7").Integer(); s != 3 {
		f.t.Fatalf("after the package the state is %d: %s", s, f.read(endpoint, "/9/1/16"))
	}
	f.execute(endpoint, "/9/1/4")
	f.execute(endpoint, "/9/1/10")
	if !f.read(endpoint, "/9/1/12").Boolean() {
		f.t.Fatal("it is not active")
	}
}

func (f *field) route(endpoint string, id uint16, origin, destination string) {
	f.t.Helper()
	p := lwm2m.PathOf(35001, id)
	_, err := f.Create(f.t.Context(), endpoint, p, lwm2m.Tree{{Path: p.Child(27200), Value: lwm2m.String(origin)}, {Path: p.Child(27201), Value: lwm2m.String(destination)}})
	if err != nil {
		f.t.Fatalf("route %s to %s: %v", origin, destination, err)
	}
}

// A package comes by a URI as well, block by block from a CoAP server.
func TestPackageByURI(t *testing.T) {
	p := averagePackage(t)
	f := newField(t)
	f.running(f.config("sensor-1", t.TempDir()))
	depot := newDepot(t, p)
	if _, err := f.Create(t.Context(), "sensor-1", lwm2m.MustParsePath("/9/4"), nil); err != nil {
		t.Fatal(err)
	}
	f.write("sensor-1", "/9/4/3", lwm2m.String("coap://"+depot+"/packages/average"))
	f.until("it is delivered", func() bool { return f.read("sensor-1", "/9/4/7").Integer() == 3 })
	f.execute("sensor-1", "/9/4/4")
}

// newDepot serves one file.
func newDepot(t *testing.T, content []byte) (address string) {
	t.Helper()
	u, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	depotAt(t, u, content)
	return u.Addresses()[0].String()
}

func depotAt(t *testing.T, transport coap.Transport, content []byte) {
	t.Helper()
	e, err := coap.New(coap.Config{Transports: []coap.Transport{transport}, Limits: coap.Limits{PeerRate: -1, AddressRate: -1, Amplification: -1}, Handler: coap.HandlerFunc(
		func(_ context.Context, _ coap.Peer, request, response *coap.Message) {
			if request.Path() == "/packages/average" {
				response.Code, response.Payload = coap.Content, content
			}
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// Two processes with one folder would be one device twice.
func TestOneProcessForAFolder(t *testing.T) {
	c := Config{Endpoint: "sensor-1", StateDir: t.TempDir(), Accounts: []client.Account{{URI: "coap://127.0.0.1:9", Short: 1, Mode: client.NoSec, Lifetime: time.Hour}}}
	first, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := New(t.Context(), c); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v, %v", second, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfigTellsEveryProblem(t *testing.T) {
	err := (&Config{SampleInterval: -1, Offer: Offer{Knobs: []string{"["}}}).Validate()
	for _, part := range []string{"endpoint", "server", "folder", "pattern", "below zero"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
}
