package runner

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/wasmabi"
)

// turnable is a knob that a policy was granted, by the name that the panel knows.
type turnable struct {
	name    string
	choices []string
}

// action is one setting of a plan: a knob goes to a value for a while, or is given back.
type action struct {
	knob  string
	value string // empty: give it back
	lease time.Duration
}

// String says what it does, for people.
func (a action) String() string {
	switch {
	case a.value == "":
		return a.knob + " is given back"
	case a.lease > 0:
		return a.knob + " to " + a.value + " for " + a.lease.String()
	}
	return a.knob + " to " + a.value
}

// grant gives the policy what its manifest asks for and this device offers: knobs of [Mechanism], by the name that the manifest's
// pattern fits, with the device's name before it or without.
func (p *policy) grant() {
	panel := p.runner.config.Knobs
	for _, r := range p.manifest.Mechanisms {
		if r.Name != Mechanism || panel == nil || len(p.init.Mechanisms) > 0 {
			continue
		}
		p.init.Mechanisms, p.verbs = append(p.init.Mechanisms, Mechanism), r.Verbs
		for _, k := range panel.Knobs() {
			name, fits := asked(r.Knobs, p.runner.config.Device, k.Name)
			if fits && (p.runner.config.Offers == nil || p.runner.config.Offers(p.manifest, lwm2m.Path{}, k.Name)) {
				p.knobs = append(p.knobs, turnable{k.Name, k.Choices})
				p.init.Knobs = append(p.init.Knobs, knobInfo(&k, name))
			}
		}
	}
}

// asked returns the name by which one of the patterns means a knob; without patterns all are meant.
func asked(patterns []string, device, name string) (string, bool) {
	long := device + "/" + name
	if len(patterns) == 0 {
		return long, true
	}
	for _, p := range patterns {
		for _, candidate := range []string{long, name} {
			if ok, _ := path.Match(p, candidate); ok {
				return candidate, true
			}
		}
	}
	return long, slices.Contains(patterns, "*")
}

func knobInfo(k *knob.Knob, name string) wasmabi.KnobInfo {
	if len(k.Choices) > 0 {
		return wasmabi.KnobInfo{Name: name, Unit: k.Unit, Kind: wasmabi.KnobChoice, Min: nan, Max: nan, Step: nan, Choices: k.Choices}
	}
	return wasmabi.KnobInfo{Name: name, Unit: k.Unit, Kind: wasmabi.KnobNumber, Min: k.Min, Max: k.Max, Step: nan}
}

// showKnobs puts what the knobs are at into the observation.
func (p *policy) showKnobs(o *wasmabi.Observation) {
	o.KnobIDs, o.KnobValues = o.KnobIDs[:0], o.KnobValues[:0]
	for id, k := range p.knobs {
		text, err := p.runner.config.Knobs.Get(k.name)
		if err != nil {
			continue
		}
		at := float64(slices.Index(k.choices, text))
		if len(k.choices) == 0 {
			if at, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		o.KnobIDs, o.KnobValues = append(o.KnobIDs, uint32(id)), append(o.KnobValues, at)
	}
}

// check refuses a plan, whole, that names what was not granted, what a knob does not take, or a knob twice.
func (p *policy) check(plan *wasmabi.Plan) (all []action, err error) {
	for i := range plan.Mechanisms {
		actions, err := p.setting(plan, i)
		if err != nil {
			return nil, fmt.Errorf("the plan of %s, setting %d: %w", p.manifest.Name, i, err)
		}
		for _, a := range actions {
			if slices.ContainsFunc(all, func(b action) bool { return a.knob == b.knob }) {
				return nil, fmt.Errorf("the plan of %s names %s twice", p.manifest.Name, a.knob)
			}
			all = append(all, a)
		}
	}
	return all, nil
}

func (p *policy) setting(plan *wasmabi.Plan, i int) ([]action, error) {
	verb, ok := map[uint32]string{wasmabi.VerbSet: wasmabi.VerbNameSet, wasmabi.VerbReset: wasmabi.VerbNameReset}[plan.Verbs[i]]
	switch {
	case int(plan.Mechanisms[i]) >= len(p.init.Mechanisms):
		return nil, fmt.Errorf("mechanism %d was not granted", plan.Mechanisms[i])
	case !ok || len(p.verbs) > 0 && !slices.Contains(p.verbs, verb):
		return nil, fmt.Errorf("verb %d was not granted", plan.Verbs[i])
	case plan.Knobs[i] == wasmabi.AllKnobs && plan.Verbs[i] == wasmabi.VerbReset:
		return p.all(), nil
	case int(plan.Knobs[i]) >= len(p.knobs):
		return nil, fmt.Errorf("knob %d was not granted", plan.Knobs[i])
	}
	k := &p.knobs[plan.Knobs[i]]
	a := action{knob: k.name, lease: time.Duration(plan.LeaseMS[i]) * time.Millisecond}
	if plan.Verbs[i] == wasmabi.VerbReset {
		return []action{a}, nil
	}
	value, err := k.text(plan.Values[i])
	if err != nil {
		return nil, err
	}
	a.value = value
	return []action{a}, p.runner.config.Knobs.Check(a.knob, a.value, knob.Lease{For: a.lease})
}

// all gives back every knob that the policy was granted.
func (p *policy) all() (actions []action) {
	for _, k := range p.knobs {
		actions = append(actions, action{knob: k.name})
	}
	return actions
}

// text is a plan's number as the panel takes it.
func (k *turnable) text(v float64) (string, error) {
	if len(k.choices) == 0 {
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	if i := int(v); v == math.Trunc(v) && i >= 0 && i < len(k.choices) {
		return k.choices[i], nil
	}
	return "", fmt.Errorf("%s has no choice %v: there are %d", k.name, v, len(k.choices))
}
