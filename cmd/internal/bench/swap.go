package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// swaps is how often versions change places.
const swaps = 10_000

// guestPolicy runs a prepared module as the engine's policy: a fresh instance for each pass.
type guestPolicy struct{ module *host.Module }

func (g guestPolicy) Begin(ctx context.Context, in agents.Input) (agents.Episode, error) {
	s, err := g.module.Begin(ctx, host.SessionConfig{Time: in.Time, Seed: in.Seed})
	if err != nil {
		return nil, err
	}
	return guestEpisode{s}, nil
}

type guestEpisode struct{ session *host.Session }

func (e guestEpisode) Analyze(ctx context.Context) (agents.Verdict, error) {
	_, err := e.session.Call(ctx, wasmabi.OpPlan, benchRequest)
	return agents.Verdict{}, err
}

func (e guestEpisode) Plan(context.Context) (agents.Plan, error) { return agents.Plan{}, nil }

func (e guestEpisode) End(context.Context) (agents.Trace, error) {
	e.session.Close()
	return agents.Trace{}, nil
}

var benchRequest = wasmabi.AppendObservation(nil, observation())

// quietWorld is the rest of an engine: it sees nothing, keeps nothing, and counts the passes.
type quietWorld struct{ passes, failed atomic.Int64 }

func (*quietWorld) Observe(context.Context, agents.Key) (agents.Observation, error) {
	return agents.Observation{}, nil
}

func (*quietWorld) Watch(agents.Key, []agents.Bound, func(agents.Crossing)) (func(), error) {
	return func() {}, nil
}

func (*quietWorld) Apply(context.Context, agents.Command) agents.Result {
	return agents.Result{Effect: agents.Applied}
}
func (*quietWorld) Renew(context.Context, agents.LeaseID, time.Duration) error { return nil }
func (*quietWorld) Release(context.Context, agents.Holding) error              { return nil }
func (*quietWorld) Begin(context.Context, ...agents.Decision) error            { return nil }
func (*quietWorld) Finish(context.Context, agents.Decision) error              { return nil }

func (w *quietWorld) Note(d agents.Decision) {
	w.passes.Add(1)
	if d.Failure != nil {
		w.failed.Add(1)
	}
}

// arena is a loop with two versions of a Go policy, and somebody who never stops asking it to look.
type arena struct {
	engine *agents.Engine
	world  *quietWorld
	pauses []time.Duration
	asked  int64
	close  func() error
}

var arenaKey = agents.Key{Policy: "bench", Asset: agents.Node}

func newArena(ctx context.Context) (*arena, error) {
	one, err := prepareGo(ctx, host.Config{})
	if err != nil {
		return nil, err
	}
	two, err := prepareGo(ctx, host.Config{})
	if err != nil {
		one.close(ctx)
		return nil, err
	}
	a := &arena{world: &quietWorld{}}
	a.engine, err = agents.New(agents.Config{Sensor: a.world, Actuator: a.world, Log: a.world,
		OnSwap: func(_ agents.Key, d time.Duration) { a.pauses = append(a.pauses, d) }})
	if err != nil {
		return nil, err
	}
	binding := func(p *prepared, version string) agents.Binding {
		return agents.Binding{Key: arenaKey, Version: version, Module: version, Policy: guestPolicy{p.Module}, Interval: time.Hour}
	}
	if err := a.engine.Bind(ctx, binding(one, "1")); err != nil {
		return nil, err
	}
	if err := a.engine.Contend(ctx, agents.Contender{Binding: binding(two, "2"), Rollout: "bench"}); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended, quiet := make(chan error, 1), make(chan error, 1)
	go func() { ended <- a.engine.Run(running) }()
	for a.world.passes.Load() == 0 { // it begins with one
		time.Sleep(time.Millisecond)
	}
	a.asked = a.world.passes.Load()
	load, unload := context.WithCancel(ctx)
	go func() { quiet <- a.load(load) }()
	a.close = func() error {
		unload()
		err := <-quiet
		stop()
		err = errors.Join(err, <-ended)
		one.close(ctx)
		two.close(ctx)
		return err
	}
	return a, nil
}

// load asks for one pass after the other.
func (a *arena) load(ctx context.Context) error {
	for ctx.Err() == nil {
		d, err := a.engine.Trigger(context.WithoutCancel(ctx), arenaKey, "bench")
		if err != nil {
			return err
		}
		if d.Failure != nil {
			return fmt.Errorf("a pass failed: %s", d.Failure.Message)
		}
		a.asked++
	}
	return nil
}

// swapPause is how long a loop stands still for an exchange of versions: the median of many under load, since the loop's
// goroutine may lose its processor in the middle of it as anywhere else. A pass that was asked for and not made, or that failed,
// fails the row.
func swapPause(ctx context.Context) (Measured, error) {
	a, err := newArena(ctx)
	if err != nil {
		return Measured{}, err
	}
	for range swaps {
		if err := a.engine.Swap(ctx, arenaKey); err != nil {
			return Measured{}, errors.Join(err, a.close())
		}
	}
	if err := a.close(); err != nil {
		return Measured{}, err
	}
	// Each exchange makes one pass due, which may be made together with one that was asked for.
	if made := a.world.passes.Load(); made < a.asked || a.world.failed.Load() > 0 || len(a.pauses) != swaps {
		return Measured{}, fmt.Errorf("%d passes were asked for and %d made, %d failed, in %d exchanges", a.asked, made, a.world.failed.Load(), len(a.pauses))
	}
	slices.Sort(a.pauses)
	return Measured{Ours: float64(a.pauses[len(a.pauses)/2]), Unit: "ns"}, nil
}

// rollbackTime is how long it takes from the decision to go back until the version before is in charge, under load: the 99th
// percentile, with whatever pass is running then.
func rollbackTime(ctx context.Context) (Measured, error) {
	a, err := newArena(ctx)
	if err != nil {
		return Measured{}, err
	}
	var took []time.Duration
	for range swaps / 10 {
		if err := a.engine.Swap(ctx, arenaKey); err != nil { // the new version takes over,
			return Measured{}, errors.Join(err, a.close())
		}
		began := time.Now()
		if err := a.engine.Swap(ctx, arenaKey); err != nil { // and is taken back
			return Measured{}, errors.Join(err, a.close())
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return Measured{Ours: float64(took[len(took)*99/100]), Unit: "ns"}, a.close()
}

// prepareFour is making four instances of a Go policy from its image.
func prepareFour(ctx context.Context) (Measured, error) {
	p, err := prepareGo(ctx, host.Config{MaxInstances: 4})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	var took []time.Duration
	for range samples {
		p.Trim(0)
		began := time.Now()
		var open []*host.Session
		for range 4 {
			s, err := p.Begin(ctx, host.SessionConfig{})
			if err != nil {
				return Measured{}, err
			}
			open = append(open, s)
		}
		took = append(took, time.Since(began))
		for _, s := range open {
			s.Close()
		}
	}
	return Measured{Ours: float64(quantile(took, 0.5)), Unit: "ns"}, nil
}
