package agents

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/edgehold/edgehold/telemetry/attr"
)

// pass runs one episode and sees its plan through; a contender's turn on the same input comes after that. The decision is
// returned in its final form.
func (l *loop) pass(ctx context.Context, t Trigger, since time.Time) Decision {
	start := time.Now()
	ctx, span := l.e.c.Tracer.Start(ctx, attr.SpanPass, slog.String(attr.Policy, l.b.Key.Policy), slog.String(attr.Asset, string(l.b.Key.Asset)))
	d := l.newDecision(t, span.TraceID())
	d.Phases.Wait = start.Sub(since)
	l.schedule(start, 0)
	turn, err := l.decide(ctx, &d)
	switch {
	case ctx.Err() != nil: // going, or unbound: not the policy's fault
		d.Outcome, d.Reason = Discarded, "the loop was stopped in the middle of the episode"
	case err != nil:
		d.Outcome = Failed
		l.failed(ctx, start, &d)
		l.e.c.Log.Note(d)
	default:
		l.failures, l.faults = 0, 0
		if d.Part == nil {
			l.follow(start, d.Verdict)
		}
		l.conclude(ctx, &d)
	}
	if ctx.Err() == nil {
		l.releaseDisowned(ctx)
	}
	span.End(err, slog.String(attr.Decision, d.ID), slog.String(attr.Outcome, string(d.Outcome)))
	l.publish(&d)
	l.contest(ctx, start, turn, &d)
	return d
}

func (l *loop) newDecision(t Trigger, trace string) Decision {
	if trace == "" {
		trace = newTraceID()
	}
	l.seq++
	return Decision{
		ID: newID(), TraceID: trace, Key: l.b.Key, Version: l.b.Version, Module: l.b.Module, Priority: l.b.Priority,
		Mode: l.mode, Time: l.e.c.Now(), Seq: l.seq, Trigger: t, Outcome: Open,
	}
}

// schedule makes the next periodic episode due: an interval after start, never
// in a burst after a stall.
func (l *loop) schedule(start time.Time, next time.Duration) {
	if next > 0 {
		l.interval = l.e.interval(next)
	}
	l.periodicAt = time.Time{}
	if l.interval > 0 {
		l.periodicAt = start.Add(l.interval)
	}
}

// follow takes over what a verdict asks of the loop.
func (l *loop) follow(start time.Time, v Verdict) {
	l.schedule(start, v.Next)
	changed := v.Bounds != nil && !slices.EqualFunc(v.Bounds, l.bounds, Bound.same)
	if changed {
		l.bounds = v.Bounds
	}
	if changed || l.unwatched != "" { // what could not be watched before may have appeared
		l.watch()
	}
}

// decide observes and has a version decide: the one in charge or, in its passes, the contender.
func (l *loop) decide(ctx context.Context, d *Decision) (turn, error) {
	run := l.e.steps(d)
	if !run.do(ctx, attr.SpanObserve, &d.Phases.Observe, func(ctx context.Context) (err error) {
		d.Observation, err = l.e.c.Sensor.Observe(ctx, l.b.Key)
		return err
	}) {
		return turn{}, run.err
	}
	t := turn{in: Input{Key: d.Key, Seq: d.Seq, Time: d.Time, Seed: newSeed(), Trigger: d.Trigger, Observation: d.Observation}, seen: true}
	if l.canary(ctx, &t, d) {
		return t, nil
	}
	return t, l.own(ctx, t.in, d)
}

// own runs the version in charge and keeps its context.
func (l *loop) own(ctx context.Context, in Input, d *Decision) error {
	before := l.state
	err := l.e.episode(ctx, l.seat, in, d)
	if !bytes.Equal(before, l.state) {
		l.save()
	}
	return err
}

func (l *loop) save() {
	l.e.c.Contexts.Save(l.b.Key.Policy, string(l.b.Key.Asset), l.b.Schema, l.state)
}

// conclude sees a plan through, or notes that there is none.
func (l *loop) conclude(ctx context.Context, d *Decision) {
	if d.Plan == nil || len(d.Plan.Actions) == 0 {
		d.Outcome = NoPlan
		if d.Plan != nil {
			d.Reason = "the plan is empty"
		}
		l.e.c.Log.Note(*d)
		return
	}
	p := &pending{proposal: proposal{decision: d, plan: *d.Plan}, ctx: ctx, queued: time.Now(), done: make(chan struct{})}
	l.submit(ctx, p)
	l.hold(p)
	if !p.begun {
		l.e.c.Log.Note(*d)
		return
	}
	if err := l.e.c.Log.Finish(context.WithoutCancel(ctx), *d); err != nil {
		l.e.c.Logger.Error("outcome is not recorded", "decision", d.ID, "error", err)
	}
}

// submit queues a plan and waits for what becomes of it, renewing leases
// meanwhile, though not behind a mechanism that hangs for good. The scheduler
// answers everything that it was sent.
func (l *loop) submit(ctx context.Context, p *pending) {
	select {
	case l.e.queue <- p:
	case <-ctx.Done():
		p.decision.Outcome, p.decision.Reason = Discarded, "the loop was stopped before its plan was queued"
		return
	}
	l.acting = true
	defer func() { l.acting = false }()
	for {
		var renew <-chan time.Time
		if at := l.held.renewAt(); !at.IsZero() && time.Since(p.queued) < l.e.c.PlanAge {
			renew = time.After(time.Until(at))
		}
		select {
		case <-p.done:
			return
		case now := <-renew:
			l.renew(ctx, now)
		}
	}
}

// failed backs off, exponentially, and calls for help when it goes on.
func (l *loop) failed(ctx context.Context, start time.Time, d *Decision) {
	l.failures++
	wait := min(l.e.c.BackoffBase<<min(l.failures-1, 20), l.e.c.BackoffMax)
	l.deafUntil = start.Add(wait)
	l.periodicAt = start.Add(max(wait, l.interval))
	l.e.c.Logger.Warn("episode failed", "loop", d.Key.String(), "version", d.Version, "phase", d.Failure.Phase,
		"code", d.Failure.Code, "failures", l.failures, "error", d.Failure.Message)
	if d.Failure.Phase != "observe" {
		l.faults++
	}
	if l.failures == l.e.c.MaxFailures {
		l.release(ctx, "the policy keeps failing")
	}
	if d.Failure.Phase != "observe" && l.faults%l.e.c.MaxFailures == 0 {
		l.e.unhealthy(Unhealthy{Key: d.Key, Version: d.Version, Failures: l.faults, Last: d.Failure})
	}
}
