package main

import (
	"math"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/wasmabi"
)

// summarize shows a module's manifest as an agent would.
func summarize(m *wasmabi.Manifest) api.ManifestSummary {
	s := api.ManifestSummary{
		Name: m.Name, Version: m.Version, Kind: m.Kind, Layer: m.Layer, Scope: m.Scope, ABI: m.ABI, Door: m.Door, Description: m.Description,
		Metrics: []api.ManifestMetric{}, Mechanisms: []api.ManifestMechanism{},
		AnalyzeIntervalMS: m.AnalyzeIntervalMS, UsesML: m.UsesML, Vectors: len(m.Vectors), StateSchema: m.StateSchema,
		Limits: api.Limits{Fuel: m.Limits.Fuel, DeadlineMS: m.Limits.DeadlineMS, MemoryBytes: m.Limits.MemoryBytes},
	}
	for _, metric := range m.Metrics {
		s.Metrics = append(s.Metrics, api.ManifestMetric{Name: metric.Name, Labels: labels(metric.Labels), Reduce: metric.Reduce,
			Query: metric.Query, Unit: metric.Unit, Required: metric.Required})
	}
	for _, mechanism := range m.Mechanisms {
		s.Mechanisms = append(s.Mechanisms, api.ManifestMechanism{Name: mechanism.Name, Verbs: mechanism.Verbs, Knobs: mechanism.Knobs, Reason: mechanism.Reason})
	}
	for _, wake := range m.Wake {
		if int(wake.Metric) < len(m.Metrics) {
			s.Wake = append(s.Wake, api.ManifestWake{Metric: m.Metrics[wake.Metric].Name, Above: bound(wake.Above), Below: bound(wake.Below)})
		}
	}
	if m.Provides.Mechanism != "" {
		s.Provides = &api.ManifestProvides{Mechanism: m.Provides.Mechanism, Summary: m.Provides.Summary}
	}
	for _, c := range m.Capabilities {
		s.Capabilities = append(s.Capabilities, api.ManifestCapability{Name: c.Name, Kind: c.Kind, Hosts: c.Hosts, Methods: c.Methods, Paths: c.Paths,
			Write: c.Write, Bytes: capabilityBytes(c), Reason: c.Reason})
	}
	for _, p := range m.Parameters {
		s.Parameters = append(s.Parameters, api.ManifestParameter{Name: p.Name, Unit: p.Unit, Default: p.Default, Min: bound(p.Min), Max: bound(p.Max), Description: p.Description})
	}
	return s
}

func labels(all []wasmabi.Label) map[string]string {
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]string, len(all))
	for _, l := range all {
		m[l.Name] = l.Value
	}
	return m
}

// bound is nil where the manifest has none.
func bound(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
