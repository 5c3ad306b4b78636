package main

import (
	"testing"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

// The mistake does not show while the node is calm. The test of the folder above runs the module under the host's
// limits, where it does.
func TestCalmNodeLooksFine(t *testing.T) {
	n := policytest.New(t, func() policy.Policy { return &waiter{} })
	n.Metric("node_cpu_utilisation_ratio")
	n.Knob("CPUFrequency", "policy0/max_frequency", policytest.Range(800e6, 3.5e9, "Hz"))
	n.Episode(policytest.Values{"node_cpu_utilisation_ratio": 0.1}).WantStay("nothing to do")
}
