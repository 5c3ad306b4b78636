package node

import (
	"context"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// metricStore answers PromQL. *ring.Store is one.
type metricStore interface {
	Query(ctx context.Context, expr string, at time.Time) (ring.Result, error)
}

// measure gives every rollout that is not over a reading. Gates are not read where a failure is the reason to look: they
// count readings, and those come once a second.
func (p *policies) measure(ctx context.Context, gates bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.trials {
		if t.state.Over() || t.tally == nil {
			continue
		}
		r := t.tally.reading()
		if gates {
			p.readGates(ctx, &t.state.Spec, &r)
		}
		p.tryStep(ctx, t, rollout.Event{Kind: rollout.Measured, Rollout: t.state.ID, Reading: &r})
		p.tryStep(ctx, t, rollout.Event{Kind: rollout.Tick, Rollout: t.state.ID})
		if gates {
			p.publish(api.ResourceRollout, t.name, api.EventRolloutMeasured, "")
		}
	}
}

// tryStep is for events that nobody waits for.
func (p *policies) tryStep(ctx context.Context, t *trial, e rollout.Event) {
	if err := p.step(ctx, t, e); err != nil {
		p.log.Error("a rollout does not go on", "policy", t.name, "event", e.Kind, "error", err)
	}
}

func (p *policies) readGates(ctx context.Context, s *rollout.Spec, r *rollout.Reading) {
	for i := range s.Gates {
		var value *float64
		if worst, any := s.Gates[i].Worst(p.values(ctx, s.Gates[i].Query())); any {
			value = &worst
		}
		r.Gates = append(r.Gates, value)
	}
	if s.Goal == nil {
		return
	}
	if values := p.values(ctx, s.Goal.Query()); len(values) > 0 {
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		mean := sum / float64(len(values))
		r.Goal = &mean
	}
}

// values is what an expression gives now; one that can't be evaluated gives nothing, as one without data.
func (p *policies) values(ctx context.Context, expr string) []float64 {
	result, err := p.metrics.Query(ctx, expr, p.now())
	if err != nil {
		p.log.Warn("a gate can't be read", "expression", expr, "error", err)
		return nil
	}
	return newest(result)
}

// newest is the last value of each series.
func newest(r ring.Result) (values []float64) {
	for _, s := range r.Series {
		if n := len(s.Points); n > 0 {
			values = append(values, s.Points[n-1].Value)
		}
	}
	return values
}

// plainSpec is for versions that prove nothing before they decide: they are given up when the engine gives them up, and then at once.
// For as long as they settle, a second crash of the agent is held against them.
var plainSpec = rollout.Spec{MaxFaults: 1 << 62, Strikes: 1, Settle: time.Minute}

// align has the state machine of a policy agree with the database, where that was changed past it: policies that are older
// than rollouts, and versions that a person named.
func (t *trial) align(record *state.Policy) {
	s := &t.state
	if !s.Over() || s.Active == record.Active && s.Standby == record.Standby && !s.Halted {
		return
	}
	aligned := rollout.Adopt(record.Active, record.Standby)
	aligned.Spec, aligned.Marks, aligned.History = plainSpec.WithDefaults(), s.Marks, s.History
	t.state = aligned
}

// unhealthy is the engine's report of a policy that keeps failing. Its version is quarantined; the standby takes over,
// or, without one, the policy stands still and its knobs go back.
func (p *policies) unhealthy(ctx context.Context, u agents.Unhealthy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := u.Key.Policy
	r := p.find(name)
	if r == nil || r.version != u.Version || !r.bound() {
		return
	}
	reason := fmt.Sprintf("%d failures in a row", u.Failures)
	if u.Last != nil {
		reason += ": " + u.Last.Message
	}
	t, err := p.aligned(ctx, name)
	if err == nil {
		err = p.step(ctx, t, rollout.Event{Kind: rollout.Fault, Digest: r.digest, Cause: rollout.CauseFaults, Why: reason})
	}
	if err != nil {
		p.log.Error("failing policy goes on", "policy", name, "error", err)
	}
}

// aligned returns the trial of a policy that is known, in agreement with its record.
func (p *policies) aligned(ctx context.Context, name string) (*trial, error) {
	record, err := p.record(ctx, name)
	if err != nil {
		return nil, err
	}
	t, err := p.trial(ctx, name)
	if err == nil {
		t.align(&record)
	}
	return t, err
}

// endTrial ends a rollout that stands in the way of what a person wants: one that proves itself is aborted, one that was
// activated keeps its place.
func (p *policies) endTrial(ctx context.Context, t *trial, by api.Actor, why string) error {
	if t.state.Over() {
		return nil
	}
	e := rollout.Event{Kind: rollout.Abort, By: by.String(), Person: true, Why: why}
	if t.state.Phase == rollout.PhaseActive {
		e.Kind = rollout.Promote
	}
	return p.step(ctx, t, e)
}
