package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/lwm2m/device/software"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/store"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/wasmabi"
)

// patience is how long a test waits for what takes milliseconds on a machine that has nothing else to do.
const patience = 2 * time.Minute

// running is something that runs until stop.
type running struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func start(t *testing.T, what string, run func(context.Context) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel}
	r.done.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", what, err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *running) stop() {
	r.cancel()
	r.done.Wait()
}

// bench is a gateway with all that belongs to it: a store on disk, a server on a socket, a broker.
type bench struct {
	t       *testing.T
	dir     string
	address string // of the server
	broker  *mqtt.Broker
	client  *mqtt.Client
	gateway *Gateway
	server  *server.Server
	parts   []*running
	ends    []func() // of connections
	store   *store.Store
	adjust  func(*Config)
	outside string // address of a broker elsewhere; empty: the one in broker
	log     *slog.Logger
}

func newBench(t *testing.T, adjust func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), address: "127.0.0.1:0", adjust: adjust, log: newBenchLog(t)}
	b.start()
	return b
}

func newBenchLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// start brings up what a process of the gateway has; after stop it is the next process.
func (b *bench) start() {
	b.t.Helper()
	s, _, err := store.Open(b.dir, store.Options{Window: time.Millisecond})
	b.must(err)
	b.store = s
	udp, err := coap.ListenUDP(b.t.Context(), coap.UDPConfig{Addresses: []string{b.address}})
	b.must(err)
	b.address = udp.Addresses()[0].String()
	b.server, err = server.New(server.Config{
		Transports: []coap.Transport{udp}, Authorise: server.Bound("sensor-*"), Store: s, FirstReads: FirstReads(), Logger: b.log,
	})
	b.must(err)
	b.broker, err = mqtt.NewBroker(mqtt.BrokerConfig{Logger: b.log})
	b.must(err)
	config := Config{Server: b.server, Bus: b.bus("gateway"), Facts: s.Bucket(store.Settings), Logger: b.log}
	b.must(s.Each(store.Settings, func(key, _ []byte) error {
		if endpoint, ok := Announced(key); ok {
			config.Left = append(config.Left, endpoint)
		}
		return nil
	}))
	if b.adjust != nil {
		b.adjust(&config)
	}
	b.gateway, err = New(config)
	b.must(err)
	b.run("store", s.Run)
	b.run("broker", b.broker.Run)
	b.run("gateway", b.gateway.Run)
	b.run("server", b.server.Run)
	b.client, err = mqtt.NewClient(b.t.Context(), b.bus("test"), mqtt.ClientConfig{Timeout: patience})
	b.must(err)
	b.t.Cleanup(b.stop)
}

// bus connects a part of the process that has a name.
func (b *bench) bus(name string) mqtt.Bus {
	if b.outside == "" {
		return b.broker.Bus(name)
	}
	c, err := mqtt.Dial(b.t.Context(), mqtt.DialConfig{Address: b.outside, Retry: true})
	b.must(err)
	b.ends = append(b.ends, c.Close)
	return c
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) run(what string, run func(context.Context) error) {
	b.parts = append(b.parts, start(b.t, what, run))
}

// stop ends the gateway's process.
func (b *bench) stop() {
	if b.store == nil {
		return
	}
	b.client.Close()
	for i := len(b.parts) - 1; i >= 0; i-- {
		b.parts[i].stop()
	}
	for _, end := range b.ends {
		end()
	}
	b.parts, b.ends = nil, nil
	b.must(b.store.Close())
	b.store = nil
}

// do asks over MQTT, by the topic that a person would type.
func (b *bench) do(operation mqtt.Operation, topic string, data any) *mqtt.Response {
	b.t.Helper()
	address, err := mqtt.ParseTopic(topic)
	b.must(err)
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	r, err := b.client.Do(ctx, mqtt.Request{Topic: address, Operation: operation, Data: data})
	if r == nil {
		b.t.Fatalf("%s %s: %v", operation, topic, err)
	}
	return r
}

// ask is do for what has to go well.
func (b *bench) ask(operation mqtt.Operation, topic string, data any) *mqtt.Response {
	b.t.Helper()
	r := b.do(operation, topic, data)
	if err := r.Err(); err != nil {
		b.t.Fatalf("%s %s: %v %+v", operation, topic, err, r.Error)
	}
	return r
}

// property reads one.
func (b *bench) property(topic string) any {
	b.t.Helper()
	address, err := mqtt.ParseTopic(topic)
	b.must(err)
	value, ok := b.ask(mqtt.Get, topic, nil).Objects.Property(address)
	if !ok {
		b.t.Fatalf("%s is not in the answer", topic)
	}
	return value
}

// announcements hears who comes and goes.
type announcements struct {
	come chan *mqtt.Announcement
	gone chan *mqtt.Farewell
}

func (b *bench) watch() announcements {
	b.t.Helper()
	a := announcements{make(chan *mqtt.Announcement, 64), make(chan *mqtt.Farewell, 64)}
	stop, err := b.client.Watch(b.t.Context(), mqtt.Watcher{
		Announced: func(n *mqtt.Announcement) { a.come <- n }, Gone: func(f *mqtt.Farewell) { a.gone <- f },
	})
	b.must(err)
	b.t.Cleanup(stop)
	return a
}

// await takes from a channel until one value is the one that is waited for.
func await[T any](t *testing.T, what string, c <-chan T, is func(T) bool) T {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case v := <-c:
			if is(v) {
				return v
			}
		case <-timeout:
			t.Fatalf("%s does not come", what)
		}
	}
}

// device is a real client with the objects of our devices.
type device struct {
	name    string
	client  *client.Client
	panel   *knob.Panel
	battery *client.Table
	works   *workloads
	running *running
}

// workloads are the programs of a device's object 9: modules are texts "NAME VERSION".
type workloads struct {
	mu      sync.Mutex
	running map[uint16]string
}

func (w *workloads) Check(_ context.Context, module []byte) (*wasmabi.Manifest, error) {
	name, version, _ := strings.Cut(string(module), " ")
	return &wasmabi.Manifest{Name: name, Version: strings.TrimSpace(version), Kind: wasmabi.KindWorkload}, nil
}

func (w *workloads) Start(_ context.Context, id uint16, module []byte, _ map[string]float64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[id] = string(module)
	return nil
}

func (w *workloads) Stop(_ context.Context, id uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, id)
}

func (w *workloads) Status(id uint16) (runner.Status, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.running[id]
	return runner.Status{Name: "average", CPUPercent: 12.5, MemoryBytes: 65536, Uptime: 2 * time.Second}, ok
}

func (w *workloads) Running(dst []uint16) []uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.running {
		dst = append(dst, id)
	}
	return dst
}

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(seed byte) ed25519.PublicKey { return key(seed).Public().(ed25519.PublicKey) }

// packed is a signed device package, longer than one block.
func packed(t *testing.T, seed byte) []byte {
	t.Helper()
	module := fmt.Appendf(nil, "average 1.0.0%4000s", "")
	seal, err := parcel.Seal(parcel.Statement{
		Name: "average", Version: "1.0.0", Kind: wasmabi.KindWorkload, Digest: sha256.Sum256(module), Length: uint64(len(module)), Counter: 1, Devices: "sensor-*",
	}, key(seed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := parcel.Pack(seal, module)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const sensorObject = 3303

// newDevice makes a device and has it register.
func (b *bench) newDevice(name string, adjust ...func(*client.Config)) *device {
	b.t.Helper()
	d := &device{name: name, works: &workloads{running: map[uint16]string{}}}
	var err error
	d.panel, err = knob.NewPanel(knob.Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"})
	b.must(err)
	b.t.Cleanup(d.panel.Close)
	manager, err := software.Open(software.Config{
		Dir: b.t.TempDir(), Workloads: d.works, Trust: parcel.Trust{Keys: []ed25519.PublicKey{public(1)}, Device: name},
	})
	b.must(err)
	d.battery = client.NewTable(client.Definition{ID: sensorObject, Multiple: true, Resources: []client.Resource{
		{ID: 5700, Name: "Sensor Value", Kind: lwm2m.KindFloat, Operations: client.Readable, Mandatory: true},
		{ID: 5750, Name: "Application Type", Kind: lwm2m.KindString, Operations: client.ReadWrite},
	}}, client.Rules{})
	b.must(d.battery.Fill(lwm2m.Tree{{Path: lwm2m.PathOf(sensorObject, 0)}, {Path: lwm2m.PathOf(sensorObject, 0, 5700), Value: lwm2m.Float(20.5)}}))
	config := client.Config{
		Endpoint: name, Logger: b.log,
		Objects: []client.Object{
			machine.NewDevice(machine.DeviceConfig{Root: memory, Identity: machine.Identity{Manufacturer: "Edgehold", Type: "edgehold-device os=linux arch=amd64 tinyml"}}),
			manager, software.NewMonitor(d.works), knob.NewShell(d.panel), d.battery,
		},
		Accounts: []client.Account{{URI: "coap://" + b.address, Short: 1, Mode: client.NoSec, Lifetime: 300 * time.Second}},
		Network:  &client.Internet{Local: "127.0.0.1:0", Logger: b.log},
		Stay:     true,
	}
	for _, change := range adjust {
		change(&config)
	}
	d.client, err = client.New(config)
	b.must(err)
	d.running = start(b.t, name, d.client.Run)
	return d
}

// memory is what the device's machine says of its memory.
var memory = fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal: 262144 kB\nMemFree: 1000 kB\nMemAvailable: 131072 kB\n")}}

// awaitRegistered polls the device until it knows that it is registered.
func (d *device) awaitRegistered(t *testing.T) {
	t.Helper()
	deadline := time.After(patience)
	for {
		if all := d.client.Standings(); len(all) == 1 && all[0].State == client.Registered {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("the device does not learn that it is registered")
		}
	}
}
