// Command 03-worse is version 2 of 01-cpu-boost, made worse: it crashes when it plans. It is there to be rolled back,
// not to be imitated.
package main

import (
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

type boost struct {
	busy   policy.Metric
	limits []policy.Knob
	high   float64
	mode   int64 // the state of version 1, kept as it is
	calm   time.Time
}

func init() { policy.Register(&boost{}) }

func main() {}

func (b *boost) Initialize(s *policy.Setup) error {
	b.busy = s.Metric("node_cpu_utilisation_ratio")
	b.limits = s.Knobs("CPUFrequency", "*/max_frequency")
	b.high = s.Parameter("high")
	return nil
}

func (b *boost) Analyze(o *policy.Observation) policy.Verdict {
	busy, ok := o.Value(b.busy)
	if ok && busy > b.high {
		return policy.Act("utilisation ", busy, " is above ", b.high)
	}
	return policy.Stay("utilisation ", busy, " is at most ", b.high).WakeAbove(b.busy, b.high)
}

// Plan means to take the greatest value, and reads one behind the last.
func (b *boost) Plan(o *policy.Observation, p *policy.Plan) error {
	for _, limit := range b.limits {
		values := limit.Values()
		p.Set(limit, values[len(values)])
	}
	return nil
}

func (b *boost) Save(s *policy.State) {
	s.PutInt("mode", b.mode)
	s.PutTime("calm_since", b.calm)
}

func (b *boost) Load(s *policy.State) {
	b.mode = s.Int("mode")
	b.calm = s.Time("calm_since")
}
