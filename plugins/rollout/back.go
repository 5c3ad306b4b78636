package rollout

import (
	"slices"
	"time"
)

// triesEach is how often a version is tried to be put back in charge before another one is.
const triesEach = 2

// fail ends the rollout for a cause, and goes back if the candidate may be in charge.
func (m *machine) fail(cause Cause, why string) {
	m.Cause, m.Why, m.PausedAt = cause, clip(why, maxWhy), time.Time{}
	then := m.blame(m.Digest, cause, why)
	if m.Phase == PhaseStandby {
		then = PhaseStandby
	}
	if m.Phase == PhaseActive || m.Pending == Activate {
		m.rollBack(then)
	} else {
		m.discard(why)
		m.enter(then, 0)
	}
	if then == PhaseQuarantined {
		m.act(Action{Kind: Quarantine, Digest: m.Digest, Why: m.Mark(m.Digest).Why})
	}
}

func (m *machine) discard(why string) {
	m.act(Action{Kind: Discard, Digest: m.Digest, Why: clip(why, maxWhy)})
}

// rollBack has the version before decide again; then is the phase that the candidate ends in.
func (m *machine) rollBack(then Phase) {
	m.Pending, m.Then, m.Tries, m.Ends = RollBack, then, 0, time.Time{}
	m.tryBack()
}

// targets are the versions to go back to, best first. After crashes it is the one that is known to be good.
func (m *machine) targets() (digests []string) {
	order := []string{m.Active, m.Standby, m.Spare, m.LastGood}
	if m.Cause == CauseRestarts && m.Pending == RollBack {
		order = []string{m.LastGood, m.Active, m.Standby, m.Spare}
	}
	for _, d := range order {
		if d != "" && d != m.Digest && !slices.Contains(digests, d) && !m.Mark(d).Quarantined {
			digests = append(digests, d)
		}
	}
	return digests
}

// tryBack asks for the rollback, or halts if there is nothing to go back to.
func (m *machine) tryBack() {
	target := m.target()
	if target == "" {
		m.halt()
		return
	}
	m.act(Action{Kind: RollBack, Digest: target, Standby: m.standbyAfter(target), Why: m.Why})
}

func (m *machine) target() string {
	if targets := m.targets(); m.Tries/triesEach < len(targets) {
		return targets[m.Tries/triesEach]
	}
	return ""
}

// standbyAfter is the standby once target is in charge again.
func (m *machine) standbyAfter(target string) string {
	order := []string{m.Standby, m.Spare}
	if m.Then == PhaseStandby {
		order = []string{m.Digest}
	}
	for _, d := range order {
		if d != target && (d != m.Digest || m.Then == PhaseStandby) && !m.Mark(d).Quarantined {
			return d
		}
	}
	return ""
}

func (m *machine) rolledBack() {
	if m.Pending != RollBack {
		return
	}
	target := m.target()
	if m.Then == PhaseStandby && m.LastGood == m.Digest {
		m.LastGood = target
	}
	m.Active, m.Standby = target, m.standbyAfter(target)
	m.Pending, m.Tries, m.Settled, m.Halted = "", 0, false, false
	m.retireSpare()
	if m.Then != PhaseStandby {
		m.discard(m.Why)
	}
	m.enter(m.Then, 0)
	m.Then = ""
}

// halt leaves no version in charge: knobs at their baseline are the safest that is left.
func (m *machine) halt() {
	m.act(Action{Kind: Halt, Digest: m.Digest, Why: m.Why})
	then := m.Then
	if then == PhaseStandby {
		then = PhaseRetired
	}
	m.Halted, m.Active, m.Pending, m.Tries, m.Then, m.Settled = true, "", "", 0, "", false
	m.retireSpare()
	m.discard(m.Why)
	m.enter(then, 0)
}

// failed answers an action that could not be carried out.
func (m *machine) failed() {
	why := orDefault(m.e.Why, "no reason was given")
	switch {
	case m.Pending == RollBack:
		m.Tries++
		m.tryBack()
	case m.Pending == Activate:
		m.Pending = ""
		cause := orDefault(m.e.Cause, CauseActivate)
		if m.Phase == PhaseStandby {
			m.Cause, m.Why = cause, clip(why, maxWhy)
			return
		}
		m.fail(cause, why)
	case causes[m.Phase] != "":
		m.fail(orDefault(m.e.Cause, causes[m.Phase]), why)
	}
}

// causes are those of a failure that names none, for the phases that wait for an answer.
var causes = map[Phase]Cause{
	PhasePending: CauseFetch, PhaseFetched: CauseVerify, PhaseVerified: CauseValidate, PhaseValidated: CausePrepare,
}

// fault is the word that a version which should run can't go on. While another one is being put in charge it does not count:
// if it is still true afterwards it is said again.
func (m *machine) fault() {
	if m.Pending != "" {
		return
	}
	cause, why := orDefault(m.e.Cause, CauseFaults), orDefault(m.e.Why, "it kept failing")
	switch failed := orDefault(m.e.Digest, m.Active); {
	case failed == m.Digest && (m.proving() || m.Phase == PhaseActive):
		m.fail(cause, why)
	case failed != "" && failed == m.Active:
		m.lose(cause, why)
	}
}

// lose is for a version in charge that is not the candidate, and can't go on: the rollout is off, since there is nothing left
// to compare with, and the next best version takes over.
func (m *machine) lose(cause Cause, why string) {
	lost := m.Active
	if !m.Over() {
		m.fail(CauseAbort, "the version in charge failed: "+why)
	}
	if m.blame(lost, cause, why) == PhaseQuarantined {
		m.act(Action{Kind: Quarantine, Digest: lost, Why: m.Mark(lost).Why})
	}
	m.Active, m.Why = "", clip(why, maxWhy)
	for _, next := range []string{m.Standby, m.Spare, m.LastGood} {
		if next != "" && next != lost && !m.Mark(next).Quarantined {
			m.Active = next
			break
		}
	}
	if m.Standby = m.Spare; m.Standby == m.Active || m.Standby == lost {
		m.Standby = ""
	}
	m.Spare = ""
	if m.LastGood == lost {
		m.LastGood = m.Active
	}
	if m.Active == "" {
		m.Halted = true
		m.act(Action{Kind: Halt, Digest: lost, Why: m.Why})
		return
	}
	m.act(Action{Kind: Decide, Digest: m.Active, Standby: m.Standby})
	if m.Phase == PhaseStandby && m.Active == m.Digest {
		m.enter(PhaseActive, m.Spec.Settle)
	}
}
