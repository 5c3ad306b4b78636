package agents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Sensor observes on behalf of policies.
type Sensor interface {
	// Observe returns what the policy is to see now.
	Observe(ctx context.Context, k Key) (Observation, error)
	// Watch calls wake whenever a metric newly leaves its bound, until stop is
	// called. Wake returns at once and may be called from any goroutine.
	Watch(k Key, bounds []Bound, wake func(Crossing)) (stop func(), err error)
}

// Log keeps decisions.
type Log interface {
	// Begin makes decisions durable before they are acted on: when it returns
	// nil, they survive a crash. All or none.
	Begin(ctx context.Context, ds ...Decision) error
	// Finish records the final form of a decision that was begun.
	Finish(ctx context.Context, d Decision) error
	// Note records a decision that nobody acted on. It does not wait for the
	// disk; a crash may lose the last moments of them.
	Note(d Decision)
}

// Recovery is a Log that remembers decisions which were begun and not finished
// when the agent stopped.
type Recovery interface {
	Unfinished(ctx context.Context) ([]Decision, error)
}

// Contexts keeps what episodes leave for the next one, by schema, so that a
// rolled-back version finds what it left.
type Contexts interface {
	Load(ctx context.Context, policy, asset string, schema uint32) (state []byte, found bool, err error)
	// Save does not wait for the disk.
	Save(policy, asset string, schema uint32, state []byte)
}

// Tracer starts spans. A nil Tracer traces nothing.
type Tracer interface {
	Start(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, Span)
}

// Span is a stretch of time with a name.
type Span interface {
	// TraceID is the 16 bytes, in hex, that the decision takes for its own;
	// empty if the span is not recorded.
	TraceID() string
	End(err error, attrs ...slog.Attr)
}

// Unhealthy tells of a policy that keeps failing.
type Unhealthy struct {
	Key      Key
	Version  string
	Failures int // consecutive
	Last     *Failure
}

// Config is what an engine needs. Sensor, Actuator and Log have no defaults.
type Config struct {
	Sensor   Sensor
	Actuator Actuator
	Log      Log
	Contexts Contexts // nil keeps contexts in memory only
	Tracer   Tracer
	Logger   *slog.Logger
	Now      func() time.Time // the wall clock; intervals never depend on it

	Mode Mode // default Heuristic
	Rule Rule // default PerKnob

	MinInterval  time.Duration // floor of what a policy may ask for; default 100 ms
	WakeSpacing  time.Duration // between two episodes of a loop that were woken; default 50 ms
	Lease        time.Duration // of an action that names none; default 30 s
	ApplyTimeout time.Duration // for one command; default 5 s
	PlanAge      time.Duration // a plan that waited longer for its cycle is discarded; default 10 s
	BackoffBase  time.Duration // after the first failure; default 1 s, doubled each time
	BackoffMax   time.Duration // default 5 min
	MaxFailures  int           // consecutive, until OnUnhealthy; default 3
	MaxActions   int           // in one plan; default 256
	Queue        int           // plans waiting; a loop with a plan waits for room; default 64

	// OnUnhealthy is called once for each run of MaxFailures consecutive
	// failures, in a goroutine of its own that Run waits for. It may call
	// Replace and Unbind.
	OnUnhealthy func(context.Context, Unhealthy)

	// OnSwap is told how long a loop stood still for [Engine.Swap]. It is called by the loop and must not block.
	OnSwap func(Key, time.Duration)
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(c.Sensor != nil, "no Sensor")
	need(c.Actuator != nil, "no Actuator")
	need(c.Log != nil, "no Log")
	need(c.Mode == "" || c.Mode == Heuristic || c.Mode == ML, fmt.Sprintf("mode %q is neither heuristic nor ml", c.Mode))
	need(c.Rule == "" || c.Rule == PerKnob || c.Rule == PerMechanism, fmt.Sprintf("rule %q is neither knob nor mechanism", c.Rule))
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"MinInterval", c.MinInterval}, {"WakeSpacing", c.WakeSpacing}, {"Lease", c.Lease},
		{"ApplyTimeout", c.ApplyTimeout}, {"PlanAge", c.PlanAge}, {"BackoffBase", c.BackoffBase}, {"BackoffMax", c.BackoffMax},
	} {
		need(d.d >= 0, d.name+" is negative")
	}
	need(c.MaxFailures >= 0 && c.MaxActions >= 0 && c.Queue >= 0, "MaxFailures, MaxActions and Queue can't be negative")
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	orDefault(&c.Mode, Heuristic)
	orDefault(&c.Rule, PerKnob)
	orDefault(&c.MinInterval, 100*time.Millisecond)
	orDefault(&c.WakeSpacing, 50*time.Millisecond)
	orDefault(&c.Lease, 30*time.Second)
	orDefault(&c.ApplyTimeout, 5*time.Second)
	orDefault(&c.PlanAge, 10*time.Second)
	orDefault(&c.BackoffBase, time.Second)
	orDefault(&c.BackoffMax, 5*time.Minute)
	orDefault(&c.MaxFailures, 3)
	orDefault(&c.MaxActions, 256)
	orDefault(&c.Queue, 64)
	orDefault(&c.Logger, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Tracer == nil {
		c.Tracer = noTracer{}
	}
	if c.Contexts == nil {
		c.Contexts = newMemoryContexts()
	}
	return c
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
