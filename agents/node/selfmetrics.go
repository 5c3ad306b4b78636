package node

import (
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/telemetry/attr"
	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
)

// about is the source that tells what policies cost and how far the knobs have been moved.
func (n *Node) about() sources.Source {
	return sources.Func(sources.Description{
		Name:  "policies",
		Every: 5 * time.Second,
		Metrics: []sources.Metric{
			{Name: attr.PolicyCalls, Kind: ring.Counter, Help: "Calls into the policy."},
			{Name: attr.PolicyFailures, Kind: ring.Counter, Help: "Calls that trapped, met a limit or answered with an error."},
			{Name: attr.PolicyFuel, Kind: ring.Counter, Help: "Fuel used, about one unit for each instruction."},
			{Name: attr.PolicySeconds, Kind: ring.Counter, Unit: "s", Help: "Wall time spent in the policy."},
			{Name: attr.PolicyResets, Kind: ring.Counter, Help: "Instances put back to their frozen image."},
			{Name: attr.PolicyInstances, Kind: ring.Gauge, Help: "Instances, lent and idle."},
			{Name: attr.PolicyMemory, Kind: ring.Gauge, Unit: "bytes", Help: "Largest linear memory of an instance."},
			{Name: attr.PolicyEpisodes, Kind: ring.Counter, Help: "Passes of the policy's loop since it was bound."},
			{Name: attr.KnobsOutstanding, Kind: ring.Gauge, Help: "Knobs that are not at their old values for the agent's sake."},
		},
	}, n.tellAbout)
}

func (n *Node) tellAbout(sink *sources.Sink) error {
	sink.Put(attr.KnobsOutstanding, float64(n.supervisor.Outstanding()))
	if n.Policies == nil {
		return nil
	}
	for name, status := range n.Policies.statuses() {
		policy := ring.Label{Name: attr.Policy, Value: name}
		version := ring.Label{Name: attr.Version, Value: status.Version}
		sink.Put(attr.PolicyEpisodes, float64(status.Episodes), policy, version)
		r := n.Policies.find(name)
		if r == nil || r.module == nil {
			continue
		}
		tellOf(sink, r.module.Stats(), policy, version)
	}
	n.Policies.shown.Range(func(name, v any) bool { // versions that prove themselves, and those that stand by
		if c := v.(*candidate); c.module != nil {
			tellOf(sink, c.module.Stats(), ring.Label{Name: attr.Policy, Value: name.(string)}, ring.Label{Name: attr.Version, Value: c.line.Other})
		}
		return true
	})
	return nil
}

// tellOf tells of one version.
func tellOf(sink *sources.Sink, s host.Stats, policy, version ring.Label) {
	failures := uint64(0)
	for _, n := range s.Errors {
		failures += n
	}
	sink.Put(attr.PolicyCalls, float64(s.Calls), policy, version)
	sink.Put(attr.PolicyFailures, float64(failures), policy, version)
	sink.Put(attr.PolicyFuel, float64(s.Fuel.Sum), policy, version)
	sink.Put(attr.PolicySeconds, time.Duration(s.Latency.Sum).Seconds(), policy, version)
	sink.Put(attr.PolicyResets, float64(s.Resets), policy, version)
	sink.Put(attr.PolicyInstances, float64(s.Instances), policy, version)
	sink.Put(attr.PolicyMemory, float64(s.MemoryBytes), policy, version)
}
