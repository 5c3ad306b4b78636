package shell

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sensor is a gateway of one device with a real knob shell.
type sensor struct {
	panel *knob.Panel

	mu             sync.Mutex
	asked, answer  string
	others         int // how often somebody else asks in between
	slow           int // how often the answer before is read first
	before         string
	withoutCommand bool // the gateway tells the answer alone
}

func (*sensor) Known(thing string) bool { return thing == "sensor-1" }

func (s *sensor) Do(_ context.Context, r *mqtt.Request) *mqtt.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line, ok := r.Data.([]byte); ok {
		s.asked, s.before, s.answer = string(line), s.answer, s.panel.Answer(string(line))
		if s.others > 0 {
			s.others--
			s.asked, s.answer = Prefix+"list", s.panel.Answer(Prefix+"list")
		}
		return &mqtt.Response{Code: mqtt.Changed}
	}
	answer := s.answer
	if s.slow > 0 {
		s.slow--
		answer = s.before
	}
	if s.withoutCommand {
		return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, []byte(answer))}
	}
	return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, []any{[]byte(s.asked), []byte(answer)})}
}

func newShell(t *testing.T) (*sensor, *Shell) {
	t.Helper()
	panel, err := knob.NewPanel(knob.Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"}, knob.Knob{Name: "RATE", Min: 1, Max: 9, Unit: "s", Default: "2"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := mqtt.NewBroker(mqtt.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s := &sensor{panel: panel}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() { _ = mqtt.Serve(ctx, b.Bus("gateway"), s, mqtt.ServeConfig{Ready: func() { close(ready) }}) })
	<-ready
	client, err := mqtt.NewClient(ctx, b.Bus("client"), mqtt.ClientConfig{CBOR: true, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); cancel(); running.Wait(); panel.Close() })
	return s, New(client, Data("sensor-1", 0))
}

func TestShell(t *testing.T) {
	for name, change := range map[string]func(*sensor){
		"alone": func(*sensor) {}, "others ask too": func(s *sensor) { s.others = sayings - 1 }, "slow": func(s *sensor) { s.slow = readings - 1 },
		"without the command": func(s *sensor) { s.withoutCommand = true },
	} {
		t.Run(name, func(t *testing.T) {
			sensor, shell := newShell(t)
			ctx := t.Context()
			again := func() { sensor.mu.Lock(); change(sensor); sensor.mu.Unlock() }
			same := func(got, want any, err error) {
				t.Helper()
				if d := cmp.Diff(got, want); d != "" || err != nil {
					t.Errorf("%v\n%s", err, d)
				}
				again()
			}
			again()
			list, err := shell.List(ctx)
			same(list, []Value{{"TX_PWR", "HIGH"}, {"RATE", "2"}}, err)
			options, err := shell.Options(ctx)
			same(options, []Option{{"TX_PWR", "LOW,MEDIUM,HIGH", "HIGH", "", knob.MaxLease}, {"RATE", "1..9", "2", "s", knob.MaxLease}}, err)
			same(nil, nil, shell.Set(ctx, "TX_PWR", "LOW", Lease{For: time.Hour, Holder: "node-1"}))
			held, err := shell.Leases(ctx)
			for i := range held {
				held[i].Left = held[i].Left.Round(time.Hour) // it runs
			}
			same(held, []Held{{"TX_PWR", "LOW", time.Hour, "node-1"}}, err)
			same(nil, nil, shell.Renew(ctx, "TX_PWR", "LOW", Lease{For: 2 * time.Hour, Holder: "node-1"}))
			v, err := shell.Get(ctx, "TX_PWR")
			same(v, Value{"TX_PWR", "LOW"}, err)
			same(nil, nil, shell.Set(ctx, "TX_PWR", "MEDIUM", Lease{}))
			held, err = shell.Leases(ctx)
			same(len(held), 0, err)
		})
	}
}

func TestShellThatRefuses(t *testing.T) {
	_, shell := newShell(t)
	if err := shell.Set(t.Context(), "TX_PWR", "LOW", Lease{For: time.Hour, Holder: "node-1"}); err != nil {
		t.Fatal(err)
	}
	_, unknown := shell.Get(t.Context(), "NOTHING")
	for want, err := range map[string]error{
		"there is no such knob":        unknown,
		"TX_PWR takes LOW":             shell.Set(t.Context(), "TX_PWR", "LOUD", Lease{}),
		"held by node-1":               shell.Set(t.Context(), "TX_PWR", "HIGH", Lease{For: time.Hour, Holder: "node-2"}),
		"is held by node-1":            shell.Renew(t.Context(), "TX_PWR", "LOW", Lease{For: time.Hour}),
		"RATE is at 2 without a lease": shell.Renew(t.Context(), "RATE", "2", Lease{For: time.Hour}),
	} {
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestShellThatIsNotThere(t *testing.T) {
	var e *mqtt.Error
	_, shell := newShell(t)
	shell.data.Thing = "sensor-2"
	if _, err := shell.List(t.Context()); !errors.As(err, &e) || e.Code != "device.unknown" {
		t.Errorf("got %v", err)
	}
}
