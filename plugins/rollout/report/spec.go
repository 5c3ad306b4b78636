package report

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// ParseSpec reads what an upload asks for; what is zero gets its default. It reports the first gate or goal that can't be
// read, or everything that is out of bounds.
func ParseSpec(s api.RolloutSpec) (rollout.Spec, error) {
	spec := rollout.Spec{
		Shadow: span(s.ShadowMS, time.Millisecond), ShadowBudget: s.ShadowBudget,
		Canary: s.Canary, CanaryFor: span(s.CanaryMS, time.Millisecond), MaxStep: s.MaxStep,
		Settle: span(s.SettleMS, time.Millisecond), Patience: span(s.PatienceMS, time.Millisecond), Passes: s.Passes,
		MaxDivergence: s.MaxDivergence, MaxFuelRatio: s.MaxFuelRatio, MaxLatencyRatio: s.MaxLatencyRatio,
		MaxLatency: span(s.MaxLatencyUS, time.Microsecond), MaxFaults: s.MaxFaults,
		HoldDown: span(s.HoldDownMS, time.Millisecond), Strikes: s.Strikes,
	}
	for _, text := range s.Gates {
		gate, err := rollout.ParseGate(text)
		if err != nil {
			return rollout.Spec{}, err
		}
		if s.GateSamples != 0 {
			gate.Samples = s.GateSamples
		}
		spec.Gates = append(spec.Gates, gate)
	}
	if s.Goal != "" {
		goal, err := rollout.ParseGoal(s.Goal)
		if err != nil {
			return rollout.Spec{}, err
		}
		spec.Goal = &goal
	}
	if err := spec.Validate(); err != nil {
		return rollout.Spec{}, &rollout.Error{Code: "rollout.bad-spec", What: "read how to roll out", Why: err.Error(), Hint: "mend what is listed"}
	}
	return spec.WithDefaults(), nil
}

// span is n units; what does not fit is too long for any spec, and refused as such.
func span(n uint64, unit time.Duration) time.Duration {
	if n > uint64(math.MaxInt64/unit) {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}

// Spec is the other way round.
func Spec(s *rollout.Spec) api.RolloutSpec {
	out := api.RolloutSpec{
		ShadowMS: uint64(s.Shadow.Milliseconds()), ShadowBudget: s.ShadowBudget,
		Canary: s.Canary, CanaryMS: uint64(s.CanaryFor.Milliseconds()), MaxStep: s.MaxStep,
		SettleMS: uint64(s.Settle.Milliseconds()), PatienceMS: uint64(s.Patience.Milliseconds()), Passes: s.Passes,
		MaxDivergence: s.MaxDivergence, MaxFuelRatio: s.MaxFuelRatio, MaxLatencyRatio: s.MaxLatencyRatio,
		MaxLatencyUS: uint64(s.MaxLatency.Microseconds()), MaxFaults: s.MaxFaults,
		HoldDownMS: uint64(s.HoldDown.Milliseconds()), Strikes: s.Strikes,
	}
	for i := range s.Gates {
		out.Gates, out.GateSamples = append(out.Gates, s.Gates[i].String()), s.Gates[i].Samples
	}
	if s.Goal != nil {
		out.Goal = s.Goal.String()
	}
	return out
}
