package loop

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

// Dictionary is what a policy and this node agree on for as long as a version is bound: which metrics and knobs there
// are, and by which numbers they go. It never changes; another hardware makes another dictionary.
type Dictionary struct {
	Grants []api.Grant // what was asked for, and what came of it

	init   wasmabi.Init      // all but the context
	knobs  []mechanisms.Knob // beside init.Knobs
	labels []string          // of init.Metrics, as readings carry them
	asks   []wasmabi.MetricRequest
}

// knobLister lists what mechanisms offer. *mechanisms.Supervisor is one.
type knobLister interface {
	Options(ctx context.Context, mechanism string) ([]mechanisms.Knob, error)
}

// NewDictionary grants what the manifest asks for, the operator allows and the node offers. A nil allow allows all.
func NewDictionary(ctx context.Context, m *wasmabi.Manifest, parameters map[string]float64, allow []string, offer knobLister) *Dictionary {
	d := &Dictionary{init: *wasmabi.NewInit(m)}
	d.init.Asset = string(agents.Node)
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

// Init is what a version is initialised with, but for its context. It is not to be changed.
func (d *Dictionary) Init() wasmabi.Init { return d.init }

// Denied says what was asked for and not granted.
func (d *Dictionary) Denied() []string {
	var out []string
	for _, g := range d.Grants {
		if !g.Granted() {
			out = append(out, fmt.Sprintf("%s is not granted: %s", g.Subject(), g.Reason))
		}
	}
	return out
}

// SameKnobs reports whether a version would find with the other dictionary what it found with this one.
func (d *Dictionary) SameKnobs(other *Dictionary) bool {
	return slices.EqualFunc(d.init.Knobs, other.init.Knobs, func(x, y wasmabi.KnobInfo) bool {
		return x.Name == y.Name && x.Mechanism == y.Mechanism && sameNumber(x.Min, y.Min) && sameNumber(x.Max, y.Max) &&
			slices.Equal(x.Table, y.Table) && slices.Equal(x.Choices, y.Choices)
	})
}

func sameNumber(a, b float64) bool { return a == b || a != a && b != b }

// Distinguish labels the metrics that another version, which looks at the same time, knows by the same name and reads otherwise.
func (d *Dictionary) Distinguish(other *Dictionary) {
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

func (d *Dictionary) grant(ctx context.Context, r wasmabi.MechanismRequest, allow []string, offer knobLister) {
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
	d.Grants = append(d.Grants, g)
	if !g.Granted() {
		return
	}
	mechanism := uint32(len(d.init.Mechanisms))
	d.init.Mechanisms = append(d.init.Mechanisms, r.Name)
	for _, k := range knobs {
		if !k.ReadOnly && Matches(r.Knobs, k.Name) && len(d.knobs) < wasmabi.MaxKnobs {
			d.knobs = append(d.knobs, k)
			d.init.Knobs = append(d.init.Knobs, knobInfo(k, mechanism))
		}
	}
}

// Matches reports whether a knob matches one of the patterns that a manifest lists; none means all.
func Matches(patterns []string, knob string) bool {
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

// encode returns the number by which the policy knows a knob's value.
func (d *Dictionary) encode(knob int, v agents.Value) float64 {
	if v.Choice == "" {
		return v.Number
	}
	if i := slices.Index(d.knobs[knob].Choices, v.Choice); i >= 0 {
		return float64(i)
	}
	return math.NaN()
}

// decode is the reverse of encode; ok is false for a number that stands for nothing.
func (d *Dictionary) decode(knob int, x float64) (v agents.Value, ok bool) {
	k := d.knobs[knob]
	if k.Kind != mechanisms.KindChoice {
		return agents.Number(x), true
	}
	if i := int(x); x == math.Trunc(x) && i >= 0 && i < len(k.Choices) {
		return agents.Choice(k.Choices[i]), true
	}
	return v, false
}
