package mechanisms

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// rack is a piece of imaginary hardware: dials from 0 to 100 in steps of 10 ("a" to "d"), and a switch. It outlives
// the supervisors that come and go before it.
type rack struct {
	mu      sync.Mutex
	at      map[string]Value
	offline map[string]bool
	broken  map[string]error
	ceiling map[string]float64 // silently kept below
	driver  string
	writes  int
	tied    bool // the switch moves dial a: on to 90, off to 0
}

var dials = []string{"a", "b", "c", "d"}

func newRack() *rack {
	r := &rack{at: map[string]Value{"switch": Choice("off")}, offline: map[string]bool{}, broken: map[string]error{}, ceiling: map[string]float64{}, driver: "rack-v1"}
	for i, name := range dials {
		r.at[name] = Number(float64(10 * (i + 1)))
	}
	return r
}

func (r *rack) snapshot() map[string]Value {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.at)
}

func (r *rack) Describe() Description {
	return Description{Name: "Rack", Aliases: []string{"OldRack"}, Verbs: []Verb{Set, Reset}}
}

func (r *rack) Knobs(context.Context) ([]Knob, error) {
	var out []Knob
	for _, name := range dials {
		out = append(out, r.knob(Knob{Name: name, Kind: KindNumber, Unit: "W", Max: 100, Step: 10}))
	}
	sw := Knob{Name: "switch", Kind: KindChoice, Choices: []string{"off", "on", "auto"}}
	if r.tied {
		sw.Affects = []string{"a"}
	}
	return append(out, r.knob(sw)), nil
}

func (r *rack) knob(k Knob) Knob {
	k.Driver = r.driver
	if r.offline[k.Name] {
		k.Unavailable = "unplugged"
	}
	return k
}

func (r *rack) Read(_ context.Context, knob string) (Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offline[knob] {
		return Value{}, fmt.Errorf("%s: %w", knob, ErrUnavailable)
	}
	v, ok := r.at[knob]
	if !ok {
		return Value{}, fmt.Errorf("no %s", knob)
	}
	return v, nil
}

func (r *rack) Write(_ context.Context, knob string, v Value) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if r.offline[knob] {
		return fmt.Errorf("%s: %w", knob, ErrUnavailable)
	}
	if err := r.broken[knob]; err != nil {
		return err
	}
	if c, ok := r.ceiling[knob]; ok && v.Number > c {
		v = Number(c)
	}
	r.at[knob] = v
	if r.tied && knob == "switch" {
		r.at["a"] = map[string]Value{"on": Number(90), "off": Number(0)}[v.Choice]
	}
	return nil
}

func (r *rack) Order(_ map[string]Value, settings []Setting) []Setting { return slices.Clone(settings) }

// hand is a clock that is moved by hand.
type hand struct {
	mu sync.Mutex
	up time.Duration
}

func (h *hand) Uptime() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up
}

func (h *hand) Now() time.Time { return time.Unix(1e9, 0).UTC().Add(h.Uptime()) }

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up += d
}

// bench is a supervisor with what stands around it.
type bench struct {
	*Supervisor
	rack   *rack
	clock  *hand
	cfg    Config
	events []Event
}

func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	return newBenchOn(t, newRack(), c)
}

func newBenchOn(t testing.TB, r *rack, c Config) *bench {
	t.Helper()
	b := &bench{rack: r, clock: &hand{up: time.Hour}}
	c.Dir, c.BootID, c.Clock = t.TempDir(), "boot-1", b.clock
	c.LockPatience = time.Millisecond
	c.Observe = func(e Event) { b.events = append(b.events, e) }
	b.cfg = c
	b.start(t)
	t.Cleanup(func() { b.Abandon() })
	return b
}

// fataler is what a test and a property have in common.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// start makes a supervisor on the state folder, as a new process would.
func (b *bench) start(t fataler) {
	t.Helper()
	s, err := NewSupervisor(b.cfg)
	if err != nil {
		t.Fatalf("new supervisor: %v", err)
	}
	b.Supervisor = s
	if err := s.Register(context.Background(), b.rack); err != nil {
		t.Fatalf("register: %v", err)
	}
}

func (b *bench) restart(t fataler) {
	t.Helper()
	b.Abandon()
	b.start(t)
}

func (b *bench) kinds() []string {
	var out []string
	for _, e := range b.events {
		out = append(out, e.Kind)
	}
	return out
}

// turnTo is a set command for one knob.
func turnTo(owner string, priority int, knob string, v Value) Command {
	return Command{Mechanism: "Rack", Verb: Set, Owner: owner, Priority: priority, Settings: []Setting{{Knob: knob, Value: v}}, Lease: time.Minute}
}

func (b *bench) must(t testing.TB, c Command, want Outcome) Result {
	t.Helper()
	r, err := b.Apply(context.Background(), c)
	if r.Outcome != want {
		t.Fatalf("apply %+v: got %+v, %v; want %s", c, r, err, want)
	}
	return r
}

func (b *bench) refused(t testing.TB, c Command, code string) Result {
	t.Helper()
	r, err := b.Apply(context.Background(), c)
	if r.Outcome != Refused || r.Code != code || err == nil {
		t.Fatalf("apply %+v: got %+v, %v; want refusal %s", c, r, err, code)
	}
	return r
}

func (b *bench) want(t fataler, knob string, v Value) {
	t.Helper()
	if got := b.rack.snapshot()[knob]; got != v {
		t.Fatalf("%s is at %s, want %s", knob, got, v)
	}
}
