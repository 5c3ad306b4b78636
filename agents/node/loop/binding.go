package loop

import (
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/wasmabi"
)

// Binding is what the engine has to know of a version to run it.
func (g *Guest) Binding(k agents.Key, version, digest string) agents.Binding {
	m := g.Module.Manifest()
	return agents.Binding{
		Key: k, Version: version, Module: digest, Policy: g,
		Interval: Interval(m), Bounds: bounds(m), Grants: g.Dictionary.agentGrants(), UsesML: m.UsesML, Schema: m.StateSchema,
	}
}

// defaultAnalyzeInterval is for manifests that name none.
const defaultAnalyzeInterval = 5 * time.Second

// Interval is how often a policy looks, when nothing wakes it.
func Interval(m *wasmabi.Manifest) time.Duration {
	if m.AnalyzeIntervalMS == 0 {
		return defaultAnalyzeInterval
	}
	return time.Duration(m.AnalyzeIntervalMS) * time.Millisecond
}

// agentGrants is what the engine lets the policy's plans name.
func (d *Dictionary) agentGrants() []agents.Grant {
	out := []agents.Grant{}
	for _, g := range d.Grants {
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

// bounds are those that the manifest asks to be woken by.
func bounds(m *wasmabi.Manifest) []agents.Bound {
	var out []agents.Bound
	for _, w := range m.Wake {
		r := m.Metrics[w.Metric]
		out = append(out, agents.Bound{ID: w.Metric, Metric: r.Name, Unit: r.Unit, Above: w.Above, Below: w.Below})
	}
	return out
}
