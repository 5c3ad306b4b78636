package main

import (
	"testing"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

func TestFanFollowsTheLoad(t *testing.T) {
	n := policytest.New(t, func() policy.Policy { return &cooler{} })
	n.Metric("node_cpu_utilisation_ratio")
	n.Parameter("high", 0.8)
	n.Knob("SmartPlug", "fan/speed", policytest.Range(0, 100, "%"))
	n.SetKnob("fan/speed", 40)
	n.Episode(policytest.Values{"node_cpu_utilisation_ratio": 0.2}).WantStay("at most")
	n.Episode(policytest.Values{"node_cpu_utilisation_ratio": 0.95}).WantSet("fan/speed", 100)
	n.Advance(lease)
	if got := n.KnobValue("fan/speed"); got != 40 {
		t.Errorf("after the lease it is at %v", got)
	}
}
