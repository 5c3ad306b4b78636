package report

import (
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// Rollout says how the newest rollout of a policy stands. versionOf names the version of a digest for people.
func Rollout(policy string, s *rollout.State, versionOf func(digest string) string) api.Rollout {
	r := api.Rollout{
		ID: s.ID, Policy: policy, Version: s.Version, Digest: s.Digest,
		Phase: api.RolloutPhase(s.Phase), Over: s.Over(), Outcome: outcome(s), Paused: s.Paused(), Doing: string(s.Pending),
		Since: s.Since, Held: !s.HeldUntil().IsZero(), Cause: string(s.Cause), Why: s.Why, Waits: s.Waits(),
		Halted: s.Halted, Spec: Spec(&s.Spec), Steps: steps(s), Gates: gates(s), Goal: goal(s),
		Strikes: s.Mark(s.Digest).Strikes, History: history(s.History),
	}
	if !s.Paused() && s.Pending == "" {
		r.Ends = s.Ends
	}
	if s.Active != "" {
		r.ActiveVersion = versionOf(s.Active)
	}
	if s.Standby != "" {
		r.StandbyVersion = versionOf(s.Standby)
	}
	return r
}

func outcome(s *rollout.State) api.RolloutOutcome {
	switch {
	case !s.Over() || s.Phase == rollout.PhaseNone:
		return ""
	case s.Phase == rollout.PhaseActive:
		return api.RolloutSucceeded
	case s.Phase == rollout.PhaseStandby || s.Cause == rollout.CauseUndo:
		return api.RolloutUndone
	case s.Cause == rollout.CauseAbort:
		return api.RolloutAborted
	case stageOf(s, rollout.PhaseActive) != nil:
		return api.RolloutRolledBack
	}
	return api.RolloutFailed
}

// stageOf finds the last time that the rollout was in a phase.
func stageOf(s *rollout.State, p rollout.Phase) *rollout.Stage {
	for i := len(s.Trail) - 1; i >= 0; i-- {
		if s.Trail[i].Phase == p {
			return &s.Trail[i]
		}
	}
	return nil
}

// steps lists the phases in their order. Those that the spec leaves out are not listed.
func steps(s *rollout.State) []api.RolloutStep {
	list := []api.RolloutStep{}
	if s.Phase == rollout.PhaseNone {
		return list
	}
	here := furthest(s)
	for i, p := range rollout.Phases() {
		left := stageOf(s, p)
		if left == nil && p != s.Phase && (p == rollout.PhaseShadow && s.Spec.Shadow == 0 || p == rollout.PhaseCanary && s.Spec.Canary == 0) {
			continue
		}
		step := api.RolloutStep{Phase: api.RolloutPhase(p), State: stepState(s, i, here, left != nil)}
		switch {
		case p == s.Phase:
			step.Began, step.Stats = s.Since, stats(s.Reading)
		case left != nil:
			step.Began, step.Ended, step.Stats = left.Began, left.Ended, stats(left.Reading)
		}
		list = append(list, step)
	}
	return list
}

// furthest is the place, among the phases in their order, of the one that the rollout is in or ended in.
func furthest(s *rollout.State) int {
	last := s.Phase
	if s.Over() && s.Phase != rollout.PhaseActive && len(s.Trail) > 0 {
		last = s.Trail[len(s.Trail)-1].Phase
	}
	for i, p := range rollout.Phases() {
		if p == last {
			return i
		}
	}
	return 0
}

func stepState(s *rollout.State, step, here int, visited bool) api.RolloutStepState {
	switch {
	case step < here && !visited:
		return api.StepSkipped
	case step < here:
		return api.StepDone
	case step > here:
		return api.StepWaiting
	case !s.Over():
		return api.StepCurrent
	case s.Phase == rollout.PhaseActive:
		return api.StepDone
	}
	return api.StepFailed
}

func stats(r *rollout.Reading) *api.RolloutStats {
	if r == nil {
		return nil
	}
	us := func(d time.Duration) uint64 { return uint64(max(0, d).Microseconds()) }
	return &api.RolloutStats{
		Passes: r.Passes, Dropped: r.Dropped, Compared: r.Compared, SameVerdict: r.SameVerdict, SamePlan: r.SamePlan, Divergence: r.Divergence(),
		Traps: r.Traps, Limits: r.Limits, GuestErrors: r.GuestErrors,
		FuelLive: r.FuelLive, FuelNext: r.FuelNext, FuelRatio: r.FuelRatio(),
		P50LiveUS: us(r.P50Live), P99LiveUS: us(r.P99Live), P50NextUS: us(r.P50Next), P99NextUS: us(r.P99Next),
	}
}

func gates(s *rollout.State) (list []api.RolloutGate) {
	for i := range s.Spec.Gates {
		g := &s.Spec.Gates[i]
		shown := api.RolloutGate{Gate: g.String(), Unit: g.Unit, Samples: g.Samples}
		if i < len(s.GateRuns) && s.GateRuns[i].Last != nil {
			run := &s.GateRuns[i]
			value := api.Float(*run.Last)
			shown.Value, shown.At, shown.Holds, shown.InARow = &value, run.At, run.Held > 0, max(run.Held, run.Broke)
		}
		list = append(list, shown)
	}
	return list
}

func goal(s *rollout.State) *api.RolloutGoal {
	if s.Spec.Goal == nil {
		return nil
	}
	return &api.RolloutGoal{
		Goal: s.Spec.Goal.String(), Live: mean(s.GoalLive), LiveSize: s.GoalLive.Count, Next: mean(s.GoalNext), NextSize: s.GoalNext.Count,
	}
}

func mean(m rollout.Mean) *api.Float {
	if m.Count == 0 {
		return nil
	}
	v := api.Float(m.Value())
	return &v
}

func history(entries []rollout.Entry) []api.RolloutEntry {
	list := make([]api.RolloutEntry, len(entries))
	for i, e := range entries {
		list[i] = api.RolloutEntry{At: e.At, Rollout: e.Rollout, Event: string(e.Event), Phase: api.RolloutPhase(e.Phase), By: e.By, Why: e.Why}
	}
	return list
}
