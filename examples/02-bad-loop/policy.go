// Command 02-bad-loop is a policy with a mistake that people make: it waits for time to pass. The clock of an episode stands
// still, so it would wait for ever, and the host cuts it off. It is not to be imitated.
package main

import (
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

type waiter struct {
	busy   policy.Metric
	limits []policy.Knob
}

func init() { policy.Register(&waiter{}) }

func main() {}

func (w *waiter) Initialize(s *policy.Setup) error {
	w.busy = s.Metric("node_cpu_utilisation_ratio")
	w.limits = s.Knobs("CPUFrequency", "*/max_frequency")
	return nil
}

func (w *waiter) Analyze(o *policy.Observation) policy.Verdict {
	busy, ok := o.Value(w.busy)
	if !ok || busy < 0.5 {
		return policy.Stay("nothing to do")
	}
	// Wait a second for the peak to pass. The right way: return policy.Stay("...").Next(time.Second).
	for until := o.Time().Add(time.Second); o.Time().Before(until); {
	}
	return policy.Act("utilisation ", busy, " lasts")
}

func (w *waiter) Plan(o *policy.Observation, p *policy.Plan) error {
	p.SetMax(w.limits...)
	return nil
}
