package rollout

// Cause says why a candidate did not stay. It is a stable word.
type Cause string

const (
	CauseFetch    Cause = "fetch"    // its bytes could not be had
	CauseVerify   Cause = "verify"   // nobody vouches for it
	CauseValidate Cause = "validate" // it was refused at intake
	CausePrepare  Cause = "prepare"  // it could not be compiled, frozen or tried
	CauseActivate Cause = "activate" // it could not be put in charge, for no fault of its own
	CauseNoData   Cause = "no-data"  // too few passes, or a gate that nobody has data for
	CauseAbort    Cause = "abort"    // a person said so
	CauseUndo     Cause = "undo"     // a person said so after it had been activated

	CauseMigrate    Cause = "migrate"     // it could not take over the context
	CauseTrap       Cause = "trap"        // it trapped
	CauseLimit      Cause = "limit"       // it met a limit: fuel, time, memory, output
	CauseGuest      Cause = "guest-error" // it answered with an error
	CauseFaults     Cause = "faults"      // the engine gave it up after failures in a row
	CauseFuel       Cause = "fuel"        // it used too much fuel
	CauseLatency    Cause = "latency"     // it was too slow
	CauseDivergence Cause = "divergence"  // it decided too differently
	CauseGate       Cause = "gate"        // a gate was not held
	CauseGoal       Cause = "goal"        // the goal metric got worse
	CauseRestarts   Cause = "restarts"    // the agent crashed again and again since it began
)

// Blames reports whether the cause is the candidate's own fault, so that it costs a strike.
func (c Cause) Blames() bool {
	switch c {
	case CauseMigrate, CauseTrap, CauseLimit, CauseGuest, CauseFaults, CauseFuel, CauseLatency, CauseDivergence, CauseGate, CauseGoal, CauseRestarts:
		return true
	}
	return false
}
