package runner

import (
	"fmt"
	"time"
)

// claim is a policy's hold of a knob: no other policy turns it while it lasts. Servers and workloads may at any time.
type claim struct {
	policy uint16
	value  string
	until  time.Time // zero: while the policy is in charge
}

func (c claim) lasts(now time.Time) bool { return c.until.IsZero() || now.Before(c.until) }

// free tells who holds a knob, if it is another policy.
func (r *Runner) free(knob string, policy uint16, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, held := r.claims[knob]; held && c.policy != policy && c.lasts(now) {
		return fmt.Errorf("package %d holds %s", c.policy, knob)
	}
	return nil
}

// apply turns a knob, or gives it back.
func (p *policy) apply(a action) error {
	if a.value == "" {
		return p.giveBack(a.knob)
	}
	c := claim{policy: p.id, value: a.value}
	if a.lease > 0 {
		c.until = time.Now().Add(a.lease)
	}
	if err := p.runner.config.Knobs.SetFor(a.knob, a.value, a.lease); err != nil {
		return err
	}
	p.runner.mu.Lock()
	defer p.runner.mu.Unlock()
	p.runner.claims[a.knob] = c
	return nil
}

// giveBack puts a knob to its default, if the policy holds it and nobody has turned it since.
func (p *policy) giveBack(knob string) error {
	r := p.runner
	r.mu.Lock()
	c, held := r.claims[knob]
	if held = held && c.policy == p.id; held {
		delete(r.claims, knob)
	}
	r.mu.Unlock()
	if !held || !c.lasts(time.Now()) {
		return nil
	}
	if now, err := r.config.Knobs.Get(knob); err != nil || now != c.value {
		return err
	}
	return r.config.Knobs.Reset(knob)
}

// giveBackAll is for a policy that is no longer in charge.
func (p *policy) giveBackAll() {
	for _, k := range p.knobs {
		if err := p.giveBack(k.name); err != nil {
			p.runner.config.Logger.Warn("a knob stays as a policy left it", "policy", p.manifest.Name, "knob", k.name, "error", err)
		}
	}
}
