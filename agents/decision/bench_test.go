package decision

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

// From the callback that tells of a crossing until the actuator is called, with
// the real log on a real disk. What the policy and the mechanism take is not in
// it.
func BenchmarkWakeToApplyDurable(b *testing.B) {
	db, err := state.Open(b.Context(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	l, err := Open(b.Context(), db, Options{Budgets: map[Class]Budget{Acted: {Rows: 500, Bytes: 1 << 30}}})
	if err != nil {
		b.Fatal(err)
	}
	w := &bench{applied: make(chan struct{}, 1), finished: make(chan struct{}, 1), Log: l}
	e, err := agents.New(agents.Config{Sensor: w, Actuator: w, Log: w, WakeSpacing: time.Nanosecond})
	if err != nil {
		b.Fatal(err)
	}
	bound := agents.Bound{Metric: "load", Above: 1, Below: math.NaN()}
	err = e.Bind(b.Context(), agents.Binding{
		Key: agents.Key{Policy: "p", Asset: agents.Node}, Policy: benchPolicy{}, Bounds: []agents.Bound{bound},
		Grants: []agents.Grant{{Mechanism: "CPUFrequency"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 2)
	go func() { ended <- e.Run(ctx) }()
	go func() { ended <- db.Run(ctx) }()
	<-w.applied
	<-w.finished
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		w.wake(agents.Crossing{Bound: bound, Value: 2})
		<-w.applied
		took = append(took, time.Since(began))
		<-w.finished
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// bench is a sensor of 36 metrics, a policy with one wish and an actuator that
// does nothing, around the real log.
type bench struct {
	*Log
	wake              func(agents.Crossing)
	applied, finished chan struct{}
}

func (x *bench) Finish(ctx context.Context, d agents.Decision) error {
	defer func() { x.finished <- struct{}{} }()
	return x.Log.Finish(ctx, d)
}

func (x *bench) Observe(context.Context, agents.Key) (o agents.Observation, err error) {
	for range 36 {
		o.Readings = append(o.Readings, agents.Reading{Name: `node_cpu_seconds_total{cpu="0",mode="user"}`, Unit: "s", Value: 123.456})
	}
	return o, nil
}

func (x *bench) Watch(_ agents.Key, _ []agents.Bound, wake func(agents.Crossing)) (func(), error) {
	x.wake = wake
	return func() {}, nil
}

func (x *bench) Apply(context.Context, agents.Command) agents.Result {
	x.applied <- struct{}{}
	return agents.Result{Effect: agents.Applied}
}

func (x *bench) Renew(context.Context, agents.LeaseID, time.Duration) error { return nil }
func (x *bench) Release(context.Context, agents.Holding) error              { return nil }

type benchPolicy struct{}

func (benchPolicy) Begin(context.Context, agents.Input) (agents.Episode, error) {
	return benchEpisode{}, nil
}

type benchEpisode struct{}

func (benchEpisode) Analyze(context.Context) (agents.Verdict, error) {
	return agents.Verdict{Plan: true, Why: "load is high"}, nil
}

func (benchEpisode) Plan(context.Context) (agents.Plan, error) {
	return agents.Plan{Actions: example(0, agents.Open).Plan.Actions}, nil
}

func (benchEpisode) End(context.Context) (agents.Trace, error) {
	return agents.Trace{Record: make([]byte, 4096)}, nil
}

// What a decision waits for its durable write while sixteen loops act at once.
// They share transactions, so it is a few writes and not sixteen.
func BenchmarkBeginUnderLoad(b *testing.B) {
	db, err := state.Open(b.Context(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	l, err := Open(b.Context(), db, Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = db.Run(ctx) })
	defer running.Wait()
	defer cancel()
	var ids atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(8) // times two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d := example(int(ids.Add(1)), agents.Open)
			began := time.Now()
			if err := l.Begin(b.Context(), d); err != nil {
				b.Error(err)
			}
			waited := time.Since(began)
			mu.Lock()
			took = append(took, waited)
			mu.Unlock()
			d.Outcome = agents.Landed
			if err := l.Finish(b.Context(), d); err != nil {
				b.Error(err)
			}
		}
	})
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
