package rollout

// restarted puts back in place what the process forgot. Instances, shadow and canary are gone; what was proved is not. First
// somebody decides again, then the rest is taken up, and what may not have reached the store is said again.
func (m *machine) restarted() {
	if m.Up = m.e.At; !m.Over() {
		m.Reading, m.GateRuns = nil, nil
	}
	if !m.Over() && !m.e.Clean {
		m.Crashes = min(m.Crashes+1, MaxCrashes)
	}
	switch {
	case m.Pending == RollBack:
		m.tryBack()
	case m.Phase == PhaseActive && m.crashed() && !m.cornered():
		m.fail(CauseRestarts, "the agent did not stay up with it")
	default:
		m.decide()
		m.takeUp()
	}
	for _, mark := range m.Marks {
		if mark.Quarantined {
			m.act(Action{Kind: Quarantine, Digest: mark.Digest, Why: mark.Why})
		}
	}
}

func (m *machine) crashed() bool { return !m.Over() && m.Crashes >= MaxCrashes }

// stayUp forgets crashes once the process has been up for as long as a probation.
func (m *machine) stayUp() {
	if m.Crashes > 0 && !m.e.At.Before(m.Up.Add(m.Spec.Settle)) {
		m.Crashes = 0
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

// takeUp goes on with a rollout where it can be: a phase that was cut short begins again.
func (m *machine) takeUp() {
	switch {
	case m.Over() || m.Phase == PhaseActive:
	case m.crashed() && m.Phase == PhaseStandby:
		m.Pending, m.Cause, m.Why = "", CauseRestarts, "the agent did not stay up when it was put in charge again"
	case m.crashed():
		m.Pending = ""
		m.fail(CauseRestarts, "the agent did not stay up while it was rolled out")
	case m.Phase == PhasePending && !m.Ends.IsZero(): // held down
	case m.Phase == PhasePending:
		m.act(Action{Kind: Fetch, Digest: m.Digest})
	case m.Phase == PhaseFetched:
		m.act(Action{Kind: Verify, Digest: m.Digest})
	case m.Phase == PhaseVerified:
		m.act(Action{Kind: Validate, Digest: m.Digest})
	case m.Phase == PhaseStandby: // an undo of an undo
		m.activate()
	default:
		m.Pending = ""
		m.enter(PhaseValidated, 0)
		m.act(Action{Kind: Prepare, Digest: m.Digest})
	}
}
