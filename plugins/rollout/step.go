package rollout

import (
	"slices"
	"time"
)

// MaxCrashes is how many restarts out of order a rollout survives: with the one that makes it so many it goes back.
const MaxCrashes = 2

// Step takes an event and returns the state after it and what has to be done now. A person's event that can't be leaves the
// state as it was and gives one action, [Refuse]; any other that does not fit is ignored. The receiver is not changed.
func (s State) Step(e Event) (State, []Action) {
	m := machine{State: s.clone(), e: e}
	m.Schema = Schema
	m.rebase()
	if e.Rollout != "" && e.Rollout != s.ID {
		if !e.Kind.fromPerson() {
			return s, nil
		}
		m.refuse("rollout.not-current", "that rollout is not the newest one of this policy", "look at it again with rollout get")
	} else if handle := handlers[e.Kind]; handle != nil {
		handle(&m)
	}
	if m.refused {
		return s, m.actions
	}
	m.record(&s)
	return m.State, m.actions
}

// Due says when to send the next [Tick] if nothing else happens; zero is never.
func (s *State) Due(now time.Time) time.Time {
	if s.Ends.IsZero() || s.Paused() || s.Pending != "" {
		return time.Time{}
	}
	if s.proving() && !now.Before(s.Ends) {
		return s.Ends.Add(s.Spec.Patience)
	}
	return s.Ends
}

// proving reports whether the candidate is in a phase that it can pass.
func (s *State) proving() bool { return s.Phase == PhaseShadow || s.Phase == PhaseCanary }

// machine is one step: the state as it becomes, and what the step asks for.
type machine struct {
	State
	e       Event
	actions []Action
	refused bool
}

var handlers = map[EventKind]func(*machine){
	Start: (*machine).start, Pause: (*machine).pause, Resume: (*machine).resume, Promote: (*machine).promote,
	Abort: (*machine).abort, Undo: (*machine).undo, Pardon: (*machine).pardon,
	Fetched: (*machine).fetched, Verified: (*machine).verified, Validated: (*machine).validated, Prepared: (*machine).prepared,
	Activated: (*machine).activated, RolledBack: (*machine).rolledBack, Failed: (*machine).failed,
	Measured: (*machine).measured, Fault: (*machine).fault, Tick: (*machine).tick, Restarted: (*machine).restarted,
}

func (k EventKind) fromPerson() bool {
	switch k {
	case Start, Pause, Resume, Promote, Abort, Undo, Pardon:
		return true
	}
	return false
}

func (s State) clone() State {
	s.Marks, s.History, s.GateRuns, s.Trail = slices.Clone(s.Marks), slices.Clone(s.History), slices.Clone(s.GateRuns), slices.Clone(s.Trail)
	return s
}

// rebase keeps what is left of a phase when the clock went back.
func (m *machine) rebase() {
	if m.e.At.IsZero() {
		return
	}
	if m.e.At.Before(m.Up) {
		m.Up = m.e.At
	}
	if !m.e.At.Before(m.Since) {
		return
	}
	back := m.e.At.Sub(m.Since)
	m.Since = m.e.At
	for _, t := range []*time.Time{&m.Ends, &m.PausedAt} {
		if !t.IsZero() {
			*t = t.Add(back)
		}
	}
}

func (m *machine) act(a Action) {
	a.Rollout = m.ID
	m.actions = append(m.actions, a)
}

func (m *machine) refuse(code, why, hint string) {
	m.refused = true
	m.actions = []Action{{Kind: Refuse, Rollout: m.ID, Digest: m.Digest, Code: code, Why: why, Hint: hint}}
}

// enter begins a phase that lasts for a time, or as long as it takes.
func (m *machine) enter(p Phase, lasts time.Duration) {
	if m.Phase != PhaseNone {
		m.Trail = appendBounded(m.Trail, MaxTrail, Stage{Phase: m.Phase, Began: m.Since, Ended: m.e.At, Reading: m.Reading})
	}
	m.Phase, m.Since, m.Ends = p, m.e.At, time.Time{}
	if lasts > 0 {
		m.Ends = m.e.At.Add(lasts)
	}
	if m.Reading = nil; !p.ends() {
		m.GateRuns = nil // at the end they say what went wrong
	}
}

// record puts what a person would want to know about the step into the history.
func (m *machine) record(before *State) {
	same := m.Phase == before.Phase && m.Pending == before.Pending && m.ID == before.ID && m.Settled == before.Settled
	if same && !m.e.Kind.fromPerson() {
		return
	}
	why := m.e.Why
	switch {
	case m.Why != "" && m.Why != before.Why:
		why = m.Why
	case why == "" && m.Pending == Activate && before.Pending != Activate:
		why = "it is being put in charge"
	case why == "" && m.Settled && !before.Settled:
		why = "it has come through its probation"
	}
	m.History = appendBounded(m.History, MaxHistory, Entry{
		At: m.e.At, Rollout: m.ID, Event: m.e.Kind, Phase: m.Phase, By: clip(m.e.By, maxName), Why: clip(why, maxWhy),
	})
}

// appendBounded drops the oldest to make room.
func appendBounded[T any](list []T, most int, item T) []T {
	if over := len(list) - most + 1; over > 0 {
		list = slices.Delete(list, 0, over)
	}
	return append(list, item)
}
