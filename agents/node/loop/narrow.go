package loop

import (
	"fmt"
	"math"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/mechanisms"
)

// Narrow returns what has a canary change each knob by at most a share of its range at a time, from where it stands. A choice
// has no range, so it is left as it is; giving a knob back is always allowed. A share of zero bounds nothing.
func (d *Dictionary) Narrow(share float64) func(agents.Plan, agents.Observation) (agents.Plan, []string) {
	if share <= 0 {
		return nil
	}
	return func(p agents.Plan, o agents.Observation) (agents.Plan, []string) {
		var why []string
		out := p
		out.Actions = make([]agents.Action, 0, len(p.Actions))
		for _, a := range p.Actions {
			b, narrowed := d.narrowOne(a, &o, share)
			if narrowed != "" {
				why = append(why, narrowed)
			}
			if b.Knob != "" {
				out.Actions = append(out.Actions, b)
			}
		}
		return out, why
	}
}

// narrowOne returns the action as far as it may go; one without a knob may not go at all.
func (d *Dictionary) narrowOne(a agents.Action, o *agents.Observation, share float64) (agents.Action, string) {
	k := d.knobOf(a)
	if a.Verb != agents.Set || k == nil {
		return a, ""
	}
	at := findKnob(o.Knobs, 0, a.Mechanism, a.Knob)
	if at < 0 {
		return agents.Action{}, fmt.Sprintf("%s is left as it is: nobody knows where it stands", a.Knob)
	}
	now := o.Knobs[at].Value
	if now == a.Value {
		return a, ""
	}
	if k.Kind == mechanisms.KindChoice {
		return agents.Action{}, fmt.Sprintf("%s stays %s, and is not set to %s: choices have no steps", a.Knob, now, a.Value)
	}
	step := share * (k.Max - k.Min)
	wanted := a.Value.Number
	if math.Abs(wanted-now.Number) <= step || !(step > 0) {
		return a, ""
	}
	a.Value = agents.Number(k.within(now.Number, now.Number+math.Copysign(step, wanted-now.Number)))
	return a, fmt.Sprintf("%s goes from %s to %s, at most %.3g %% of its range at a time, and not to %s", a.Knob,
		api.FormatQuantity(now.Number, k.Unit), api.FormatQuantity(a.Value.Number, k.Unit), 100*share, api.FormatQuantity(wanted, k.Unit))
}

// position is a knob that a plan sets.
type position struct{ *mechanisms.Knob }

func (d *Dictionary) knobOf(a agents.Action) *position {
	for i := range d.knobs {
		if d.knobs[i].Name == a.Knob && d.init.Mechanisms[d.init.Knobs[i].Mechanism] == a.Mechanism {
			return &position{&d.knobs[i]}
		}
	}
	return nil
}

// within returns the position nearest to limit that is not beyond it, as seen from now. A table whose next position is
// farther away than that gives it all the same: else its knob could never move.
func (k position) within(now, limit float64) float64 {
	if len(k.Table) == 0 {
		return limit
	}
	best, next := now, now
	for _, v := range k.Table {
		if (v-now)*(limit-now) <= 0 { // behind us
			continue
		}
		if next == now || math.Abs(v-now) < math.Abs(next-now) {
			next = v
		}
		if math.Abs(v-now) <= math.Abs(limit-now) && math.Abs(v-now) > math.Abs(best-now) {
			best = v
		}
	}
	if best == now {
		return next
	}
	return best
}
