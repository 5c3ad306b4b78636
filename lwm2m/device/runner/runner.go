package runner

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/wasmabi"
)

// Bounds.
const (
	MaxWorkloads = 8
	MaxQueue     = 32 // inputs of one workload that wait; the oldest gives way
	MaxValue     = 2 << 10
	MinDelay     = time.Second // before a workload that failed is started anew; doubled each time
	MaxDelay     = 5 * time.Minute
	// MaxHops is how often a value may set another workload going before it counts as a loop.
	MaxHops = 16
)

// Errors of Start and Deliver.
var (
	ErrTooMany = errors.New("no room for another workload")
	ErrUnknown = errors.New("no such workload or input")
	ErrLoop    = errors.New("it went round too often: the routes form a loop")
	ErrValue   = errors.New("the value has another type than the input, or is too long")
)

// Properties reads what the device knows of itself. The runner asks before a call, never during one.
type Properties interface {
	Property(lwm2m.Path) (lwm2m.Value, bool)
}

// Contexts keeps what policies remember over a restart, by a policy's name.
type Contexts interface {
	Load(name string) ([]byte, error)
	Save(name string, document []byte) error
}

// Value is a number, or bytes where they are not nil.
type Value struct {
	Number float64
	Bytes  []byte
}

// Output is what a workload gave out.
type Output struct {
	Workload uint16
	Name     string
	Unit     string
	Value    Value
	Time     time.Time
	Hops     int // of the input that it came of; 0 for one of a tick
}

// Config is what a Runner needs.
type Config struct {
	Host       *host.Runtime
	Device     string // its endpoint name
	Properties Properties
	Knobs      *knob.Panel // what workloads and policies may turn; nil: nothing
	// Metric reads what a policy's manifest asks for, if this device has it and lets policies have it; nil: there is none.
	Metric   func(*wasmabi.MetricRequest) (Reading, bool)
	Contexts Contexts // nil: policies begin anew at every start
	// Offers says which properties and knobs this device lets workloads have; nil: all that they ask for.
	Offers func(w *wasmabi.Manifest, property lwm2m.Path, knob string) bool
	// Emit takes an output. It returns at once, and may call Deliver.
	Emit func(Output)
	// Changed is told when a workload's state or error has changed.
	Changed func(id uint16)
	Logger  *slog.Logger
}

// Runner runs workloads, each by its id: the instance of object 9 that it stands in.
type Runner struct {
	config Config
	wake   chan struct{} // of one element: something is due earlier than it was

	mu        sync.Mutex
	workloads map[uint16]program
}

// program is what runs: a workload or a policy.
type program interface {
	begin(ctx context.Context) error // the first start, whose failure is the caller's to report
	end(ctx context.Context)
	due(now time.Time) time.Duration // until it wants to be called; not positive is now
	run(ctx context.Context)         // what is due
	accept(input string, v Value, hops int) error
	status(now time.Time) Status
}

// New makes a Runner. It starts nothing.
func New(c Config) *Runner {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Emit == nil {
		c.Emit = func(Output) {}
	}
	if c.Changed == nil {
		c.Changed = func(uint16) {}
	}
	return &Runner{config: c, wake: make(chan struct{}, 1), workloads: map[uint16]program{}}
}

// Check tells whether a module could be started, without starting it.
func (r *Runner) Check(ctx context.Context, module []byte) (*wasmabi.Manifest, error) {
	m, err := r.prepare(ctx, module)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Manifest(), nil
}

func (r *Runner) prepare(ctx context.Context, module []byte) (*host.Module, error) {
	m, err := r.config.Host.Prepare(ctx, module)
	if err != nil {
		return nil, err
	}
	if err := fits(m.Manifest()); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// fits refuses what is not for a device.
func fits(m *wasmabi.Manifest) error {
	switch m.Kind {
	case wasmabi.KindWorkload:
		return nil
	case wasmabi.KindPolicy:
		return fitsPolicy(m)
	}
	return &host.Refusal{Code: "device.kind", Why: "it is of kind " + m.Kind + ", and a device runs workloads and policies", Hint: "give policy.yaml `kind: workload`"}
}

// program makes what a module's kind calls for.
func (r *Runner) program(id uint16, m *host.Module, parameters map[string]float64) program {
	if m.Manifest().Kind == wasmabi.KindPolicy {
		return newPolicy(r, id, m, parameters)
	}
	return newWorkload(r, id, m, parameters)
}

// Start brings a workload or a policy in and calls its start. Parameters that are not given have their default. It fails when the guest does not start; the device
// then does without it.
func (r *Runner) Start(ctx context.Context, id uint16, module []byte, parameters map[string]float64) error {
	r.mu.Lock()
	_, taken := r.workloads[id]
	full := len(r.workloads) >= MaxWorkloads
	r.mu.Unlock()
	if taken || full {
		return ErrTooMany
	}
	m, err := r.prepare(ctx, module)
	if err != nil {
		return err
	}
	w := r.program(id, m, parameters)
	if err := w.begin(ctx); err != nil {
		m.Close()
		return err
	}
	r.mu.Lock()
	r.workloads[id] = w
	r.mu.Unlock()
	r.hurry()
	r.config.Changed(id)
	return nil
}

// Stop calls a workload's stop and gives it up. It waits for a call that is under way.
func (r *Runner) Stop(ctx context.Context, id uint16) {
	r.mu.Lock()
	w := r.workloads[id]
	delete(r.workloads, id)
	r.mu.Unlock()
	if w == nil {
		return
	}
	w.end(ctx)
	r.config.Changed(id)
}

// Deliver puts a value into the queue of an input.
func (r *Runner) Deliver(id uint16, input string, v Value, hops int) error {
	if hops > MaxHops {
		return ErrLoop
	}
	r.mu.Lock()
	w := r.workloads[id]
	r.mu.Unlock()
	if w == nil {
		return ErrUnknown
	}
	if err := w.accept(input, v, hops); err != nil {
		return err
	}
	r.hurry()
	return nil
}

// hurry wakes Run.
func (r *Runner) hurry() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run calls workloads as they are due until ctx ends, and stops them all then.
func (r *Runner) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := r.turn(ctx)
		timer.Reset(next)
		select {
		case <-ctx.Done():
			r.stopAll()
			return ctx.Err()
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// idle is how long the runner sleeps when nothing is due.
const idle = time.Hour

// turn runs what is due, each workload once, and returns the time until something is.
func (r *Runner) turn(ctx context.Context) time.Duration {
	next := idle
	for _, w := range r.all() {
		if ctx.Err() != nil {
			break
		}
		if due := w.due(time.Now()); due > 0 {
			next = min(next, due)
			continue
		}
		w.run(ctx)
		next = min(next, max(w.due(time.Now()), 0))
	}
	return next
}

func (r *Runner) all() []program {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]program, 0, len(r.workloads))
	for _, id := range slices.Sorted(maps.Keys(r.workloads)) {
		all = append(all, r.workloads[id])
	}
	return all
}

// stopTime is what all last words together may take.
const stopTime = 2 * time.Second

func (r *Runner) stopAll() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for _, id := range r.Running(nil) {
		r.Stop(ctx, id)
	}
}

// Status returns what is known of a workload that was started and not stopped.
func (r *Runner) Status(id uint16) (Status, bool) {
	r.mu.Lock()
	w := r.workloads[id]
	r.mu.Unlock()
	if w == nil {
		return Status{}, false
	}
	return w.status(time.Now()), true
}

// Running appends the ids of all workloads, ascending.
func (r *Runner) Running(dst []uint16) []uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	start := len(dst)
	for id := range r.workloads {
		dst = append(dst, id)
	}
	slices.Sort(dst[start:])
	return dst
}
