package node

import (
	"cmp"
	"context"
	"math"
	"path"
	"slices"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

// dictionary is what a policy and this node agree on for as long as a version is bound: which metrics and knobs there
// are, and by which numbers they go. It never changes; another hardware makes another dictionary.
type dictionary struct {
	init   wasmabi.Init // all but the context
	grants []api.Grant
	knobs  []mechanisms.Knob // beside init.Knobs
	labels []string          // of init.Metrics, as readings carry them
	asks   []wasmabi.MetricRequest
}

// knobLister lists what mechanisms offer. *mechanisms.Supervisor is one.
type knobLister interface {
	Options(ctx context.Context, mechanism string) ([]mechanisms.Knob, error)
}

// newDictionary grants what the manifest asks for, the operator allows and the node offers. A nil allow allows all.
func newDictionary(ctx context.Context, m *wasmabi.Manifest, asset agents.Asset, parameters map[string]float64, allow []string, offer knobLister) dictionary {
	d := dictionary{init: *wasmabi.NewInit(m)}
	d.init.Asset = string(asset)
	d.asks = m.Metrics
	for _, r := range m.Metrics {
		d.labels = append(d.labels, metricLabel(r.Name, r.Labels))
	}
	for i, name := range d.init.ParameterNames {
		if v, ok := parameters[name]; ok && m.Parameters[i].Allows(v) { // else another version's range: the default holds
			d.init.Parameters[i] = v
		}
	}
	for _, r := range m.Mechanisms {
		d.grant(ctx, r, allow, offer)
	}
	return d
}

// distinguish labels the metrics that another version, which looks at the same time, knows by the same name and reads otherwise.
func (d *dictionary) distinguish(other *dictionary) {
	for i, label := range d.labels {
		for j, theirs := range other.labels {
			if label == theirs && !sameRequest(&d.asks[i], &other.asks[j]) {
				d.labels[i] = label + " (" + cmp.Or(d.asks[i].Query, d.asks[i].Reduce, "last") + ")"
			}
		}
	}
}

// sameRequest reports whether two requests, that have name and labels in common, read the same.
func sameRequest(a, b *wasmabi.MetricRequest) bool {
	return a.Query == b.Query && cmp.Or(a.Reduce, "last") == cmp.Or(b.Reduce, "last")
}

// dictionary is what a module and this node agree on: a policy's mechanisms, an adapter's capabilities.
func (p *policies) dictionary(ctx context.Context, m *wasmabi.Manifest, parameters map[string]float64, allow []string) *dictionary {
	d := newDictionary(ctx, m, agents.Node, parameters, allow, p.supervisor)
	d.grants = append(d.grants, p.adapters.grants(m, allow)...)
	return &d
}

func (d *dictionary) grant(ctx context.Context, r wasmabi.MechanismRequest, allow []string, offer knobLister) {
	g := api.Grant{
		Mechanism: r.Name, Verbs: r.Verbs, Knobs: r.Knobs, Reason: r.Reason,
		Asked: true, Allowed: allow == nil || slices.Contains(allow, r.Name),
	}
	knobs, err := offer.Options(ctx, r.Name)
	g.Offered = err == nil
	switch {
	case !g.Allowed:
		g.Reason = "the operator does not allow it"
	case err != nil:
		g.Reason = err.Error()
	}
	d.grants = append(d.grants, g)
	if !g.Granted() {
		return
	}
	mechanism := uint32(len(d.init.Mechanisms))
	d.init.Mechanisms = append(d.init.Mechanisms, r.Name)
	for _, k := range knobs {
		if !k.ReadOnly && asked(r.Knobs, k.Name) && len(d.knobs) < wasmabi.MaxKnobs {
			d.knobs = append(d.knobs, k)
			d.init.Knobs = append(d.init.Knobs, knobInfo(k, mechanism))
		}
	}
}

// asked reports whether a knob matches one of the patterns that a manifest lists; none means all.
func asked(patterns []string, knob string) bool {
	if len(patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, knob)
		return ok || p == "*"
	})
}

func knobInfo(k mechanisms.Knob, mechanism uint32) wasmabi.KnobInfo {
	info := wasmabi.KnobInfo{
		Name: k.Name, Mechanism: mechanism, Unit: k.Unit, Kind: string(k.Kind),
		Min: math.NaN(), Max: math.NaN(), Step: math.NaN(), Table: k.Table, Choices: k.Choices,
	}
	if k.Kind == mechanisms.KindNumber {
		info.Min, info.Max = k.Min, k.Max
		if k.Step > 0 {
			info.Step = k.Step
		}
	}
	return info
}

// agentGrants is what the engine lets the policy's plans name.
func (d *dictionary) agentGrants() []agents.Grant {
	out := []agents.Grant{}
	for _, g := range d.grants {
		if !g.Granted() {
			continue
		}
		a := agents.Grant{Mechanism: g.Mechanism, Knobs: g.Knobs}
		for _, v := range g.Verbs {
			a.Verbs = append(a.Verbs, agents.Verb(v))
		}
		if len(a.Knobs) == 0 {
			a.Knobs = nil
		}
		out = append(out, a)
	}
	return out
}

// encode returns the number by which the policy knows a knob's value.
func (d *dictionary) encode(knob int, v agents.Value) float64 {
	if v.Choice == "" {
		return v.Number
	}
	if i := slices.Index(d.knobs[knob].Choices, v.Choice); i >= 0 {
		return float64(i)
	}
	return math.NaN()
}

// decode is the reverse of encode; ok is false for a number that stands for nothing.
func (d *dictionary) decode(knob int, x float64) (v agents.Value, ok bool) {
	k := d.knobs[knob]
	if k.Kind != mechanisms.KindChoice {
		return agents.Number(x), true
	}
	if i := int(x); x == math.Trunc(x) && i >= 0 && i < len(k.Choices) {
		return agents.Choice(k.Choices[i]), true
	}
	return v, false
}

// bounds are those that the manifest asks to be woken by.
func bounds(m *wasmabi.Manifest) []agents.Bound {
	var out []agents.Bound
	for _, w := range m.Wake {
		r := m.Metrics[w.Metric]
		out = append(out, agents.Bound{ID: w.Metric, Metric: r.Name, Unit: r.Unit, Above: w.Above, Below: w.Below})
	}
	return out
}
