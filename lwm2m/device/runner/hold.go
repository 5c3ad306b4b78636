package runner

import (
	"errors"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m/device/knob"
)

// holder is by what name the policy holds knobs. Until it gives one back or its lease ends, neither another policy nor an agent's lease takes it;
// who sets it without a lease, as servers and workloads may, does.
func (p *policy) holder() string { return "package-" + strconv.Itoa(int(p.id)) }

// apply turns a knob, or gives it back, and tells what came of it. A knob that somebody else holds stays where it is: as on a node, the rest of
// the plan is carried out.
func (p *policy) apply(a action) (told string, err error) {
	if a.value == "" {
		err = p.runner.config.Knobs.GiveBack(a.knob, p.holder())
	} else {
		err = p.runner.config.Knobs.SetFor(a.knob, a.value, knob.Lease{Holder: p.holder(), For: a.lease})
	}
	if held, ok := errors.AsType[*knob.HeldError](err); ok {
		return "not " + a.String() + ", which " + held.Holder + " holds", nil
	}
	return a.String(), err
}

// giveBackAll is for a policy that is no longer in charge.
func (p *policy) giveBackAll() {
	for _, k := range p.knobs {
		if err := p.runner.config.Knobs.GiveBack(k.name, p.holder()); err != nil {
			p.runner.config.Logger.Warn("a knob stays as a policy left it", "policy", p.manifest.Name, "knob", k.name, "error", err)
		}
	}
}
