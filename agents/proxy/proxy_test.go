package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	runtime "github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/drivertest"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
	"github.com/edgehold/edgehold/telemetry/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// village is a gateway of devices that have a radio and the device runtime's own shell.
type village struct {
	mu      sync.Mutex
	devices map[string]*house
	dead    map[string]bool // they are announced, and do not answer
	hanging map[string]bool // so, and the gateway waits for them
	waiting int             // how often it has
	asked   map[mqtt.Operation]int
	looking bool // the proxy may only look

	commands []string // what was said to knobs
}

type house struct {
	panel  *runtime.Panel
	asked  string
	answer string
	others int // how often somebody else speaks in between
	rssi   int64
	old    bool // it lists knobs, and knows no options
	plain  bool // it knows no leases
}

func (v *village) Known(thing string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.devices[thing] != nil
}

func (v *village) Do(ctx context.Context, r *mqtt.Request) *mqtt.Response {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked[r.Operation]++
	if v.hanging[r.Thing] {
		v.waiting++
		v.mu.Unlock()
		<-ctx.Done()
		v.mu.Lock()
	}
	h := v.devices[r.Thing]
	switch {
	case v.dead[r.Thing]:
		return mqtt.Fail(mqtt.Timeout, mqtt.Error{Code: "device.silent", Message: "ask " + r.Thing, Why: "it does not answer"})
	case v.looking && r.Operation == mqtt.Observe && r.Data != nil:
		return mqtt.Fail(mqtt.Forbidden, mqtt.Error{Code: "request.forbidden", Message: "observe " + r.Topic.String(), Why: "the user may only look"})
	case r.Object == shell.Object && r.Element == mqtt.At(0):
		v.commands = append(v.commands, string(r.Data.([]byte)))
		h.do(string(r.Data.([]byte)))
		return &mqtt.Response{Code: mqtt.Changed}
	case r.Object == shell.Object:
		if h.others > 0 {
			h.others--
			h.do("mlsysops knobs get TX_PWR")
		}
		return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, []any{[]byte(h.asked), []byte(h.answer)})}
	case r.Name == "Radio_Signal_Strength":
		return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, h.rssi)}
	}
	return mqtt.Fail(mqtt.NotFound, mqtt.Error{Code: "resource.unknown", Message: "read " + r.Topic.String(), Why: "the device has none"})
}

func (h *house) do(command string) {
	h.asked = command
	h.answer = h.panel.Answer(command)
	switch options := command == "mlsysops knobs options"; {
	case h.old && options:
		h.answer = "error: that is no command\n"
	case h.plain && options:
		h.answer = "Knob ID | Values | Default | Unit\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH | \nSAMPLE_INTERVAL | 1..3600 | 10 | s\n"
	}
}

func (v *village) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *village) count(op mqtt.Operation) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[op]
}

func newHouse(t testing.TB) *house {
	t.Helper()
	p, err := runtime.NewPanel(
		runtime.Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"},
		runtime.Knob{Name: "SAMPLE_INTERVAL", Min: 1, Max: 3600, Unit: "s", Default: "10"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return &house{panel: p, rssi: -60}
}

var offers = []mqtt.Offer{{Name: "Connectivity_Monitoring", ID: 4, Labels: []uint16{0}}, {Name: "Device", ID: 3, Labels: []uint16{0}}, {Name: shell.Object, ID: 19, Labels: []uint16{0}}}

// samples is a Ring.
type samples struct {
	mu   sync.Mutex
	last map[string]float64
	at   map[string]int64
	n    map[string]int
}

func newSamples() *samples {
	return &samples{last: map[string]float64{}, at: map[string]int64{}, n: map[string]int{}}
}

func (s *samples) Append(name string, labels []ring.Label, unixMS int64, v float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name + fmt.Sprint(labels)
	s.last[key], s.at[key] = v, unixMS
	s.n[key]++
	return nil
}

func (s *samples) Describe(string, ring.Meta) error { return nil }

func (s *samples) get(name, endpoint string) (float64, int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name + fmt.Sprint([]ring.Label{{Name: LabelDevice, Value: endpoint}})
	v, ok := s.last[key]
	return v, s.n[key], ok
}

// scene is a broker, a gateway, and a proxy that follows.
type scene struct {
	*village
	*Proxy
	bus     mqtt.Bus
	samples *samples
	broker  *mqtt.Broker
	config  Config
	stop    func() // of the proxy
}

func newScene(t testing.TB, config Config) *scene {
	t.Helper()
	b, err := mqtt.NewBroker(mqtt.BrokerConfig{Listeners: []mqtt.Listener{{Address: "mqtt://127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{village: &village{devices: map[string]*house{}, dead: map[string]bool{}, hanging: map[string]bool{}, asked: map[mqtt.Operation]int{}}, samples: newSamples(), broker: b}
	s.bus = b.Bus("gateway")
	background(t, b.Run)
	background(t, func(ctx context.Context) error { return mqtt.Serve(ctx, s.bus, s.village, mqtt.ServeConfig{}) })
	present := make(chan bool, 8)
	cancel, err := b.Bus("watch").Subscribe(t.Context(), "gateway/+", func(*mqtt.Message) { present <- true })
	if err != nil {
		t.Fatal(err)
	}
	<-present
	cancel()
	config.Broker, config.Ring = "mqtt://"+b.Addresses()[0].String(), s.samples
	if config.Refresh == 0 {
		config.Refresh = 20 * time.Millisecond
	}
	s.config = config
	if s.Proxy, err = New(config); err != nil {
		t.Fatal(err)
	}
	s.stop = background(t, s.Proxy.Run)
	return s
}

func background(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (s *scene) announce(t testing.TB, endpoint string, epoch uint64) *house {
	t.Helper()
	h := newHouse(t)
	s.change(func() { s.village.devices[endpoint] = h })
	a := &mqtt.Announcement{Thing: endpoint, Epoch: epoch, Objects: offers}
	if err := mqtt.Announce(t.Context(), s.bus, a); err != nil {
		t.Fatal(err)
	}
	return h
}

// move has sensor-1 be a house of one's own.
func (s *scene) move(t testing.TB, h *house) {
	t.Helper()
	s.change(func() { s.village.devices["sensor-1"] = h })
	if err := mqtt.Announce(t.Context(), s.bus, &mqtt.Announcement{Thing: "sensor-1", Epoch: 1, Objects: offers}); err != nil {
		t.Fatal(err)
	}
}

func announcement(sleepsS uint32) *mqtt.Announcement {
	return &mqtt.Announcement{Thing: "sensor-1", Sleeps: sleepsS > 0, Lifetime: sleepsS}
}

func (s *scene) leave(t testing.TB, endpoint string) {
	t.Helper()
	if err := mqtt.Unregister(t.Context(), s.bus, &mqtt.Farewell{Thing: endpoint, Reason: "expired"}); err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: it did not come about", what)
}

func (s *scene) knobs(t testing.TB) map[string]mechanisms.Knob {
	t.Helper()
	list, err := s.Driver().Knobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]mechanisms.Knob{}
	for _, k := range list {
		m[k.Name] = k
	}
	return m
}

func (s *scene) awaitKnob(t testing.TB, name string, ok func(mechanisms.Knob) bool) {
	t.Helper()
	eventually(t, name, func() bool { k, there := s.knobs(t)[name]; return there && ok(k) })
}

func usable(k mechanisms.Knob) bool { return k.Unavailable == "" }

func TestDriverKeepsTheContract(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	s.announce(t, "sensor-2", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	s.awaitKnob(t, "sensor-2/SAMPLE_INTERVAL", usable)
	drivertest.Run(t, s.Driver())
}

// A policy's lease turns a knob on the device, and its end puts it back.
func TestLeaseOnADevice(t *testing.T) {
	s := newScene(t, Config{})
	h := s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	sup, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: t.TempDir(), BootID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer sup.Close(context.WithoutCancel(t.Context()))
	if err := sup.Register(t.Context(), s.Driver()); err != nil {
		t.Fatal(err)
	}
	set := mechanisms.Command{Mechanism: Mechanism, Verb: mechanisms.Set, Owner: "policy", Lease: time.Minute, Settings: []mechanisms.Setting{
		{Knob: "sensor-1/TX_PWR", Value: mechanisms.Choice("LOW")}, {Knob: "sensor-1/SAMPLE_INTERVAL", Value: mechanisms.Number(30)},
	}}
	r, err := sup.Apply(t.Context(), set)
	if err != nil || r.Outcome != mechanisms.Applied {
		t.Fatalf("got %+v, %v", r, err)
	}
	if v, _ := h.panel.Get("TX_PWR"); v != "LOW" {
		t.Errorf("the device's radio is at %s", v)
	}
	if v, _ := h.panel.Get("SAMPLE_INTERVAL"); v != "30" {
		t.Errorf("the device samples every %s s", v)
	}
	set.Settings = []mechanisms.Setting{{Knob: "sensor-1/TX_PWR", Value: mechanisms.Choice("LOUDER")}}
	if r, err := sup.Apply(t.Context(), set); err == nil && r.Outcome == mechanisms.Applied {
		t.Errorf("a position that it does not have: got %+v", r)
	}
	if r := sup.RevertAll(t.Context(), "test"); len(r.Changes) != 2 {
		t.Errorf("put back: %+v", r)
	}
	if v, _ := h.panel.Get("TX_PWR"); v != "HIGH" {
		t.Errorf("afterwards the device's radio is at %s", v)
	}
}

// breaking is a bus on which one subscription goes wrong when it has been made, as on a connection that breaks then.
type breaking struct {
	mqtt.Bus
	at   int // which one
	made atomic.Int32
}

func (b *breaking) Subscribe(ctx context.Context, filter string, receive func(*mqtt.Message)) (func(), error) {
	cancel, err := b.Bus.Subscribe(ctx, filter, receive)
	if made := b.made.Add(1); err == nil && int(made) == b.at {
		cancel()
		return nil, errors.New("no connection available")
	}
	return cancel, err
}

// A connection that breaks before the devices are followed, as it does when another agent has this one's name, does not end it for good.
func TestFollowedAgainWhateverBreaks(t *testing.T) {
	for at := 1; at <= 4; at++ { // answers, gateways, farewells, announcements
		t.Run(fmt.Sprint("subscription ", at), func(t *testing.T) {
			s := newScene(t, Config{})
			s.announce(t, "sensor-1", 1)
			s.stop()
			p, err := New(s.config)
			if err != nil {
				t.Fatal(err)
			}
			bus := &breaking{Bus: s.broker.Bus("agent"), at: at}
			background(t, func(ctx context.Context) error { p.followOn(ctx, bus); return nil })
			s.Proxy = p
			eventually(t, "all subscriptions", func() bool { return int(bus.made.Load()) >= at+4 })
			topic := mqtt.Topic{Thing: "sensor-1", Object: "Connectivity_Monitoring", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Radio_Signal_Strength"}
			eventually(t, "what the device tells", func() bool {
				if err := mqtt.Notify(t.Context(), s.bus, &mqtt.Notification{Topic: topic, Objects: mqtt.One(topic, int64(-71))}); err != nil {
					t.Fatal(err)
				}
				v, _, ok := s.samples.get("device_radio_signal_strength_dbm", "sensor-1")
				return ok && v == -71
			})
			s.awaitKnob(t, "sensor-1/TX_PWR", usable)
			eventually(t, "nothing to complain of", func() bool { return p.Status().Unreachable == "" })
		})
	}
}

// The log says once a minute that the broker is away, and at once why else it is.
func TestBrokerAwayIsTold(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1_000_000, 0)
	p, err := New(Config{Broker: "unix:///nowhere", Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		why   string
		lines int
	}{{0, "refused", 1}, {time.Second, "refused", 1}, {time.Second, "another has its name", 2}, {time.Minute, "another has its name", 3}} {
		now = now.Add(step.after)
		p.disconnected(errors.New(step.why))
		if got := strings.Count(log.String(), "the devices' broker is away"); got != step.lines {
			t.Errorf("%s: %d lines, want %d", step.why, got, step.lines)
		}
	}
}

// Until the devices are followed there is nobody to ask through, also if the broker is reached meanwhile.
func TestReachedBeforeFollowed(t *testing.T) {
	p, err := New(Config{Broker: "unix:///nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	p.reached()
	if c, err := p.asking(); c != nil || !errors.Is(err, errNotYet) {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestMetrics(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	eventually(t, "the first value", func() bool {
		v, _, ok := s.samples.get("device_radio_signal_strength_dbm", "sensor-1")
		return ok && v == -60
	})
	topic := mqtt.Topic{Thing: "sensor-1", Object: "Connectivity_Monitoring", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Radio_Signal_Strength"}
	at := time.Now().Add(-5 * time.Second).Truncate(time.Millisecond)
	for _, v := range []any{int64(-71), "-71", -71.0} { // as D3.3's text, too
		if err := mqtt.Notify(t.Context(), s.bus, &mqtt.Notification{Topic: topic, Objects: mqtt.One(topic, v), Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the notifications", func() bool { _, n, _ := s.samples.get("device_radio_signal_strength_dbm", "sensor-1"); return n == 4 })
	key := "device_radio_signal_strength_dbm" + fmt.Sprint([]ring.Label{{Name: LabelDevice, Value: "sensor-1"}})
	s.samples.mu.Lock()
	last, when := s.samples.last[key], s.samples.at[key]
	s.samples.mu.Unlock()
	if last != -71 || when != at.UnixMilli() {
		t.Errorf("got %v at %v, want it at %v", last, when, at.UnixMilli())
	}
	if v, _, _ := s.samples.get(MetricOnline, "sensor-1"); v != 1 {
		t.Errorf("online: %v", v)
	}
	s.leave(t, "sensor-1")
	eventually(t, "the farewell", func() bool { v, _, _ := s.samples.get(MetricOnline, "sensor-1"); return v == 0 })
}

// Who may not say how often a device tells hears it as often as it does.
func TestMetricsOfWhoMayOnlyLook(t *testing.T) {
	s := newScene(t, Config{})
	s.change(func() { s.looking = true })
	s.announce(t, "sensor-1", 1)
	eventually(t, "the first value", func() bool {
		v, _, ok := s.samples.get("device_radio_signal_strength_dbm", "sensor-1")
		return ok && v == -60
	})
}

// A device that registers anew is observed anew, and its values come once.
func TestRebootedDevice(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	before := s.count(mqtt.Observe)
	s.announce(t, "sensor-1", 1) // again, and the same
	s.announce(t, "sensor-1", 2)
	eventually(t, "new observations", func() bool { return s.count(mqtt.Observe) >= before+2 })
	eventually(t, "the end of the old ones", func() bool {
		topic := mqtt.Topic{Thing: "sensor-1", Object: "Connectivity_Monitoring", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Radio_Signal_Strength"}
		_, n, _ := s.samples.get("device_radio_signal_strength_dbm", "sensor-1")
		if err := mqtt.Notify(t.Context(), s.bus, &mqtt.Notification{Topic: topic, Objects: mqtt.One(topic, int64(-80))}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		_, after, _ := s.samples.get("device_radio_signal_strength_dbm", "sensor-1")
		return after == n+1
	})
}

// A device that began anew may have other firmware, whose knobs of the same names take something else.
func TestDeviceWithOtherFirmware(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, power, func(k mechanisms.Knob) bool { return len(k.Choices) == 3 })
	p, err := runtime.NewPanel(runtime.Knob{Name: "TX_PWR", Choices: []string{"LOW", "HIGH"}, Default: "HIGH"}, runtime.Knob{Name: "SAMPLE_INTERVAL", Min: 1, Max: 60, Unit: "s", Default: "10"})
	mustTurn(t, err)
	t.Cleanup(p.Close)
	s.change(func() { s.village.devices["sensor-1"] = &house{panel: p} })
	mustTurn(t, mqtt.Announce(t.Context(), s.bus, &mqtt.Announcement{Thing: "sensor-1", Epoch: 2, Objects: offers}))
	s.awaitKnob(t, power, func(k mechanisms.Knob) bool { return len(k.Choices) == 2 })
}

// A person who looks at the knobs at the same time gets the answers that the proxy asked for, and it theirs: it asks again.
func TestShellThatOthersUse(t *testing.T) {
	s := newScene(t, Config{})
	h := newHouse(t)
	h.others = 5 // "list" is heard the sixth time
	s.move(t, h)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	for range 50 {
		s.change(func() { h.others = 1 })
		k := s.knobs(t)
		if len(k) != 2 || len(k["sensor-1/TX_PWR"].Choices) != 3 {
			t.Fatalf("got %+v", k)
		}
		if err := s.Driver().Write(t.Context(), "sensor-1/TX_PWR", mechanisms.Choice("LOW")); err != nil {
			t.Fatal(err)
		}
		s.change(func() { h.others = 1 })
		if v, err := s.Driver().Read(t.Context(), "sensor-1/SAMPLE_INTERVAL"); v != mechanisms.Number(10) || err != nil {
			t.Fatalf("got %v, %v", v, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// A workload that is installed later has an instance of its own, and the registration stays the same.
func TestInstanceThatComes(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	more := append(slices.Clone(offers[1:]), mqtt.Offer{Name: "Connectivity_Monitoring", ID: 4, Labels: []uint16{0, 7}})
	if err := mqtt.Announce(t.Context(), s.bus, &mqtt.Announcement{Thing: "sensor-1", Epoch: 1, Objects: more}); err != nil {
		t.Fatal(err)
	}
	key := "device_radio_signal_strength_dbm" + fmt.Sprint([]ring.Label{{Name: LabelDevice, Value: "sensor-1"}, {Name: LabelInstance, Value: "7"}})
	eventually(t, "its metric", func() bool {
		s.samples.mu.Lock()
		defer s.samples.mu.Unlock()
		return s.samples.n[key] > 0
	})
}

// Those who are gone make room: devices that change their names would otherwise keep all others out, for ever.
func TestRoomOfThoseWhoAreGone(t *testing.T) {
	var skip atomic.Int64
	s := newScene(t, Config{Devices: 1, Now: func() time.Time { return time.Now().Add(time.Duration(skip.Load())) }})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	s.leave(t, "sensor-1")
	s.awaitKnob(t, "sensor-1/TX_PWR", func(k mechanisms.Knob) bool { return k.Unavailable != "" })
	s.announce(t, "sensor-2", 1)
	eventually(t, "the refusal, since a knob may have to be put back", func() bool { return s.Status().Refused == 1 })
	skip.Store(int64(2 * forgetAfter))
	s.announce(t, "sensor-2", 1)
	s.awaitKnob(t, "sensor-2/TX_PWR", usable)
	if _, there := s.knobs(t)["sensor-1/TX_PWR"]; there {
		t.Error("it is remembered still")
	}
}

func TestDevicesThatAreAway(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	d := s.Driver()

	s.change(func() { s.dead["sensor-1"] = true })
	if err := d.Write(t.Context(), "sensor-1/TX_PWR", mechanisms.Choice("LOW")); !errors.Is(err, mechanisms.ErrUnavailable) {
		t.Errorf("a device that does not answer: got %v", err)
	}
	if got := s.Status(); len(got.Silent) != 1 || got.Devices != 1 {
		t.Errorf("status: %+v", got)
	}
	s.change(func() { s.dead["sensor-1"] = false })
	if v, err := d.Read(t.Context(), "sensor-1/TX_PWR"); v != mechanisms.Choice("HIGH") || err != nil {
		t.Errorf("it is back: got %v, %v", v, err)
	}

	s.leave(t, "sensor-1")
	s.awaitKnob(t, "sensor-1/TX_PWR", func(k mechanisms.Knob) bool { return k.Unavailable == "it is gone: expired" })
	if _, err := d.Read(t.Context(), "sensor-1/TX_PWR"); !errors.Is(err, mechanisms.ErrUnavailable) {
		t.Errorf("a device that is gone: got %v", err)
	}
	s.announce(t, "sensor-1", 2)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
}

// A device that hangs is waited for as long as the driver has time, not as long as the proxy itself has patience: the supervisor would
// give up the driver of all devices.
func TestDeviceThatHangs(t *testing.T) {
	s := newScene(t, Config{Patience: time.Minute})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	s.change(func() { s.hanging["sensor-1"] = true })
	eventually(t, "the proxy asks it", func() bool { s.village.mu.Lock(); defer s.village.mu.Unlock(); return s.waiting > 0 })
	done := make(chan error, 1)
	go func() {
		done <- s.Driver().Write(context.WithoutCancel(t.Context()), "sensor-1/TX_PWR", mechanisms.Choice("LOW"))
	}()
	select {
	case err := <-done:
		if !errors.Is(err, mechanisms.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	case <-time.After(50 * time.Second):
		t.Error("the driver waits as long as the proxy does")
	}
}

// A supervisor that waits longer for its drivers gets more than the usual time out of this one.
func TestTimeOfTheDriver(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: 1500 * time.Millisecond, time.Hour: time.Hour} {
		s := newScene(t, Config{Driving: given})
		s.announce(t, "sensor-1", 1)
		s.awaitKnob(t, power, usable)
		latest := time.Now().Add(want)
		err := s.Proxy.device("sensor-1").exchange(t.Context(), func(ctx context.Context, _ *shell.Shell) error {
			if until, ok := ctx.Deadline(); !ok || until.Before(latest) || until.After(time.Now().Add(want)) {
				t.Errorf("with %v it has until %v, %v after the latest", given, until, until.Sub(latest))
			}
			return nil
		})
		if err != nil && !errors.Is(err, mechanisms.ErrUnavailable) { // a refresh may have the shell all the time
			t.Error(err)
		}
	}
}

func TestSleepingDevice(t *testing.T) {
	var mu sync.Mutex
	skip := time.Duration(0)
	s := newScene(t, Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(skip) }})
	h := newHouse(t)
	s.change(func() { s.village.devices["sensor-1"] = h })
	if err := mqtt.Announce(t.Context(), s.bus, &mqtt.Announcement{Thing: "sensor-1", Epoch: 1, Objects: offers, Sleeps: true}); err != nil {
		t.Fatal(err)
	}
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	s.change(func() { s.dead["sensor-1"] = true })
	mu.Lock()
	skip = time.Hour
	mu.Unlock()
	s.awaitKnob(t, "sensor-1/TX_PWR", func(k mechanisms.Knob) bool { return len(k.Unavailable) > 9 && k.Unavailable[:9] == "it sleeps" })
}

// The gateway's outage is not the devices' death: they are not gone, but nobody can ask them, and what is known of them grows old.
func TestGatewayThatIsAway(t *testing.T) {
	s := newScene(t, Config{})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	publish := func(payload string) {
		m := &mqtt.Message{Topic: "gateway/edgehold", Payload: []byte(payload), Retain: true}
		if err := s.broker.Bus("other").Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	publish(`{"online":false}`)
	s.awaitKnob(t, "sensor-1/TX_PWR", func(k mechanisms.Knob) bool { return k.Unavailable == "the gateway is away" })
	if v, _, _ := s.samples.get(MetricOnline, "sensor-1"); v != 1 {
		t.Errorf("the device counts as gone")
	}
	publish(`{"online":true}`)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
}

func TestDeviceThatOnlyLists(t *testing.T) {
	s := newScene(t, Config{Choices: map[string][]string{"TX_PWR": {"LOW", "HIGH"}}})
	h := newHouse(t)
	h.old = true
	s.move(t, h)
	s.awaitKnob(t, "sensor-1/TX_PWR", func(k mechanisms.Knob) bool { return len(k.Choices) == 2 })
	s.awaitKnob(t, "sensor-1/SAMPLE_INTERVAL", func(k mechanisms.Knob) bool { return len(k.Choices) == 1 && k.Choices[0] == "10" })
}

func TestWhoIsFollowed(t *testing.T) {
	s := newScene(t, Config{Endpoints: []string{"sensor-*"}, Devices: 1})
	s.announce(t, "other-1", 1)
	s.announce(t, "sensor-[x]", 1)
	s.announce(t, "sensor-\x1b2J", 1)
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	s.announce(t, "sensor-2", 1)
	eventually(t, "the refusal", func() bool { return s.Status().Refused == 1 })
	if n := len(s.knobs(t)); n != 2 {
		t.Errorf("%d knobs", n)
	}
}

// The daemon and its guard are two processes that keep one file.
func TestFileOfTwo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices.json")
	known := map[string][]knob{"sensor-1": {{Name: "TX_PWR", Kind: mechanisms.KindChoice, Choices: []string{"LOW", "HIGH"}}}}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 50 {
				if err := replace(file, known); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	if got, err := load(file); err != nil || len(got["sensor-1"]) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A new process knows what there was, and that it can't be reached yet: it may have to put it back.
func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices.json")
	s := newScene(t, Config{File: file})
	s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, "sensor-1/TX_PWR", usable)
	eventually(t, "the file", func() bool { known, err := load(file); return err == nil && len(known["sensor-1"]) == 2 })
	again, err := New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := again.Driver().Knobs(t.Context())
	if len(list) != 2 || list[0].Unavailable == "" {
		t.Errorf("got %+v", list)
	}
	background(t, again.Run)
	eventually(t, "its return", func() bool { list, _ := again.Driver().Knobs(t.Context()); return usable(list[0]) })
}
