package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/adapter"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/agents/node/plug"
	"github.com/edgehold/edgehold/agents/proxy"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

// openAdapters makes what adapters are plugged into. Their life is that of policies, up to the moment of taking over: then a policy gets
// a loop, and an adapter becomes a driver of the supervisor.
func (n *Node) openAdapters() (*plug.Board, error) {
	return plug.New(plug.Config{
		Offers: n.config.Offers(), Root: n.config.MechanismPlugins.Root, Dir: n.folder("adapters"), Asset: n.config.Name, Host: hostConfig(&n.config.Guests), Patience: time.Duration(n.config.MechanismPlugins.Patience),
		Module: n.db.Module, Logger: n.log.With("part", "policies"), Now: time.Now,
	})
}

// unit is an adapter that serves: its driver, which is registered, and the version in it.
type unit struct {
	driver *adapter.Driver
	module *adapter.Module
}

func (r *running) isAdapter() bool {
	return r.module != nil && r.module.Manifest().Kind == wasmabi.KindAdapter
}

// inCharge reports whether the version does what it is for: a policy decides, an adapter serves.
func (r *running) inCharge() bool { return r.bound() || r.unit != nil }

// examineAdapter refuses a version of an adapter that could not serve here.
func (p *policies) examineAdapter(ctx context.Context, next *running, record *state.Policy, o api.UploadOptions) error {
	m := next.module.Manifest()
	what := "accept adapter " + subject(next.name, next.version, "")
	if m.Layer != wasmabi.LayerNode || m.Scope != wasmabi.ScopeNode {
		return &Error{Code: "policy.not-for-this-agent", What: what, Why: fmt.Sprintf("it is for the %s layer, %s scope", m.Layer, m.Scope),
			Hint: "this agent takes adapters of layer node and scope node"}
	}
	if o.Rollout != nil {
		return &Error{Code: "rollout.not-for-adapters", What: what, Why: "an adapter decides nothing that could be compared, and two of them can't hold one device",
			Hint: "upload it without shadow, canary and gates; the version before stays as the standby"}
	}
	if err := p.mayTake(m, what); err != nil {
		return err
	}
	if err := p.isNew(ctx, next, what, false); err != nil {
		return err
	}
	if err := p.translate(ctx, next, what, record, o); err != nil {
		return err
	}
	if why := lacks(next.dict); why != "" && !o.DryRun {
		return &Error{Code: "adapter.not-granted", What: what, Why: why,
			Hint: "offer it in the node's configuration under capabilities, and allow it with --allow; --dry-run shows what is asked for, allowed and offered"}
	}
	return nil
}

// mayTake refuses a mechanism's name that is this program's own or another adapter's.
func (p *policies) mayTake(m *wasmabi.Manifest, what string) error {
	name := m.Provides.Mechanism
	taken := func(by string) error {
		return &Error{Code: "adapter.mechanism-taken", What: what, Why: "mechanism " + name + " is " + by, Hint: "give the adapter's mechanism another name"}
	}
	for _, d := range drivers {
		if d.about.Name == name || slices.Contains(d.about.Aliases, name) {
			return taken("this program's own")
		}
	}
	if name == proxy.Mechanism {
		return taken("this program's own")
	}
	if r := p.find(m.Name); r != nil && r.unit != nil && r.unit.driver.Describe().Name != name {
		return &Error{Code: "adapter.mechanism-changed", What: what, Why: fmt.Sprintf("the version in charge makes mechanism %s, this one %s", r.unit.driver.Describe().Name, name),
			Hint: "give it another name, or delete the adapter first: policies and leases go by the mechanism's name"}
	}
	var err error
	p.running.Range(func(_, v any) bool {
		if r := v.(*running); r.name != m.Name && r.unit != nil && r.unit.driver.Describe().Name == name {
			err = taken("made by adapter " + r.name)
		}
		return err == nil
	})
	return err
}

// lacks says which capabilities an adapter was not granted, or nothing. One that it can do without it need not ask for.
func lacks(d *loop.Dictionary) string { return strings.Join(d.Denied(), "; ") }

// activateAdapter puts a version in charge: in the supervisor, then in the database; if the second fails, the first is taken back.
func (p *policies) activateAdapter(ctx context.Context, next *running) error {
	before := p.find(next.name)
	if before != nil && before.module != nil && !before.isAdapter() {
		return &Error{Code: "policy.other-kind", What: "activate adapter " + next.name, Why: "a policy has this name", Hint: "rename the adapter, or delete the policy"}
	}
	next.activated = p.now()
	if err := p.serve(ctx, next, before); err != nil {
		return err
	}
	if err := p.db.Activate(ctx, next.name, next.digest); err != nil {
		p.unserve(context.WithoutCancel(ctx), next, before)
		return err
	}
	p.running.Store(next.name, next)
	if before != nil {
		before.retire()
	}
	p.publish(api.ResourcePolicy, next.name, api.EventPolicyActivated, "version "+next.version)
	return nil
}

// serve makes next serve, in the place of before if that serves. What next lacks by no fault of its own it waits for.
func (p *policies) serve(ctx context.Context, next, before *running) error {
	if next.waits = lacks(next.dict); next.waits != "" {
		return p.keepServing(next, before)
	}
	u := &unit{module: p.adapters.Open(next.name, next.module, next.dict.Init())}
	if before != nil && before.unit != nil {
		u.driver = before.unit.driver
		if _, err := u.driver.Exchange(ctx, u.module); err != nil {
			return errors.Join(&Error{Code: "adapter.does-not-start", What: "activate adapter " + subject(next.name, next.version, ""), Why: err.Error(), Err: err,
				Hint: "the version before serves on; try again when the device answers"}, u.module.Rest())
		}
	} else {
		u.driver = adapter.NewDriver(u.module, adapter.Config{Now: p.now, Record: p.adapters.KeepFailures(next.name, p.servingOf(next.name))})
		if err := p.supervisor.Register(ctx, u.driver); err != nil {
			next.waits, next.again = err.Error(), p.now().Add(registerAgainAfter)
			return u.module.Rest()
		}
	}
	next.unit = u
	if err := p.adapters.TellGuard(next.name, next.digest, u.driver, u.module); err != nil {
		p.log.Error("the guard can't be told of an adapter: should this process be killed, its knobs go back at the next start", "adapter", next.name, "error", err)
	}
	return nil
}

// servingOf returns what tells which version of an adapter is prepared; nil if none is.
func (p *policies) servingOf(name string) func() plug.Prepared {
	return func() plug.Prepared {
		if r := p.find(name); r != nil {
			return r.module
		}
		return nil
	}
}

// keepServing refuses to exchange a version that serves for one that can't.
func (p *policies) keepServing(next, before *running) error {
	if before == nil || before.unit == nil {
		return nil
	}
	return &Error{Code: "adapter.not-granted", What: "activate adapter " + subject(next.name, next.version, ""), Why: next.waits,
		Hint: "offer what it asks for in the node's configuration; the version before serves on"}
}

// unserve is the reverse of serve.
func (p *policies) unserve(ctx context.Context, next, before *running) {
	if next.unit == nil {
		return
	}
	var err error
	if before != nil && before.unit != nil {
		_, err = next.unit.driver.Exchange(ctx, before.unit.module)
	} else {
		err = p.supervisor.Unregister(ctx, next.unit.driver.Describe().Name, true)
	}
	if err = errors.Join(err, next.unit.module.Rest()); err != nil {
		p.log.Error("adapter is not taken back", "adapter", next.name, "error", err)
	}
}

// handBack takes an adapter out of service: its knobs go back first. Without force it fails when one can't, and serves on.
func (p *policies) handBack(ctx context.Context, name string, force bool) error {
	r := p.find(name)
	if r == nil || r.unit == nil {
		return nil
	}
	mechanism := r.unit.driver.Describe().Name
	if err := p.supervisor.Unregister(ctx, mechanism, force); err != nil {
		return err
	}
	left := *r
	left.unit = nil
	p.running.Store(name, &left)
	return errors.Join(r.unit.module.Rest(), p.adapters.ForgetGuard(name))
}

// adapterOf returns the adapter behind a mechanism; nil for a native one.
func (p *policies) adapterOf(mechanism string) (a *api.Adapter) {
	p.running.Range(func(_, v any) bool {
		if r := v.(*running); r.unit != nil && r.unit.driver.Describe().Name == mechanism {
			a = &api.Adapter{Name: r.name, Version: r.version, Digest: r.digest, Engine: plug.Engine(r.module), Warning: plug.Warning(r.module)}
		}
		return a == nil
	})
	return a
}

// adaptersFirst sorts what is to be started: policies find the mechanisms that adapters make.
func (p *policies) adaptersFirst(known []state.Policy) []state.Policy {
	var first, then []state.Policy
	for _, record := range known {
		raw, err := p.db.Module(record.Active)
		if err == nil {
			if m, err := wasmabi.ReadManifest(raw); err == nil && m.Kind == wasmabi.KindAdapter {
				first = append(first, record)
				continue
			}
		}
		then = append(then, record)
	}
	return append(first, then...)
}

// registerAgainAfter is when an adapter whose device did not answer is tried again.
const registerAgainAfter = reviewEvery * 5

// reviewAdapter tries again what could not be registered.
func (p *policies) reviewAdapter(ctx context.Context, r *running) {
	if r.unit != nil || r.again.IsZero() || p.now().Before(r.again) {
		return
	}
	next := *r
	next.again, next.waits = time.Time{}, ""
	if err := p.serve(ctx, &next, nil); err != nil {
		p.log.Warn("adapter does not serve", "adapter", r.name, "error", err)
		return
	}
	p.running.Store(r.name, &next)
	if next.unit != nil {
		p.publish(api.ResourcePolicy, r.name, api.EventPolicyActivated, "version "+r.version)
	}
}

// closeAdapters gives the knobs of adapters back while their modules can still run. What can't be put back now the guard
// does, or the next start.
func (p *policies) closeAdapters(ctx context.Context) error {
	var errs []error
	p.running.Range(func(_, v any) bool {
		r := v.(*running)
		if r.unit == nil {
			return true
		}
		if p.exit != mechanisms.ExitKeep {
			errs = append(errs, p.supervisor.Unregister(ctx, r.unit.driver.Describe().Name, true))
		}
		errs = append(errs, r.unit.module.Rest())
		return true
	})
	return errors.Join(errs...)
}
