package rollout

import (
	"slices"
	"time"
)

// Schema is the version of a [State] as JSON.
const Schema = 1

// Bounds of a [State].
const (
	MaxMarks   = 32
	MaxHistory = 32
	MaxTrail   = 24
	maxWhy     = 500
)

// State is everything that the rollouts of one policy have to remember. Its zero value is a policy that never had one.
// Every field is read-only for others.
type State struct {
	Schema int `json:"schema"`

	// ID, Digest, Version and Spec are of the newest rollout, over or not.
	ID      string `json:"id,omitempty"`
	Digest  string `json:"digest,omitempty"`
	Version string `json:"version,omitempty"`
	Spec    Spec   `json:"spec"`
	// Before is what came with the start, for its owner.
	Before string `json:"before,omitempty"`

	Phase Phase `json:"phase,omitempty"`
	// Since is when the phase began; Ends is when its time is up, zero if it has none. A pause moves Ends.
	Since time.Time `json:"since,omitzero"`
	Ends  time.Time `json:"ends,omitzero"`
	// Passed is the last proving phase (shadow, canary) that the candidate came through.
	Passed Phase `json:"passed,omitempty"`
	// Skip leaves out what is left of shadow and canary: a person promoted it.
	Skip bool `json:"skip,omitempty"`
	// PausedAt is when a person paused it; zero if not paused.
	PausedAt time.Time `json:"paused_at,omitzero"`
	// Settled says that an active candidate has come through its probation.
	Settled bool `json:"settled,omitempty"`

	// Active decides, Standby could take over at once, Spare was the standby before and is until the candidate is settled.
	Active  string `json:"active,omitempty"`
	Standby string `json:"standby,omitempty"`
	Spare   string `json:"spare,omitempty"`
	// LastGood is the version that was active and settled last.
	LastGood string `json:"last_good,omitempty"`
	// Halted says that no version decides, because the last one failed and there was none to go back to.
	Halted bool `json:"halted,omitempty"`

	// Pending is the action, Activate or RollBack, that is under way.
	Pending ActionKind `json:"pending,omitempty"`
	// Then is the phase that a pending RollBack ends in.
	Then Phase `json:"then,omitempty"`
	// Tries counts how often the pending RollBack has failed.
	Tries int `json:"tries,omitempty"`
	// Crashes counts restarts out of order, each soon after the start before, since the rollout began; Up is the newest start.
	Crashes int       `json:"crashes,omitempty"`
	Up      time.Time `json:"up,omitzero"`

	// Cause and Why say how it ended.
	Cause Cause  `json:"cause,omitempty"`
	Why   string `json:"why,omitempty"`

	// Reading is the newest one of this phase; GateRuns has its judgement of each gate.
	Reading  *Reading  `json:"reading,omitempty"`
	GateRuns []GateRun `json:"gate_runs,omitempty"`
	// GoalLive and GoalNext are the goal's means under the version in charge and under the candidate.
	GoalLive Mean `json:"goal_live,omitzero"`
	GoalNext Mean `json:"goal_next,omitzero"`

	// Trail has the phases that this rollout has left, oldest first.
	Trail   []Stage `json:"trail,omitempty"`
	Marks   []Mark  `json:"marks,omitempty"`
	History []Entry `json:"history,omitempty"`
}

// Adopt is the state of a policy that had no rollout yet, with the versions that it has now.
func Adopt(active, standby string) State {
	return State{Schema: Schema, Active: active, Standby: standby, LastGood: active}
}

// GateRun is how a gate did lately.
type GateRun struct {
	Last  *float64  `json:"last,omitempty"` // newest value
	At    time.Time `json:"at,omitzero"`
	Held  int       `json:"held,omitempty"`  // readings in a row that kept it
	Broke int       `json:"broke,omitempty"` // readings in a row that did not
}

// Stage is a phase that a rollout has left, with what was measured in it last.
type Stage struct {
	Phase   Phase     `json:"phase"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Reading *Reading  `json:"reading,omitempty"`
}

// Mark is what is remembered against a version.
type Mark struct {
	Digest      string    `json:"digest"`
	Strikes     int       `json:"strikes,omitempty"`
	HeldUntil   time.Time `json:"held_until,omitzero"`
	Quarantined bool      `json:"quarantined,omitempty"`
	Why         string    `json:"why,omitempty"`
	At          time.Time `json:"at,omitzero"`
}

// Entry is one step of the history, oldest first.
type Entry struct {
	At      time.Time `json:"at"`
	Rollout string    `json:"rollout"`
	Event   EventKind `json:"event"`
	Phase   Phase     `json:"phase"` // after the event
	By      string    `json:"by,omitempty"`
	Why     string    `json:"why,omitempty"`
}

// Over reports whether nothing is going to happen by itself any more.
func (s *State) Over() bool {
	switch s.Phase {
	case PhaseNone, PhaseStandby, PhaseRetired, PhaseQuarantined:
		return s.Pending == ""
	case PhaseActive:
		return s.Settled && s.Pending == ""
	}
	return false
}

// Paused reports whether a person paused it.
func (s *State) Paused() bool { return !s.PausedAt.IsZero() }

// Mark returns what is remembered against a version.
func (s *State) Mark(digest string) Mark {
	if i := s.markOf(digest); i >= 0 {
		return s.Marks[i]
	}
	return Mark{Digest: digest}
}

func (s *State) markOf(digest string) int {
	return slices.IndexFunc(s.Marks, func(m Mark) bool { return m.Digest == digest })
}

// HeldUntil is when the hold-down of a candidate that waits for it ends; zero if it does not wait.
func (s *State) HeldUntil() time.Time {
	if s.Phase == PhasePending {
		return s.Ends
	}
	return time.Time{}
}

// Keeps lists the digests whose bytes must not be collected.
func (s *State) Keeps() []string {
	keeps := []string{s.Active, s.Standby, s.Spare, s.LastGood}
	if !s.Over() {
		keeps = append(keeps, s.Digest)
	}
	slices.Sort(keeps)
	keeps = slices.Compact(keeps)
	return slices.DeleteFunc(keeps, func(d string) bool { return d == "" })
}
