package rollout

import "time"

// busy refuses if an activation or a rollback is under way, over refuses if there is nothing left to steer.
func (m *machine) busy() bool {
	if m.Pending != "" {
		m.refuse("rollout.busy", "it is being put in charge or taken back", "try again in a moment")
	}
	return m.refused
}

func (m *machine) over() bool {
	if m.Over() {
		m.refuse("rollout.over", "there is no rollout under way", "start one with an upload; undo goes back to the version before")
	}
	return m.refused
}

func (m *machine) pause() {
	if m.over() || m.busy() {
		return
	}
	if !m.Paused() {
		m.PausedAt = m.e.At
	}
}

func (m *machine) resume() {
	held := !m.HeldUntil().IsZero()
	switch {
	case m.over() || m.busy():
	case !m.Paused() && !held:
		m.refuse("rollout.not-paused", "it is neither paused nor held down", "")
	case held:
		m.PausedAt = time.Time{}
		m.release()
	default:
		if !m.Ends.IsZero() {
			m.Ends = m.Ends.Add(max(0, m.e.At.Sub(m.PausedAt)))
		}
		m.PausedAt = time.Time{}
		if m.Phase == PhasePrepared {
			m.advance()
		}
	}
}

func (m *machine) promote() {
	if m.over() {
		return
	}
	if m.Pending == Activate {
		return // as asked
	}
	if m.busy() {
		return
	}
	held := !m.HeldUntil().IsZero()
	m.PausedAt = time.Time{}
	switch m.Phase {
	case PhaseActive:
		m.settle()
		return
	case PhasePrepared, PhaseShadow, PhaseCanary:
		m.Skip = true
		m.advance()
	default:
		m.Skip = true
		if held {
			m.release()
		}
	}
}

func (m *machine) abort() {
	if m.over() {
		return
	}
	if m.Pending == RollBack {
		m.busy()
		return
	}
	why := orDefault(m.e.Why, "a person aborted it")
	if m.Phase == PhaseActive && len(m.targets()) == 0 {
		m.refuseNoStandby()
		return
	}
	m.fail(CauseAbort, why)
}

func (m *machine) refuseNoStandby() {
	m.refuse("policy.no-standby", "there is no earlier version to go back to", "disable the policy, or activate one of its versions by name")
}

func (m *machine) undo() {
	switch {
	case m.Phase != PhaseStandby && !m.Over() && m.Phase != PhaseActive:
		m.abort()
	case m.busy():
	case m.Phase == PhaseStandby:
		m.Skip, m.Passed = true, PhaseNone
		m.activate()
	case m.Phase != PhaseActive:
		m.refuse("rollout.nothing-to-undo", "the newest rollout changed nothing that is still in place", "go back further with `edgehold policy rollback`")
	case len(m.targets()) == 0 || m.targets()[0] != m.Standby:
		m.refuseNoStandby()
	default:
		m.PausedAt = time.Time{}
		m.Cause, m.Why = CauseUndo, clip(orDefault(m.e.Why, "a person undid it"), maxWhy)
		m.rollBack(PhaseStandby)
	}
}
