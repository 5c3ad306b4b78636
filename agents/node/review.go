package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/wasmabi"
)

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
	p.publish(api.ResourcePolicy, name, api.EventPolicyQuarantined, "version "+r.version+": "+reason)
	err := p.db.Quarantine(ctx, name, r.digest, reason)
	p.audit(ctx, api.DaemonActor, "policy.quarantine", subject(name, r.version, r.digest), err)
	if err != nil {
		p.log.Error("quarantine is not recorded", "policy", name, "error", err)
	}
	p.fallBack(ctx, r, reason)
}

func (p *policies) fallBack(ctx context.Context, r *running, reason string) {
	record, err := p.db.Policy(ctx, r.name)
	if err == nil && record.Standby != "" {
		err = p.resume(ctx, record, record.Standby)
		p.audit(ctx, api.DaemonActor, "policy.rollback", r.name+": "+reason, err)
		if err == nil {
			p.publish(api.ResourcePolicy, r.name, api.EventPolicyRolledBack, "to version "+p.find(r.name).version)
			return
		}
	}
	if err != nil {
		p.log.Error("no version to fall back on", "policy", r.name, "error", err)
	}
	if err := p.stop(ctx, r.name); err != nil {
		p.log.Error("failing policy can't be stopped", "policy", r.name, "error", err)
		return
	}
	p.running.Store(r.name, &running{name: r.name, version: r.version, digest: r.digest, waits: reason})
}

// reviewEvery is how often waiting policies and changed hardware are looked at.
const reviewEvery = time.Second

// review binds policies whose needs are met by now, and swaps in a new dictionary where the knobs have changed.
func (p *policies) review(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running.Range(func(_, v any) bool {
		switch r := v.(*running); {
		case ctx.Err() != nil:
		case r.module != nil:
			p.reviewOne(ctx, r)
		case !r.again.IsZero() && p.now().After(r.again):
			p.startAgain(ctx, r.name)
		}
		return true
	})
}

func (p *policies) startAgain(ctx context.Context, name string) {
	if record, err := p.db.Policy(ctx, name); err == nil {
		p.startPolicy(ctx, record)
	}
}

func (p *policies) reviewOne(ctx context.Context, r *running) {
	record, err := p.db.Policy(ctx, r.name)
	if err != nil {
		return
	}
	dict := newDictionary(ctx, r.module.Manifest(), agents.Node, record.Parameters, record.Allow, p.supervisor)
	if r.bound() && sameKnobs(dict.init.Knobs, r.dict.init.Knobs) {
		return
	}
	next := *r
	next.dict, next.view, next.waits = &dict, nil, ""
	if r.bound() {
		if next.waits = p.unfit(ctx, &next); next.waits != "" {
			p.suspend(ctx, r, &next)
			return
		}
	}
	if err := p.bind(ctx, &next, r); err != nil {
		p.log.Warn("policy is not bound", "policy", r.name, "error", err)
		return
	}
	p.running.Store(r.name, &next)
	if r.view != nil {
		r.view.close()
	}
	if next.bound() && !r.bound() {
		p.publish(api.ResourcePolicy, r.name, api.EventPolicyActivated, "version "+r.version)
	}
}

// suspend has a policy wait whose hardware has gone: that is no fault of its own, so it is not quarantined.
func (p *policies) suspend(ctx context.Context, r, next *running) {
	if err := p.engine.Unbind(ctx, key(r.name)); err != nil {
		p.log.Warn("policy is not suspended", "policy", r.name, "error", err)
		return
	}
	p.sensor.show(key(r.name), nil)
	p.running.Store(r.name, next)
	r.view.close()
	p.log.Warn("policy waits", "policy", r.name, "reason", next.waits)
}

func sameKnobs(a, b []wasmabi.KnobInfo) bool {
	return slices.EqualFunc(a, b, func(x, y wasmabi.KnobInfo) bool {
		return x.Name == y.Name && x.Mechanism == y.Mechanism && sameNumber(x.Min, y.Min) && sameNumber(x.Max, y.Max) &&
			slices.Equal(x.Table, y.Table) && slices.Equal(x.Choices, y.Choices)
	})
}

func sameNumber(a, b float64) bool { return a == b || a != a && b != b }
