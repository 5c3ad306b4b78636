package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/plugins/rollout"
)

func TestTally(t *testing.T) {
	const live, next = "sha256:live", "sha256:next"
	by := func(module string, took time.Duration) agents.Decision {
		return agents.Decision{Module: module, Fuel: 10, Phases: agents.Phases{Analyze: took}}
	}
	shadow := func(module, difference string) *agents.Decision {
		d := by(module, 3*time.Millisecond)
		d.Fuel, d.Part = 30, &agents.Part{Role: agents.Shadow, Difference: difference}
		return &d
	}
	fails := func(d agents.Decision, code string) agents.Decision {
		d.Failure = &agents.Failure{Phase: "analyze", Code: code}
		return d
	}
	broken := fails(by(next, 0), "call.trap")
	for _, test := range []struct {
		name   string
		phase  rollout.Phase
		passes []agents.Contest
		failed bool
		want   rollout.Reading
	}{
		{"shadow", rollout.PhaseShadow, []agents.Contest{
			{Decided: by(live, time.Millisecond), Other: shadow(next, "")},
			{Decided: by(live, time.Millisecond), Other: shadow(next, "they differ")},
			{Decided: by(live, time.Millisecond), Skipped: agents.OverBudget},
			{Decided: by(live, time.Millisecond), Skipped: agents.NotCounted},
		}, false, rollout.Reading{Passes: 2, Dropped: 1, Compared: 2, SameVerdict: 2, SamePlan: 1, FuelLive: 10, FuelNext: 30,
			P50Live: time.Millisecond, P99Live: time.Millisecond, P50Next: 3 * time.Millisecond, P99Next: 3 * time.Millisecond}},
		{"canary counts what it decides", rollout.PhaseCanary, []agents.Contest{
			{Decided: by(next, time.Millisecond), Other: shadow(live, "")},
			{Decided: by(live, time.Millisecond), Skipped: agents.Busy},
		}, false, rollout.Reading{Passes: 1, Dropped: 1, Compared: 1, SameVerdict: 1, SamePlan: 1, FuelLive: 20, FuelNext: 10,
			P50Live: 3 * time.Millisecond, P99Live: 3 * time.Millisecond, P50Next: time.Millisecond, P99Next: time.Millisecond}},
		{"canary that fails", rollout.PhaseCanary, []agents.Contest{
			{Decided: by(live, time.Millisecond), Failed: &broken},
		}, true, rollout.Reading{Traps: 1, FuelLive: 10, P50Live: time.Millisecond, P99Live: time.Millisecond}},
		{"fails on probation", rollout.PhaseActive, []agents.Contest{
			{Decided: fails(by(next, 0), "call.fuel"), Other: shadow(live, "it failed")},
			{Decided: fails(by(next, 0), "plan.not-granted"), Skipped: agents.OverBudget},
		}, true, rollout.Reading{Passes: 2, Limits: 1, GuestErrors: 1, FuelLive: 30, P50Live: 3 * time.Millisecond, P99Live: 3 * time.Millisecond}},
		{"the live version's failures are not its own", rollout.PhaseShadow, []agents.Contest{
			{Decided: fails(by(live, 0), "call.trap"), Other: shadow(next, "")},
		}, false, rollout.Reading{Passes: 1, FuelNext: 30, P50Next: 3 * time.Millisecond, P99Next: 3 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &tally{candidate: next}
			c.begin(test.phase)
			failed := false
			for _, p := range test.passes {
				failed = c.add(p) || failed
			}
			if failed != test.failed {
				t.Errorf("failed: got %v, want %v", failed, test.failed)
			}
			if diff := cmp.Diff(c.reading(), test.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}
