package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/loop"
)

// activate puts a version in charge, first in the engine, then in the database; if the second fails, the first is taken
// back. A crash in between leaves the version before, and the caller was not told otherwise.
func (p *policies) activate(ctx context.Context, next *running) error {
	if next.isAdapter() {
		return p.activateAdapter(ctx, next)
	}
	before := p.find(next.name)
	if t := p.trials[next.name]; t != nil {
		p.standAside(ctx, t)
		defer p.rejoin(ctx, t)
	}
	next.activated = p.now()
	if err := p.bind(ctx, next, before); err != nil {
		return err
	}
	if err := p.db.Activate(ctx, next.name, next.digest); err != nil {
		p.takeBack(ctx, next, before)
		return err
	}
	p.running.Store(next.name, next)
	if before != nil {
		before.retire()
	}
	p.publish(api.ResourcePolicy, next.name, api.EventPolicyActivated, "version "+next.version)
	return nil
}

func (p *policies) takeBack(ctx context.Context, next, before *running) {
	ctx = context.WithoutCancel(ctx)
	if !next.bound() {
		return
	}
	if before == nil || !before.bound() {
		_ = p.engine.Unbind(ctx, key(next.name))
		p.sensor.Show(key(next.name), nil)
		next.view.Close()
		return
	}
	p.sensor.Show(key(next.name), before.view)
	if err := p.engine.Replace(ctx, p.binding(before)); err != nil { // the loop must not be left with a module that is closed
		p.log.Error("the version before can't be put back; the policy stands still until it is started again", "policy", next.name, "error", err)
		stub := before.stub("version " + before.version + " could not be put back: " + err.Error())
		if err := p.stop(ctx, next.name); err != nil {
			p.log.Error("policy can't be stopped", "policy", next.name, "error", err)
		}
		stub.again = p.now().Add(startAgainAfter)
		p.running.Store(next.name, stub)
	}
	next.view.Close()
}

// bind hands the loop over to next, or starts it, or leaves next waiting for what it needs.
func (p *policies) bind(ctx context.Context, next, before *running) error {
	k := key(next.name)
	view, err := p.sensor.Open(next.module.Manifest(), next.dict)
	if err != nil {
		return err
	}
	if before != nil && before.bound() {
		return p.swap(ctx, next, before, view)
	}
	if next.waits = p.waitsFor(ctx, next, view); next.waits != "" {
		view.Close()
		return nil
	}
	p.sensor.Show(k, view)
	next.view = view
	if err := p.engine.Bind(ctx, p.binding(next)); err != nil {
		p.sensor.Show(k, nil)
		view.Close()
		next.view = nil
		return err
	}
	return nil
}

// swap hands the loop over from before to next, which sees view. Until the engine has done so, the sensor shows both views.
func (p *policies) swap(ctx context.Context, next, before *running, view *loop.View) error {
	k := key(next.name)
	p.sensor.Show(k, view.With(before.view))
	next.view = view
	err := p.engine.Replace(ctx, p.binding(next))
	if err != nil {
		p.sensor.Show(k, before.view)
		next.view.Close()
		next.view = nil
		return fmt.Errorf("swap policy %s from %s to %s: %w", next.name, before.version, next.version, err)
	}
	p.sensor.Show(k, view)
	return nil
}

// waitsFor says what a policy lacks, or nothing.
func (p *policies) waitsFor(ctx context.Context, r *running, v *loop.View) string {
	if why := p.unfit(ctx, r); why != "" {
		return why
	}
	m := r.module.Manifest()
	if missing := v.Missing(m); len(missing) > 0 {
		return "nobody has sent " + strings.Join(missing, ", ") + " yet"
	}
	return ""
}

// unfit says why a policy can't start with the knobs that there are, or nothing.
func (p *policies) unfit(ctx context.Context, r *running) string {
	if len(r.module.Manifest().Mechanisms) > 0 && len(r.dict.Init().Mechanisms) == 0 {
		return "none of its mechanisms is granted: " + strings.Join(r.dict.Denied(), "; ")
	}
	if err := (&loop.Guest{Module: r.native(), Dictionary: r.dict}).Try(ctx, p.now()); err != nil {
		return "its Initialize failed: " + err.Error()
	}
	return ""
}

func (p *policies) binding(r *running) agents.Binding {
	guest := &loop.Guest{Module: r.native(), Dictionary: r.dict, Plans: r.plans}
	return guest.Binding(key(r.name), r.version, r.digest)
}

// retire gives up what a version held in memory; a replay that still runs on it keeps the module until it is done.
func (r *running) retire() {
	if r.view != nil {
		r.view.Close()
	}
	if r.unit != nil {
		_ = r.unit.module.Rest() // idle connections, or a process
	}
	if r.module != nil {
		r.module.Close()
	}
}
