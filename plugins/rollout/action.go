package rollout

// ActionKind names what has to be done.
type ActionKind string

// The actions. Each says how things shall be, so that carrying it out again changes nothing.
const (
	// Fetch has the module's bytes in the store.
	Fetch ActionKind = "fetch"
	// Verify has its signatures checked.
	Verify ActionKind = "verify"
	// Validate has structure, manifest and grants checked.
	Validate ActionKind = "validate"
	// Prepare has it compiled, frozen, tried on its golden vectors, and its instances ready.
	Prepare ActionKind = "prepare"
	// Shadow has it run beside the version in charge, within Action.Budget; Action.Spec has the rest.
	Shadow ActionKind = "shadow"
	// Canary has it decide the passes that [Picks] names for Action.Fraction, clamped to Action.MaxStep.
	Canary ActionKind = "canary"
	// Activate puts Action.Digest in charge; Action.Standby is the standby from then on. If it can't be, the version
	// before goes on, and [Failed] says why.
	Activate ActionKind = "activate"
	// RollBack has Action.Digest, the version before, decide again, and ends the candidate's part in shadow and canary.
	RollBack ActionKind = "roll-back"
	// Decide names the version in charge and its standby after a restart.
	Decide ActionKind = "decide"
	// Discard ends the candidate's part in shadow and canary and gives that memory back.
	Discard ActionKind = "discard"
	// Retire says that Action.Digest is no standby any more: nobody is going to call it.
	Retire ActionKind = "retire"
	// Quarantine marks Action.Digest durably: it is not to be started by itself.
	Quarantine ActionKind = "quarantine"
	// Release takes that mark away.
	Release ActionKind = "release"
	// Halt says that no version may decide: knobs go back to their baseline, and the policy stands still.
	Halt ActionKind = "halt"
	// Refuse answers a person's event that can't be: Action.Code, Why and Hint are for that person. The state is as before.
	Refuse ActionKind = "refuse"
)

// Action is something that has to be done.
type Action struct {
	Kind    ActionKind
	Rollout string
	Digest  string
	Standby string

	Budget   float64 // Shadow
	Fraction float64 // Canary
	MaxStep  float64 // Canary

	Code string // Refuse
	Why  string // Discard, RollBack, Quarantine, Halt, Refuse
	Hint string // Refuse
}
