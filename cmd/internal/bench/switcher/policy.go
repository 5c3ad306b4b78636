// Command switcher is the policy that the benchmark of the whole daemon uploads: it follows a signal up and down at once.
// It is not an example: a real policy would not chase every crossing.
package main

import "github.com/edgehold/edgehold/sdk/go/policy"

// middle is where the signal is cut in two.
const middle = 0.5

type switcher struct {
	signal policy.Metric
	limits []policy.Knob
	high   bool
}

func init() { policy.Register(&switcher{}) }

func main() {}

func (s *switcher) Initialize(setup *policy.Setup) error {
	s.signal = setup.Metric("bench_signal_ratio")
	s.limits = setup.Knobs("CPUFrequency", "policy0/max_frequency")
	return nil
}

func (s *switcher) Analyze(o *policy.Observation) policy.Verdict {
	value, ok := o.Value(s.signal)
	if !ok {
		return policy.Stay("no signal yet").WakeAbove(s.signal, middle)
	}
	if s.high = value > middle; s.high {
		return policy.Act("signal ", value, " is high").WakeBelow(s.signal, middle)
	}
	return policy.Act("signal ", value, " is low").WakeAbove(s.signal, middle)
}

func (s *switcher) Plan(_ *policy.Observation, p *policy.Plan) error {
	if s.high {
		p.SetMax(s.limits...)
	} else {
		p.SetMin(s.limits...)
	}
	return nil
}
