package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/store"
)

const (
	patience   = 2 * time.Minute // for what takes a second on a machine that has nothing else to do
	ackTimeout = 100 * time.Millisecond
)

// gateway is a real server with a real store.
type gateway struct {
	*server.Server
	addr netip.AddrPort
	stop func()
}

// startGateway starts one; ready is called before it hears anything.
func startGateway(t *testing.T, dir, addr string, ready ...func(*gateway)) *gateway {
	t.Helper()
	udp, err := coap.ListenUDP(context.Background(), coap.UDPConfig{Addresses: []string{addr}, Buffer: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	disk, _, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{
		Transports: []coap.Transport{udp}, Store: disk, Authorise: server.Bound("sim-*"),
		CoAP: coap.Config{Reliability: coap.Reliability{AckTimeout: ackTimeout}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{Server: s, addr: udp.Addresses()[0]}
	for _, look := range ready {
		look(g)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{s.Run, disk.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	g.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

func run(t *testing.T, c Config) *Fleet {
	t.Helper()
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func await(t *testing.T, f *Fleet, what string, done func(Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // another process would be polled too
		stats := f.Stats()
		if done(stats) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about: %+v", what, describe(&stats))
		}
	}
}

func describe(s *Stats) string {
	plain := *s
	plain.Registration, plain.Update = Histogram{}, Histogram{}
	return fmt.Sprintf("%d registered, %d registrations of %d begun, %d updates, %d unknown, %d unanswered, %d refused, %d reads, %d observations, %d notifications, %d cancelled, %d lost, %d overheard, %d rebound, %d reset; registrations %v, updates %v",
		s.Registered, s.Registrations, s.Begun, s.Updates, s.Unknown, s.Unanswered, s.Refused, s.Reads, s.Observations, s.Notifications, s.Cancelled, s.Lost,
		s.Overheard, s.Rebound, s.Reset, &s.Registration, &s.Update)
}

// TestFleet: devices that lose packets, sleep, move and are reset, and a gateway that is restarted: nobody is forgotten. They are few
// enough for a machine that has other work: more than it can serve would repeat themselves, and be more work still.
func TestFleet(t *testing.T) {
	const devices = 300
	dir := t.TempDir()
	g := startGateway(t, dir, "127.0.0.1:0")
	f := run(t, Config{
		Devices: devices, Target: g.addr, Lifetime: time.Hour, Update: 1500 * time.Millisecond, Notify: 300 * time.Millisecond, Awake: 300 * time.Millisecond,
		AckTimeout: ackTimeout, Sleepers: 0.3, Loss: 0.03, Rebind: 0.2, Restart: 0.02, Seed: 1,
	})
	await(t, f, "registration of all", func(Stats) bool { return g.Len() == devices })
	read(t, g, f.Name(0))
	observe(t, g, f, 40)
	await(t, f, "notifications", func(s Stats) bool { return s.Notifications > 100 })
	g.stop()
	known, before := registrations(g), f.Stats()
	g = startGateway(t, dir, g.addr.String(), func(restarted *gateway) { // before anybody is heard
		if diff := cmp.Diff(known, registrations(restarted)); diff != "" {
			t.Errorf("registrations (-before +after the restart):\n%s", diff)
		}
	})
	notified := g.Subscribe(1 << 16)
	defer notified.Close()
	await(t, f, "an update of each after the restart", func(s Stats) bool {
		return s.Updates > before.Updates+devices && s.Notifications > before.Notifications+100
	})
	await(t, f, "all that can happen to a device", func(s Stats) bool {
		return s.Rebound > 0 && s.Reset > 0 && s.Lost > 0 && s.Overheard+s.Reads > 0
	})
	awaitEvent(t, notified, server.Notified)
	after := f.Stats()
	t.Log(describe(&after))
}

// registrations are the numbers of all that are known.
func registrations(g *gateway) map[string]string {
	all := map[string]string{}
	for r := range g.Devices() {
		all[r.Endpoint] = r.ID
	}
	return all
}

// read reads an instance of a device that may sleep now.
func read(t *testing.T, g *gateway, name string) {
	t.Helper()
	path, err := lwm2m.ParsePath(devicePath)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		tree, err := g.Read(ctx, name, path)
		if err == nil && len(tree) == 2 && tree[1].Value.Text() == "edgehold-device fleet simulated" {
			return
		}
		if ctx.Err() != nil { // else it moved at the wrong moment
			t.Fatalf("read %v, %v", tree, err)
		}
	}
}

// observe observes the sensors of some devices that do not sleep.
func observe(t *testing.T, g *gateway, f *Fleet, n int) {
	t.Helper()
	path, err := lwm2m.ParsePath(sensorPath)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var group sync.WaitGroup
	for i := range f.config.Devices {
		if r, ok := g.Device(f.Name(i)); !ok || r.QueueMode {
			continue
		}
		if n--; n < 0 {
			break
		}
		group.Go(func() {
			for {
				_, tree, err := g.Observe(ctx, f.Name(i), path)
				if err == nil && len(tree) == 1 {
					return
				}
				if ctx.Err() != nil { // else it moved at the wrong moment
					t.Errorf("observe %s: %v, %v", f.Name(i), tree, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func awaitEvent(t *testing.T, sub *server.Subscription, kind server.EventKind) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		e, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("no event %v: %v", kind, err)
		}
		if e.Kind == kind {
			return
		}
	}
}

func TestAddresses(t *testing.T) {
	seen := map[[4]byte]bool{}
	for _, index := range []int{0, 1, 2, 99_999, maxDevices - 1} {
		for generation := range uint8(generations) {
			a := address(index, generation)
			if i, g := deviceAt(a); i != index || g != generation || seen[a] {
				t.Errorf("device %d, generation %d is at %v, where %d, %d is", index, generation, a, i, g)
			}
			seen[a] = true
		}
	}
	if i, _ := deviceAt([4]byte{127, 0, 0, 1}); i >= 0 {
		t.Errorf("device %d is at the gateway's address", i)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for us := range 100_000 {
		h.Add(time.Duration(us) * time.Microsecond)
	}
	for share, want := range map[float64]time.Duration{0: 0, 0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 1: 99_999 * time.Microsecond} {
		if got := h.Quantile(share); got < want-time.Microsecond || got > want+want/16+time.Microsecond {
			t.Errorf("quantile %v is %v, want %v", share, got, want)
		}
	}
	if h.Count() != 100_000 || h.Max() != 99_999*time.Microsecond {
		t.Errorf("%v", &h)
	}
}

func TestValidate(t *testing.T) {
	good := Config{Devices: 1, Target: netip.MustParseAddrPort("127.0.0.1:5683")}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"no device":      func(c *Config) { c.Devices = 0 },
		"another host":   func(c *Config) { c.Target = netip.MustParseAddrPort("192.0.2.1:5683") },
		"IPv6":           func(c *Config) { c.Target = netip.MustParseAddrPort("[::1]:5683") },
		"more than all":  func(c *Config) { c.Loss = 1.5 },
		"less than none": func(c *Config) { c.Sleepers = -1 },
	} {
		bad := good
		if change(&bad); bad.Validate() == nil {
			t.Errorf("%s is valid", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	w := begin(nil, coap.Confirmable, coap.GET, 7, []byte("token"))
	w.option(coap.URIPath, "3303")
	w.number(coap.Accept, 112)
	w.payload("x")
	f.Add(w.b)
	f.Add([]byte{0x48, 1, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parse(b); ok {
			p.options(func(coap.OptionID, []byte) {})
		}
	})
}
