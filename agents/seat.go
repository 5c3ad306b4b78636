package agents

import (
	"bytes"
	"context"
	"time"

	"github.com/edgehold/edgehold/telemetry/attr"
)

// seat is what belongs to one version of a loop's policy: its binding, its own chain of contexts, how often it wants to
// look and what should wake it. Swapping versions is swapping seats.
type seat struct {
	b        Binding
	state    []byte
	interval time.Duration
	bounds   []Bound
}

func (e *Engine) newSeat(b Binding, state []byte) *seat {
	return &seat{b: b, state: state, interval: e.interval(b.Interval), bounds: b.Bounds}
}

// adapt makes the input that a pass has for all versions that of this one.
func (s *seat) adapt(in Input) Input {
	in.Version, in.Context, in.Schema = s.b.Version, s.state, s.b.Schema
	return in
}

// steps runs the phases of a pass until one fails.
type steps struct {
	tracer Tracer
	d      *Decision
	err    error
}

func (e *Engine) steps(d *Decision) *steps { return &steps{tracer: e.c.Tracer, d: d} }

// do runs one phase and takes its time. Whatever fails is in the decision's Failure too.
func (s *steps) do(ctx context.Context, phase string, took *time.Duration, f func(context.Context) error) bool {
	if s.err != nil {
		return false
	}
	began := time.Now()
	ctx, span := s.tracer.Start(ctx, phase)
	s.err = f(ctx)
	*took = time.Since(began)
	span.End(s.err)
	if s.err != nil {
		s.d.Failure = failure(phase, s.err)
	}
	return s.err == nil
}

// episode runs the version of a seat, filling in d. The seat keeps the context that the episode leaves.
func (e *Engine) episode(ctx context.Context, s *seat, in Input, d *Decision) error {
	d.Version, d.Module = s.b.Version, s.b.Module
	run := e.steps(d)
	var ep Episode
	if !run.do(ctx, attr.SpanBegin, &d.Phases.Begin, func(ctx context.Context) (err error) {
		ep, err = s.b.Policy.Begin(ctx, s.adapt(in))
		return err
	}) {
		return run.err
	}
	run.do(ctx, attr.SpanAnalyze, &d.Phases.Analyze, func(ctx context.Context) (err error) {
		d.Verdict, err = ep.Analyze(ctx)
		d.Verdict.Why = clip(d.Verdict.Why, maxWhyBytes)
		return err
	})
	if d.Verdict.Plan {
		run.do(ctx, attr.SpanPlan, &d.Phases.Plan, func(ctx context.Context) error { return e.plan(ctx, s, ep, d) })
	}
	e.end(ctx, s, ep, run)
	return run.err
}

// plan asks for the plan and refuses one that mechanisms must never see. The
// refused plan stays in the decision.
func (e *Engine) plan(ctx context.Context, s *seat, ep Episode, d *Decision) error {
	p, err := ep.Plan(ctx)
	if err != nil {
		return err
	}
	p.Why = clip(p.Why, maxWhyBytes)
	if len(p.Actions) > e.c.MaxActions {
		d.Plan = &Plan{Why: p.Why, Actions: p.Actions[:e.c.MaxActions], Atomic: p.Atomic}
	} else {
		d.Plan = &p
	}
	return s.b.check(p, e.c.MaxActions)
}

// end ends the episode whatever happened before. The context of an episode that
// failed is thrown away.
func (e *Engine) end(ctx context.Context, s *seat, ep Episode, run *steps) {
	d, began := run.d, time.Now()
	trace, err := ep.End(context.WithoutCancel(ctx))
	d.Phases.End = time.Since(began)
	d.Fuel, d.Record = trace.Fuel, trace.Record
	if err != nil && run.err == nil {
		run.err = err
		d.Failure = failure("end", err)
	}
	if run.err == nil && !bytes.Equal(trace.Context, s.state) {
		s.state = trace.Context
	}
}
