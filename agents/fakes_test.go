package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a sensor, an actuator and a log that remember what was asked of them.
type world struct {
	mu       sync.Mutex
	events   []string // in order: "begin ID", "apply ...", "finish ID outcome"
	commands []Command
	noted    []Decision
	begun    []Decision
	finished []Decision
	renewed  []LeaseID
	released []Holding
	open     []Decision // for Unfinished

	applied    []Command     // with their places in releasedAt
	releasedAt map[Key][]int // how many commands were applied before

	wakes   map[Key]func(Crossing)
	watched map[Key][]Bound

	watchErr error

	observe func(Key) (Observation, error)
	apply   func(Command) Result
	renew   func(LeaseID) error
	begin   func() error
}

func newWorld() *world {
	return &world{wakes: make(map[Key]func(Crossing)), watched: make(map[Key][]Bound), releasedAt: make(map[Key][]int)}
}

func (w *world) Observe(_ context.Context, k Key) (Observation, error) {
	if w.observe != nil {
		return w.observe(k)
	}
	return Observation{Readings: []Reading{{Name: "node_load1", Value: 3}}}, nil
}

func (w *world) Watch(k Key, bounds []Bound, wake func(Crossing)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watchErr != nil {
		return nil, w.watchErr
	}
	w.wakes[k], w.watched[k] = wake, bounds
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.wakes, k)
	}, nil
}

// cross crosses the first bound that k watches.
func (w *world) cross(k Key, value float64) bool {
	w.mu.Lock()
	wake, bounds := w.wakes[k], w.watched[k]
	w.mu.Unlock()
	if wake != nil {
		wake(Crossing{Bound: bounds[0], Value: value})
	}
	return wake != nil
}

func (w *world) Apply(_ context.Context, c Command) Result {
	r := Result{Effect: Applied, Lease: LeaseID("lease of " + c.Decision)}
	if w.apply != nil {
		r = w.apply(c)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commands = append(w.commands, c)
	if r.Effect.Done() {
		w.applied = append(w.applied, c)
	}
	w.events = append(w.events, fmt.Sprintf("apply %s %s", c.Mechanism, c.Decision))
	return r
}

func (w *world) Renew(_ context.Context, id LeaseID, _ time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewed = append(w.renewed, id)
	if w.renew != nil {
		return w.renew(id)
	}
	return nil
}

func (w *world) Release(_ context.Context, h Holding) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = append(w.released, h)
	w.releasedAt[h.Owner] = append(w.releasedAt[h.Owner], len(w.applied))
	w.events = append(w.events, "release "+h.Mechanism)
	return nil
}

func (w *world) Begin(_ context.Context, ds ...Decision) error {
	if w.begin != nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = append(w.begun, ds...)
	for _, d := range ds {
		w.events = append(w.events, "begin "+d.ID)
	}
	return nil
}

func (w *world) Finish(_ context.Context, d Decision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = append(w.finished, d)
	w.events = append(w.events, "finish "+d.ID)
	return nil
}

func (w *world) Note(d Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = append(w.noted, d)
}

func (w *world) Unfinished(context.Context) ([]Decision, error) { return w.open, nil }

func (w *world) outcomes() (all []Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.noted {
		all = append(all, d.Outcome)
	}
	return all
}

func (w *world) config() Config { return Config{Sensor: w, Actuator: w, Log: w} }

// script is a policy made of functions; a nil one does nothing.
type script struct {
	analyze func(Input) (Verdict, error)
	plan    func(Input) (Plan, error)
	end     func(Input) (Trace, error)
	migrate func(from uint32, state []byte) ([]byte, error)

	mu    sync.Mutex
	runs  []Input
	at    []time.Time
	ended int
}

func (s *script) Begin(_ context.Context, in Input) (Episode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs, s.at = append(s.runs, in), append(s.at, time.Now())
	return &scene{s, in}, nil
}

func (s *script) Migrate(_ context.Context, from uint32, state []byte) ([]byte, error) {
	if s.migrate == nil {
		return nil, ErrNoMigration
	}
	return s.migrate(from, state)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.runs)
}

func (s *script) inputs() []Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

type scene struct {
	s  *script
	in Input
}

func (x *scene) Analyze(context.Context) (Verdict, error) {
	if x.s.analyze == nil {
		return Verdict{}, nil
	}
	return x.s.analyze(x.in)
}

func (x *scene) Plan(context.Context) (Plan, error) {
	if x.s.plan == nil {
		return Plan{}, nil
	}
	return x.s.plan(x.in)
}

func (x *scene) End(context.Context) (Trace, error) {
	x.s.mu.Lock()
	x.s.ended++
	x.s.mu.Unlock()
	if x.s.end == nil {
		return Trace{Context: x.in.Context, Fuel: 7}, nil
	}
	return x.s.end(x.in)
}

var errTrap = errors.New("trap: unreachable")

func always(actions ...Action) *script {
	return &script{
		analyze: func(Input) (Verdict, error) { return Verdict{Plan: true, Why: "because"}, nil },
		plan:    func(Input) (Plan, error) { return Plan{Why: "to be fast", Actions: actions}, nil },
	}
}

func set(mechanism, knob string, x float64) Action {
	return Action{Mechanism: mechanism, Knob: knob, Verb: Set, Value: Number(x)}
}

func binding(name string, p Policy) Binding {
	return Binding{
		Key: Key{name, Node}, Version: "1", Policy: p, Interval: time.Second,
		Grants: []Grant{{Mechanism: "cpu"}, {Mechanism: "gpu"}},
	}
}

// start runs an engine until the test ends; call it in a synctest bubble.
func start(t *testing.T, c Config, bindings ...Binding) (*Engine, func()) {
	t.Helper()
	e := prepare(t, c, bindings...)
	return e, run(t, e)
}

// startContested starts with a contender that is there from the first pass on.
func startContested(t *testing.T, c Config, live Binding, next Contender) (*Engine, func()) {
	t.Helper()
	e := prepare(t, c, live)
	if err := e.Contend(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	return e, run(t, e)
}

func prepare(t *testing.T, c Config, bindings ...Binding) *Engine {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bindings {
		if err := e.Bind(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func run(t *testing.T, e *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
