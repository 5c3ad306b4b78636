package node

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

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
	if r.isAdapter() {
		p.reviewAdapter(ctx, r)
		return
	}
	record = p.optionsOf(record, r.digest)
	dict := p.dictionary(ctx, r.module.Manifest(), record.Parameters, record.Allow)
	if r.bound() && dict.SameKnobs(r.dict) {
		return
	}
	next := *r
	next.dict, next.view, next.waits = dict, nil, ""
	if r.bound() {
		if next.waits = p.unfit(ctx, &next); next.waits != "" {
			p.suspend(ctx, r, &next)
			return
		}
	}
	t := p.trials[r.name]
	if t != nil {
		p.standAside(ctx, t)
		defer p.rejoin(ctx, t)
	}
	if err := p.bind(ctx, &next, r); err != nil {
		p.log.Warn("policy is not bound", "policy", r.name, "error", err)
		return
	}
	p.running.Store(r.name, &next)
	if r.view != nil {
		r.view.Close()
	}
	if next.bound() && !r.bound() {
		p.publish(api.ResourcePolicy, r.name, api.EventPolicyActivated, "version "+r.version)
	}
}

// suspend has a policy wait whose hardware has gone: that is no fault of its own, so it is not quarantined.
func (p *policies) suspend(ctx context.Context, r, next *running) {
	if t := p.trials[r.name]; t != nil {
		p.standAside(ctx, t)
	}
	if err := p.engine.Unbind(ctx, key(r.name)); err != nil {
		p.log.Warn("policy is not suspended", "policy", r.name, "error", err)
		return
	}
	p.sensor.Show(key(r.name), nil)
	p.running.Store(r.name, next)
	r.view.Close()
	p.log.Warn("policy waits", "policy", r.name, "reason", next.waits)
}
