// Command cooler is a policy for the adapter beside it: it turns the fan up while the node is busy. Whether the fan hangs
// on a bus or behind a REST interface is nothing that it knows.
package main

import (
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

// lease is short: should the agent die, the plug gets its fan back soon.
const lease = 10 * time.Second

type cooler struct {
	busy policy.Metric
	fan  policy.Knob
	high float64
}

func init() { policy.Register(&cooler{}) }

func main() {}

func (c *cooler) Initialize(s *policy.Setup) error {
	c.busy, c.fan, c.high = s.Metric("node_cpu_utilisation_ratio"), s.Knob("SmartPlug", "fan/speed"), s.Parameter("high")
	return nil
}

func (c *cooler) Analyze(o *policy.Observation) policy.Verdict {
	busy, ok := o.Value(c.busy)
	switch {
	case !ok:
		return policy.Stay("there is no utilisation yet")
	case busy > c.high:
		return policy.Act("utilisation ", busy, " is above ", c.high).WakeBelow(c.busy, c.high)
	}
	return policy.Stay("utilisation ", busy, " is at most ", c.high).WakeAbove(c.busy, c.high)
}

func (c *cooler) Plan(_ *policy.Observation, p *policy.Plan) error {
	p.SetMax(c.fan).For(lease)
	return nil
}
