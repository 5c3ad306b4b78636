package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// ready prepares a stored version as the other one, unless it is.
func (p *policies) ready(ctx context.Context, t *trial, digest string) error {
	if t.other != nil && t.other.digest == digest {
		return nil
	}
	record, err := p.record(ctx, t.name)
	if err != nil {
		return err
	}
	next, err := p.prepareStored(ctx, record, digest)
	if err != nil {
		return err
	}
	if err := (&loop.Guest{Module: next.native(), Dictionary: next.dict}).Try(ctx, p.now()); err != nil {
		next.retire()
		return err
	}
	p.forget(ctx, t)
	t.other = next
	return nil
}

// contend has the other version run beside the one in charge, as c says.
func (p *policies) contend(ctx context.Context, t *trial, c agents.Contender) error {
	live := p.find(t.name)
	switch {
	case t.other == nil:
		return fmt.Errorf("run a version of %s beside the one in charge: it is not prepared", t.name)
	case live == nil || !live.bound():
		return nil // its passes are counted when there are any
	}
	if !t.beside {
		if err := p.lookToo(t, live); err != nil {
			return err
		}
	}
	c.Binding, c.Rollout, c.Report = p.binding(t.other), t.state.ID, p.report(t.tally)
	if err := p.engine.Contend(ctx, c); err != nil {
		if !t.beside {
			p.sensor.Show(key(t.name), live.view)
		}
		return err
	}
	t.beside = true
	return nil
}

// lookToo opens a view for the other version, and has the sensor show both.
func (p *policies) lookToo(t *trial, live *running) error {
	other := *t.other
	t.other = &other
	if other.view == nil {
		other.dict.Distinguish(live.dict)
		m := other.module.Manifest()
		view, err := p.sensor.Open(m, other.dict)
		if err != nil {
			return err
		}
		other.view = view
	}
	p.sensor.Show(key(t.name), live.view.With(other.view))
	return nil
}

// report is called by the engine's loops.
func (p *policies) report(t *tally) func(agents.Contest) {
	return func(c agents.Contest) {
		if t.add(c) {
			select {
			case p.kick <- struct{}{}:
			default: // somebody is about to look
			}
		}
	}
}

// standAside ends the other version's part in the engine. It stays prepared.
func (p *policies) standAside(ctx context.Context, t *trial) {
	if !t.beside {
		return
	}
	t.beside = false
	if err := p.engine.Dismiss(ctx, key(t.name), t.other.digest == t.state.Digest); err != nil { // a candidate that goes did not stay
		p.log.Warn("a version still runs beside the one in charge", "policy", t.name, "error", err)
	}
	if live := p.find(t.name); live != nil && live.bound() {
		p.sensor.Show(key(t.name), live.view)
	}
	other := *t.other
	if other.view != nil {
		other.view.Close()
		other.view = nil
	}
	t.other = &other
}

// rejoin has the other version run beside the one in charge again, after either has changed.
func (p *policies) rejoin(ctx context.Context, t *trial) {
	if t == nil || t.other == nil || t.state.Over() || t.beside {
		return
	}
	record, err := p.db.Policy(ctx, t.name)
	if err != nil {
		return
	}
	other := *t.other
	record = p.optionsOf(record, other.digest)
	other.dict, other.view = p.dictionary(ctx, other.module.Manifest(), record.Parameters, record.Allow), nil
	t.other = &other
	c := agents.Contender{Share: t.state.Spec.ShadowBudget, Back: true}
	switch {
	case t.state.Phase == rollout.PhaseCanary:
		a := rollout.Action{Rollout: t.state.ID, Fraction: t.state.Spec.Canary}
		c.Decides, c.Narrow = picks(a), t.narrow(t.state.Spec.MaxStep)
	case t.state.Phase != rollout.PhaseShadow && !(t.state.Phase == rollout.PhaseActive && watched(&t.state.Spec)):
		return
	}
	if err := p.contend(ctx, t, c); err != nil {
		p.log.Warn("no version runs beside the one in charge", "policy", t.name, "error", err)
	}
}

// forget gives up the other version.
func (p *policies) forget(ctx context.Context, t *trial) {
	if t.other == nil {
		return
	}
	p.standAside(ctx, t)
	t.other.retire()
	t.other = nil
}

// promote puts the candidate in charge. The version before goes on beside it, or is kept prepared.
func (p *policies) promote(ctx context.Context, t *trial) error {
	if err := p.ready(ctx, t, t.state.Digest); err != nil { // after a restart nobody has prepared a standby
		return err
	}
	next, before := t.other, p.find(t.name)
	if before == nil || !before.bound() {
		return p.promoteAlone(ctx, t, next, before)
	}
	if err := p.turn(ctx, t, agents.Contender{Share: t.state.Spec.ShadowBudget}, t.state.Digest, before.digest); err != nil {
		return err
	}
	p.publish(api.ResourcePolicy, t.name, api.EventPolicyActivated, "version "+next.version)
	return nil
}

// promoteAlone is for a policy of which nothing decides.
func (p *policies) promoteAlone(ctx context.Context, t *trial, next, before *running) error {
	t.other = nil
	if err := p.activate(ctx, next); err != nil {
		t.other = next
		return err
	}
	return nil
}

// turn exchanges the version in charge and the other one, in the engine and then in the database. If that fails, what was
// done is taken back.
func (p *policies) turn(ctx context.Context, t *trial, c agents.Contender, active, standby string) error {
	if !t.beside {
		if err := p.contend(ctx, t, c); err != nil {
			return err
		}
	} else if err := p.contend(ctx, t, agents.Contender{Share: c.Share}); err != nil { // nobody decides in another's place
		return err
	}
	k := key(t.name)
	old, next := p.find(t.name), *t.other
	p.sensor.Show(k, next.view.With(old.view))
	if err := p.engine.Swap(ctx, k); err != nil {
		p.sensor.Show(k, old.view.With(next.view))
		return err
	}
	if err := p.db.Point(ctx, t.name, active, standby); err != nil {
		if c.Back { // the engine has gone back, and that is what counts; the machine tries again
			p.log.Error("a rollback is not written down", "policy", t.name, "error", err)
		} else {
			p.sensor.Show(k, old.view.With(next.view))
			return errors.Join(err, p.engine.Swap(ctx, k))
		}
	}
	next.activated = p.now()
	p.running.Store(t.name, &next)
	t.other = old
	return nil
}

// goBack has a version decide again: by an exchange, where it is prepared.
func (p *policies) goBack(ctx context.Context, t *trial, a rollout.Action) error {
	live := p.find(t.name)
	switch {
	case live != nil && live.bound() && live.digest == a.Digest: // it never ceased to
		p.standAside(ctx, t)
		return p.db.Point(ctx, t.name, a.Digest, a.Standby)
	case live != nil && live.bound() && t.other != nil && t.other.digest == a.Digest:
		if err := p.turn(ctx, t, agents.Contender{Share: t.state.Spec.ShadowBudget, Back: true}, a.Digest, a.Standby); err != nil {
			return err
		}
	default:
		if err := p.startVersion(ctx, t, a.Digest, a.Standby); err != nil {
			return err
		}
	}
	p.audit(ctx, api.DaemonActor, "policy.rollback", t.name+": "+a.Why, nil)
	t.back = p.find(t.name).version
	return nil
}

// startVersion prepares a version and puts it in charge, whatever was before.
func (p *policies) startVersion(ctx context.Context, t *trial, digest, standby string) error {
	record, err := p.record(ctx, t.name)
	if err != nil {
		return err
	}
	if t.beside {
		p.standAside(ctx, t)
	}
	if err := p.resume(ctx, record, digest); err != nil {
		return err
	}
	return p.db.Point(ctx, t.name, digest, standby)
}

// decide has a version in charge after a restart, or after the one before was lost.
func (p *policies) decide(ctx context.Context, t *trial, a rollout.Action) error {
	if live := p.find(t.name); live != nil && live.bound() {
		if live.digest != a.Digest {
			return p.goBack(ctx, t, a)
		}
		return p.db.Point(ctx, t.name, a.Digest, a.Standby)
	}
	if err := p.quarantined(ctx, state.Policy{Name: t.name, Active: a.Digest}); err != nil {
		return err
	}
	return p.startVersion(ctx, t, a.Digest, a.Standby)
}

// discard ends the candidate's part; one that is in charge is none any more.
func (p *policies) discard(ctx context.Context, t *trial, digest string) {
	if t.other != nil && t.other.digest == digest {
		p.forget(ctx, t)
	}
}

func (p *policies) retire(ctx context.Context, t *trial, digest string) {
	p.discard(ctx, t, digest)
	if _, err := p.db.Collect(ctx, keptVersions); err != nil {
		p.log.Warn("modules that nobody needs stay on disk", "error", err)
	}
}

func (p *policies) quarantine(ctx context.Context, t *trial, a rollout.Action) {
	version := t.state.Version
	if a.Digest != t.state.Digest {
		version = a.Digest
	}
	p.publish(api.ResourcePolicy, t.name, api.EventPolicyQuarantined, "version "+version+": "+a.Why)
	err := p.db.Quarantine(ctx, t.name, a.Digest, a.Why)
	p.audit(ctx, api.DaemonActor, "policy.quarantine", subject(t.name, version, a.Digest), err)
	if err != nil {
		p.log.Error("quarantine is not recorded", "policy", t.name, "error", err)
	}
}

// halt leaves no version in charge.
func (p *policies) halt(ctx context.Context, t *trial, a rollout.Action) {
	r := p.find(t.name)
	if r == nil {
		r = &running{name: t.name, digest: a.Digest, version: t.state.Version}
	}
	if err := p.stop(ctx, t.name); err != nil {
		p.log.Error("failing policy can't be stopped", "policy", t.name, "error", err)
		return
	}
	p.running.Store(t.name, r.stub(a.Why))
}

// stub is what remains of a version that does not run: who it was, why it does not, and what it did.
func (r *running) stub(why string) *running {
	s := &running{name: r.name, version: r.version, digest: r.digest, waits: why, plans: r.plans, past: r.past}
	if r.module != nil {
		past := r.module.Stats()
		s.past = &past
	}
	return s
}

// begin starts the rollout of an accepted version, which is prepared.
func (p *policies) begin(ctx context.Context, t *trial, next *running, record *state.Policy, start rollout.Begin, by api.Actor) error {
	start.Digest, start.Version = next.digest, next.version
	start.Active, start.Standby = record.Active, record.Standby
	if live := p.find(next.name); live == nil || !live.bound() { // there is nothing to be compared with
		start.Active, start.Standby = "", record.Active
	}
	e := rollout.Event{Kind: rollout.Start, At: p.now(), By: by.String(), Person: by != api.DaemonActor, Start: &start}
	if _, actions := t.state.Step(e); len(actions) > 0 && actions[0].Kind == rollout.Refuse { // then the one that runs is not disturbed
		return refused(t.name, actions[0])
	}
	old, oldBeside := t.other, t.beside
	if old != nil && oldBeside {
		p.standAside(ctx, t)
		old = t.other
	}
	t.other = next
	if err := p.step(ctx, t, e); err != nil {
		t.other = old
		if oldBeside {
			p.rejoin(ctx, t)
		}
		return err
	}
	if old != nil {
		old.retire()
	}
	return nil
}
