package rollout

import "time"

func (m *machine) fetched() {
	if m.Phase == PhasePending && m.Ends.IsZero() {
		m.enter(PhaseFetched, 0)
		m.act(Action{Kind: Verify, Digest: m.Digest})
	}
}

func (m *machine) verified() {
	if m.Phase == PhaseFetched {
		m.enter(PhaseVerified, 0)
		m.act(Action{Kind: Validate, Digest: m.Digest})
	}
}

func (m *machine) validated() {
	if m.Phase == PhaseVerified {
		m.enter(PhaseValidated, 0)
		m.act(Action{Kind: Prepare, Digest: m.Digest})
	}
}

func (m *machine) prepared() {
	if m.Phase == PhaseValidated {
		m.enter(PhasePrepared, 0)
		m.advance()
	}
}

// advance takes a prepared candidate to its next phase.
func (m *machine) advance() {
	if m.Paused() || m.Pending != "" {
		return
	}
	switch m.next() {
	case PhaseShadow:
		m.enter(PhaseShadow, m.Spec.Shadow)
		m.act(Action{Kind: Shadow, Digest: m.Digest, Budget: m.Spec.ShadowBudget})
	case PhaseCanary:
		m.enter(PhaseCanary, m.Spec.CanaryFor)
		m.act(Action{Kind: Canary, Digest: m.Digest, Fraction: m.Spec.Canary, MaxStep: m.Spec.MaxStep})
	default:
		m.activate()
	}
}

// next is the phase after those that the candidate has passed. Where nothing is in charge there is nothing to be compared with.
func (m *machine) next() Phase {
	switch {
	case m.Skip || m.Active == "":
		return PhaseActive
	case m.Passed == PhaseNone && m.Spec.Shadow > 0:
		return PhaseShadow
	case m.Passed != PhaseCanary && m.Spec.Canary > 0:
		return PhaseCanary
	}
	return PhaseActive
}

func (m *machine) activate() {
	m.Pending = Activate
	m.act(Action{Kind: Activate, Digest: m.Digest, Standby: m.heir()})
}

// heir is the standby once the candidate is in charge: the version before, or if there was none, whichever was the standby.
func (m *machine) heir() string {
	if m.Active == "" && m.Standby != m.Digest {
		return m.Standby
	}
	return m.Active
}

func (m *machine) activated() {
	if m.Pending != Activate {
		return
	}
	m.Pending, m.Halted, m.Settled = "", false, false
	heir := m.heir()
	if m.Spare == "" && m.Standby != m.Digest && m.Standby != heir {
		m.Spare = m.Standby
	}
	m.Active, m.Standby = m.Digest, heir
	m.Cause, m.Why = "", ""
	m.enter(PhaseActive, m.Spec.Settle)
}

// settle ends the probation of the version in charge.
func (m *machine) settle() {
	m.Settled, m.Ends, m.PausedAt, m.Crashes = true, time.Time{}, time.Time{}, 0
	m.LastGood = m.Active
	m.dropMark(m.Active)
	m.retireSpare()
}

func (m *machine) retireSpare() {
	if m.Spare != "" && m.Spare != m.Active && m.Spare != m.Standby {
		m.act(Action{Kind: Retire, Digest: m.Spare})
	}
	m.Spare = ""
}

func (m *machine) tick() {
	m.stayUp()
	if m.Paused() || m.Pending != "" || m.Ends.IsZero() || m.e.At.Before(m.Ends) {
		return
	}
	switch {
	case m.Phase == PhasePending:
		m.release()
	case m.proving():
		m.pass()
	case m.Phase == PhaseActive:
		m.settle()
	}
}

// release ends a hold-down.
func (m *machine) release() {
	m.enter(PhasePending, 0)
	m.act(Action{Kind: Fetch, Digest: m.Digest})
}

// pass goes on to the next phase if the time is up and everything that is needed is there, and gives up when it still is not
// after a while.
func (m *machine) pass() {
	if m.e.At.Before(m.Ends) {
		return
	}
	missing := m.missing()
	if missing == "" {
		m.Passed = m.Phase
		m.advance()
		return
	}
	if !m.e.At.Before(m.Ends.Add(m.Spec.Patience)) {
		m.fail(CauseNoData, missing)
	}
}
