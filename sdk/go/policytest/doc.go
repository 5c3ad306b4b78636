// Package policytest runs a policy in plain `go test`, without Wasm and without a daemon.
// It is not a simulator of machines: knobs take the values that plans give them, and nothing else happens.
//
// A [Node] stands for the host. It speaks the same calls and bytes as the real one, makes a fresh policy for each
// episode, keeps the state between them, lets leases run out, and runs every episode twice, so that a policy which
// depends on anything but its inputs fails its test:
//
//	func TestBusyNodeIsBoosted(t *testing.T) {
//		n := policytest.New(t, func() policy.Policy { return &boost{} })
//		n.Metric("node_load1")
//		n.Knob("CPUFrequency", "policy0/max_frequency", policytest.Range(800e6, 3.5e9, "Hz"))
//
//		e := n.Episode(policytest.Values{"node_load1": 3})
//		e.WantAct("above")
//		e.WantSet("policy0/max_frequency", 3.5e9)
//	}
package policytest
