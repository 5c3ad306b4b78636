// Command pulse is a policy that counts: its n-th plan sets the limit to a base plus n steps. Every value occurs in one
// decision only, so a knob's value tells which decision turned it last.
package main

import "github.com/edgehold/edgehold/sdk/go/policy"

// The n-th value is base + n*step.
const (
	base = 1e9 // Hz
	step = 1e3 // Hz: the kernel's files count in kHz
)

type pulse struct {
	limit policy.Knob
	traps bool
	n     int64
}

func init() { policy.Register(&pulse{}) }

func main() {}

func (p *pulse) Initialize(s *policy.Setup) error {
	p.limit = s.Knob("CPUFrequency", "policy0/max_frequency")
	p.traps = s.Parameter("traps") != 0
	return nil
}

func (p *pulse) Analyze(*policy.Observation) policy.Verdict {
	if p.traps {
		panic("this version is made to fail")
	}
	p.n++
	return policy.Act("pulse ", p.n)
}

func (p *pulse) Plan(_ *policy.Observation, plan *policy.Plan) error {
	plan.Set(p.limit, base+float64(p.n)*step)
	return nil
}

func (p *pulse) Save(s *policy.State) { s.PutInt("n", p.n) }
func (p *pulse) Load(s *policy.State) { p.n = s.Int("n") }
