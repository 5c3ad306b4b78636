package agents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/telemetry/attr"
)

// pending is a plan on its way through the scheduler. Until done is closed it
// belongs to the scheduler.
type pending struct {
	proposal
	ctx      context.Context // of the loop
	queued   time.Time
	begun    bool // in the log
	commands []Command
	done     chan struct{}
}

// schedule takes plans in the order of their arrival until the queue is closed.
//
// A cycle is what waits at the moment when the scheduler is free: it begins when
// a plan arrives and ends when the last of its plans has been executed. Plans
// that arrive meanwhile belong to the next one. There is no tick, so a plan that
// arrives alone is a cycle alone and waits for nobody.
func (e *Engine) schedule() {
	var cycle uint64
	for first := range e.queue {
		cycle++
		e.cycle(cycle, e.waiting(first))
	}
}

func (e *Engine) waiting(first *pending) []*pending {
	batch := []*pending{first}
	for len(batch) < cap(e.queue) {
		select {
		case p, ok := <-e.queue:
			if !ok {
				return batch
			}
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

func (e *Engine) cycle(n uint64, batch []*pending) {
	live := e.dropOvertaken(batch)
	e.rule(n, live)
	e.begin(live)
	for _, p := range live {
		if p.begun {
			e.execute(p)
		}
		close(p.done)
	}
}

// dropOvertaken answers the plans that nobody wants applied any more: those of
// loops that have gone, and those that waited so long, behind a mechanism that
// hangs, that what they were made for has passed.
func (e *Engine) dropOvertaken(batch []*pending) []*pending {
	var live []*pending
	for _, p := range batch {
		why := ""
		switch waited := time.Since(p.queued); {
		case p.ctx.Err() != nil:
			why = "the policy was stopped before its plan came to be applied"
		case waited > e.c.PlanAge:
			why = fmt.Sprintf("the plan waited %v behind others and is out of date", waited.Round(time.Millisecond))
		default:
			live = append(live, p)
			continue
		}
		p.decision.Phases.Queue = time.Since(p.queued)
		p.decision.Outcome, p.decision.Reason = Discarded, why
		close(p.done)
	}
	return live
}

func (e *Engine) rule(n uint64, live []*pending) {
	queue := make([]proposal, len(live))
	for i, p := range live {
		queue[i] = p.proposal
	}
	for i, r := range arbitrate(e.c.Rule, n, queue) {
		p := live[i]
		p.decision.Ruling = r
		p.decision.Phases.Queue = time.Since(p.queued)
		p.commands = commands(*p.decision, e.c.Lease)
		if len(r.Kept) == 0 {
			p.decision.Outcome, p.decision.Reason = Discarded, r.Losses[0].Why
		}
	}
}

// begin makes the decisions of a cycle durable, in one write. Without that
// nothing is done.
func (e *Engine) begin(live []*pending) {
	var ds []Decision
	for _, p := range live {
		if len(p.commands) > 0 {
			ds = append(ds, *p.decision)
		}
	}
	if len(ds) == 0 {
		return
	}
	began := time.Now()
	err := e.c.Log.Begin(context.Background(), ds...)
	for _, p := range live {
		if len(p.commands) == 0 {
			continue
		}
		p.decision.Phases.Log = time.Since(began)
		if p.begun = err == nil; !p.begun {
			p.decision.Outcome, p.decision.Failure = Failed, failure("log", err)
			p.decision.Reason = "nothing was done, because the decision could not be written down first"
			e.c.Logger.Error("plan is not applied: it can't be logged", "decision", p.decision.ID, "error", err)
		}
	}
}

// execute has each command of a plan applied, once, in the plan's order. A
// command that fails does not keep the others from being tried.
func (e *Engine) execute(p *pending) {
	began := time.Now()
	for _, c := range p.commands {
		p.decision.Results = append(p.decision.Results, e.apply(p.ctx, c))
	}
	p.decision.Phases.Apply = time.Since(began)
	p.decision.Outcome, p.decision.Reason = judge(p.decision.Ruling, p.decision.Results)
}

func (e *Engine) apply(ctx context.Context, c Command) Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.c.ApplyTimeout)
	defer cancel()
	ctx, span := e.c.Tracer.Start(ctx, attr.SpanApply, slog.String(attr.Mechanism, c.Mechanism))
	began := time.Now()
	r := e.carryOut(ctx, c)
	r.Mechanism, r.Verb, r.Took = c.Mechanism, c.Verb, time.Since(began)
	var err error
	if !r.Effect.Done() {
		err = errors.New(r.Message)
	}
	span.End(err, slog.String(attr.Effect, string(r.Effect)))
	return r
}

// carryOut calls the actuator. One that does not return though its time is up is left behind, so that it holds up nobody
// else's plans; until it does, its mechanism gets no other command. What it may yet do is under no lease that is renewed.
func (e *Engine) carryOut(ctx context.Context, c Command) Result {
	stuck := func(why string) Result {
		return Result{Effect: Unfinished, Code: "mechanism.stuck", Message: why, Hint: "look for hardware or a driver that hangs"}
	}
	if before := e.stuck[c.Mechanism]; before != nil {
		select {
		case <-before:
			delete(e.stuck, c.Mechanism)
		default:
			r := stuck("an earlier command has not returned yet")
			r.Effect = Refused
			return r
		}
	}
	answer, returned := make(chan Result, 1), make(chan struct{})
	go func() {
		defer close(returned)
		answer <- e.c.Actuator.Apply(ctx, c)
	}()
	select {
	case r := <-answer:
		return r
	case <-time.After(e.c.ApplyTimeout + stuckAfter):
		e.stuck[c.Mechanism] = returned
		return stuck("it did not return in time; it may still act")
	}
}

// stuckAfter is how long an actuator may take to notice that its time is up.
const stuckAfter = time.Second

// judge says what the results amount to.
func judge(r Ruling, results []Result) (Outcome, string) {
	done, broken, first := 0, 0, ""
	for _, x := range results {
		switch {
		case x.Effect.Done():
			done++
		case x.Effect != Refused:
			broken++
			fallthrough
		default:
			if first == "" {
				first = x.Mechanism + ": " + x.Message
			}
		}
	}
	switch {
	case done == len(results) && len(r.Losses) == 0:
		return Landed, ""
	case done == len(results):
		return PartlyLanded, r.Losses[0].Why
	case done > 0:
		return PartlyLanded, first
	case broken > 0:
		return Failed, first
	}
	return RefusedByAll, first
}

// commands groups the kept actions of a decision: one command for each
// mechanism, verb and lease, in the order of the plan.
func commands(d Decision, lease time.Duration) []Command {
	var cs []Command
	for _, a := range d.Ruling.Kept {
		standing := a.Lease == 0
		if standing {
			a.Lease = lease
		} else {
			a.Lease = max(a.Lease, minLease)
		}
		c := commandFor(&cs, d, a, standing)
		if a.Knob != AllKnobs {
			c.Settings = append(c.Settings, Setting{Knob: a.Knob, Value: a.Value, Unit: a.Unit})
		}
	}
	return cs
}

// minLease is the shortest lease that a plan gets: renewing shorter ones would keep the loop, and the disk, busy with nothing
// else.
const minLease = time.Second

func commandFor(cs *[]Command, d Decision, a Action, standing bool) *Command {
	for i := range *cs {
		c := &(*cs)[i]
		if c.Mechanism == a.Mechanism && c.Verb == a.Verb && (a.Verb == Reset || c.Lease == a.Lease && c.Standing == standing) {
			return c
		}
	}
	c := Command{Mechanism: a.Mechanism, Verb: a.Verb, Owner: d.Key, Decision: d.ID, Priority: d.Priority}
	if a.Verb == Set {
		c.Lease, c.Standing = a.Lease, standing
	}
	*cs = append(*cs, c)
	return &(*cs)[len(*cs)-1]
}

// recover closes the decisions that were begun and never finished, with what is
// known of them. An agent whose disk fails must start all the same, so whatever
// goes wrong here is told, and tried again at the next start.
func (e *Engine) recover(ctx context.Context) {
	memory, ok := e.c.Log.(Recovery)
	if !ok {
		return
	}
	open, err := memory.Unfinished(ctx)
	if err != nil {
		e.c.Logger.Error("decisions that a crash left open are not found", "error", err)
	}
	for _, d := range open {
		e.interrupted(ctx, &d)
		if err := e.c.Log.Finish(ctx, d); err != nil {
			e.c.Logger.Error("interrupted decision is not closed", "decision", d.ID, "error", err)
			continue
		}
		e.c.Logger.Warn("decision was interrupted", "decision", d.ID, "loop", d.Key.String())
	}
}

func (e *Engine) interrupted(ctx context.Context, d *Decision) {
	d.Outcome = Interrupted
	d.Reason = "the agent stopped between writing the decision down and recording its result; it may have been acted on"
	inspector, canAsk := e.c.Actuator.(Inspector)
	for _, c := range commands(*d, e.c.Lease) {
		r := Result{Effect: Unfinished, Message: "the agent stopped before the result was known"}
		if canAsk {
			if found, ok := inspector.Inspect(ctx, c); ok {
				r = found
			}
		}
		r.Mechanism, r.Verb = c.Mechanism, c.Verb
		d.Results = append(d.Results, r)
	}
}
