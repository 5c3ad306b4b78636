package agents

import (
	"context"
	"math"
	"testing"
	"time"
)

// From the callback that tells of a crossing until the actuator is called, with
// a policy and a log that cost nothing: what the engine itself adds.
func BenchmarkWakeToApply(b *testing.B) {
	applied := make(chan struct{}, 1)
	w := &quiet{applied: applied}
	e, err := New(Config{Sensor: w, Actuator: w, Log: w, WakeSpacing: time.Nanosecond})
	if err != nil {
		b.Fatal(err)
	}
	bind := binding("p", always(set("cpu", "max", 1)))
	bind.Interval = 0
	bind.Bounds = []Bound{{Metric: "load", Above: 1, Below: math.NaN()}}
	if err := e.Bind(b.Context(), bind); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-applied // the first episode
	b.ReportAllocs()
	for b.Loop() {
		w.wake(Crossing{Bound: bind.Bounds[0], Value: 2})
		<-applied
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// quiet is a world without memory.
type quiet struct {
	wake    func(Crossing)
	applied chan struct{}
}

func (q *quiet) Observe(context.Context, Key) (Observation, error) { return Observation{}, nil }
func (q *quiet) Watch(_ Key, _ []Bound, wake func(Crossing)) (func(), error) {
	q.wake = wake
	return func() {}, nil
}
func (q *quiet) Apply(context.Context, Command) Result {
	q.applied <- struct{}{}
	return Result{Effect: Applied}
}
func (q *quiet) Renew(context.Context, LeaseID, time.Duration) error { return nil }
func (q *quiet) Release(context.Context, Holding) error              { return nil }
func (q *quiet) Begin(context.Context, ...Decision) error            { return nil }
func (q *quiet) Finish(context.Context, Decision) error              { return nil }
func (q *quiet) Note(Decision)                                       {}
