package policytest_test

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

// fan runs a fan at full speed for a minute when it gets hot.
type fan struct {
	heat  policy.Metric
	speed policy.Knob
}

func (f *fan) Initialize(s *policy.Setup) error {
	f.heat, f.speed = s.Metric("temperature"), s.Knob("Fan", "fan0/speed")
	return nil
}

func (f *fan) Analyze(o *policy.Observation) policy.Verdict {
	if heat, ok := o.Fresh(f.heat, 10*time.Second); ok && heat > 80 {
		return policy.Act(heat, " degrees")
	}
	return policy.Stay("cool, or not known").WakeAbove(f.heat, 80)
}

func (f *fan) Plan(_ *policy.Observation, p *policy.Plan) error {
	p.SetMax(f.speed).For(time.Minute)
	return nil
}

// In a real test t is the test's own.
func Example() {
	t := new(testing.T)
	n := policytest.New(t, func() policy.Policy { return &fan{} })
	n.Metric("temperature")
	n.Knob("Fan", "fan0/speed", policytest.Range(0, 3000, "rpm"))

	n.Episode(policytest.Values{"temperature": 60}).WantStay("cool")

	hot := n.Episode(policytest.Values{"temperature": 85})
	hot.WantAct("85 degrees")
	hot.WantSet("fan0/speed", 3000)
}
