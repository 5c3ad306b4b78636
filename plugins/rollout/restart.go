package rollout

// restarted puts back in place what the process forgot. Instances, shadow and canary are gone; what was proved is not.
func (m *machine) restarted() {
	m.Reading, m.GateRuns, m.Up = nil, nil, m.e.At
	if !m.Over() && !m.e.Clean {
		m.Crashes++
	}
	if m.Pending == RollBack {
		m.again()
		return
	}
	if m.Phase == PhaseActive && m.crashed() && !m.cornered() {
		m.fail(CauseRestarts, "the agent did not stay up with it")
		return
	}
	m.decide()
	switch {
	case m.Phase == PhaseQuarantined:
		m.act(Action{Kind: Quarantine, Digest: m.Digest, Why: m.Mark(m.Digest).Why})
	case m.Over() || m.Phase == PhaseActive:
	case m.crashed() && m.Phase == PhaseStandby:
		m.Pending, m.Cause, m.Why = "", CauseRestarts, "the agent did not stay up when it was put in charge again"
	case m.crashed():
		m.Pending = ""
		m.fail(CauseRestarts, "the agent did not stay up while it was rolled out")
	default:
		m.goOn()
	}
}

func (m *machine) crashed() bool { return !m.Over() && m.Crashes >= MaxCrashes }

// stayUp forgets crashes once the process has been up for as long as a probation.
func (m *machine) stayUp() {
	if m.Crashes > 0 && !m.e.At.Before(m.Up.Add(m.Spec.Settle)) {
		m.Crashes = 0
	}
}

// again asks for a rollback that was under way.
func (m *machine) again() {
	m.tryBack()
	if m.Then == PhaseQuarantined || m.Phase == PhaseQuarantined {
		m.act(Action{Kind: Quarantine, Digest: m.Digest, Why: m.Mark(m.Digest).Why})
	}
}

// decide says who is in charge.
func (m *machine) decide() {
	switch {
	case m.Active != "":
		m.act(Action{Kind: Decide, Digest: m.Active, Standby: m.Standby})
	case m.Halted:
		m.act(Action{Kind: Halt, Digest: m.Digest, Why: m.Why})
	}
}

// goOn takes up a rollout where it can be: a phase that was cut short begins again.
func (m *machine) goOn() {
	switch m.Phase {
	case PhasePending:
		if m.Ends.IsZero() {
			m.act(Action{Kind: Fetch, Digest: m.Digest})
		}
	case PhaseFetched:
		m.act(Action{Kind: Verify, Digest: m.Digest})
	case PhaseVerified:
		m.act(Action{Kind: Validate, Digest: m.Digest})
	case PhaseStandby: // an undo of an undo
		m.activate()
	default:
		m.Pending = ""
		m.enter(PhaseValidated, 0)
		m.act(Action{Kind: Prepare, Digest: m.Digest})
	}
}
