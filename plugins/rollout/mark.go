package rollout

import (
	"slices"
	"time"
)

// room makes sure that there is a place to remember something against a version. Quarantined ones keep theirs.
func (m *machine) room(digest string) bool {
	if m.markOf(digest) >= 0 || len(m.Marks) < MaxMarks {
		return true
	}
	oldest := -1
	for i, mark := range m.Marks {
		if !mark.Quarantined && mark.Digest != m.Active && (oldest < 0 || mark.At.Before(m.Marks[oldest].At)) {
			oldest = i
		}
	}
	if oldest < 0 {
		return false
	}
	m.Marks = slices.Delete(m.Marks, oldest, oldest+1)
	return true
}

// blame remembers a failure against a version and returns the phase that it ends in.
func (m *machine) blame(digest string, cause Cause, why string) Phase {
	if cause == CauseAbort || cause == CauseUndo || !m.room(digest) {
		return PhaseRetired
	}
	mark := m.Mark(digest)
	mark.At, mark.Why = m.e.At, clip(string(cause)+": "+why, maxWhy)
	if cause.Blames() {
		mark.Strikes++
	}
	mark.HeldUntil = m.e.At.Add(holdDown(orDefault(m.Spec.HoldDown, DefaultHoldDown), mark.Strikes))
	if mark.Strikes >= orDefault(m.Spec.Strikes, DefaultStrikes) {
		mark.Quarantined = true
	}
	m.setMark(mark)
	if mark.Quarantined {
		return PhaseQuarantined
	}
	return PhaseRetired
}

// holdDown doubles with each strike.
func holdDown(base time.Duration, strikes int) time.Duration {
	for ; strikes > 1 && base < maxHoldDown; strikes-- {
		base *= 2
	}
	return min(base, maxHoldDown)
}

func (m *machine) setMark(mark Mark) {
	if i := m.markOf(mark.Digest); i >= 0 {
		m.Marks[i] = mark
		return
	}
	m.Marks = append(m.Marks, mark)
}

func (m *machine) dropMark(digest string) {
	if i := m.markOf(digest); i >= 0 {
		m.Marks = slices.Delete(m.Marks, i, i+1)
	}
}

// forgive forgets everything against a version.
func (m *machine) forgive(digest string) {
	m.dropMark(digest)
	m.act(Action{Kind: Release, Digest: digest})
}

func (m *machine) pardon() {
	if m.e.Digest == "" || len(m.e.Digest) > maxName {
		m.refuse("rollout.bad-pardon", "it does not name a version", "name a digest")
		return
	}
	if !m.e.Person {
		m.refuse("rollout.needs-person", "only a person can pardon a version", "")
		return
	}
	if m.busy() {
		return
	}
	m.forgive(m.e.Digest)
	if m.Phase == PhaseQuarantined && m.Digest == m.e.Digest {
		m.Phase = PhaseRetired
	}
}
