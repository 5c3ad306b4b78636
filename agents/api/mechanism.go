package api

import "time"

// Value is the value of a knob: a number in the knob's base unit, or one of its choices. Exactly one is set.
type Value struct {
	Number *float64 `json:"number,omitempty" doc:"Number in the knob's base unit."`
	Choice string   `json:"choice,omitempty" doc:"One of the knob's choices."`
}

// NumberValue returns the value of a numeric knob.
func NumberValue(v float64) Value { return Value{Number: &v} }

// ChoiceValue returns the value of a knob with choices.
func ChoiceValue(s string) Value { return Value{Choice: s} }

// IsZero reports whether neither a number nor a choice is set.
func (v Value) IsZero() bool { return v.Number == nil && v.Choice == "" }

// Equal reports whether two values are the same.
func (v Value) Equal(o Value) bool {
	if (v.Number == nil) != (o.Number == nil) || v.Choice != o.Choice {
		return false
	}
	return v.Number == nil || *v.Number == *o.Number
}

// KnobKind says how a knob is set.
type KnobKind string

const (
	KnobNumber KnobKind = "number"
	KnobChoice KnobKind = "choice"
)

// Mechanism is something that acts on the node, with its knobs as they stand.
type Mechanism struct {
	Name         string    `json:"name" example:"CPUFrequency" doc:"Name that policies and people use."`
	Version      string    `json:"version" doc:"Version of the driver."`
	Layer        string    `json:"layer" example:"node" doc:"Layer that it acts on."`
	Summary      string    `json:"summary" doc:"One sentence."`
	Verbs        []string  `json:"verbs" example:"[\"set\",\"reset\"]" doc:"What a command may ask."`
	Privileges   []string  `json:"privileges,omitempty" doc:"What the daemon needs for it."`
	Available    bool      `json:"available" doc:"Whether this node has it."`
	Unavailable  string    `json:"unavailable_reason,omitempty" doc:"Why not, and what would change that."`
	Driver       string    `json:"driver,omitempty" example:"acpi-cpufreq" doc:"Kernel driver or service behind it."`
	Knobs        []Knob    `json:"knobs" doc:"Knobs with their state. Lists leave out tables and choices."`
	LastChangeAt time.Time `json:"last_change_at,omitzero" doc:"When a knob was last changed through it."`
	Adapter      *Adapter  `json:"adapter,omitempty" doc:"Wasm module that makes it. Native mechanisms have none."`
}

// Adapter is the Wasm module behind a mechanism.
type Adapter struct {
	Name    string `json:"name" example:"smart-plug" doc:"Name under which it was uploaded."`
	Version string `json:"version" example:"1.2.0" doc:"Version that is active."`
	Digest  string `json:"digest" doc:"Digest of the active module."`
	Engine  string `json:"engine,omitempty" example:"go-sdk" doc:"Engine that runs it, where that is not the node's own runner."`
	Warning string `json:"warning,omitempty" doc:"What that engine does not give."`
}

// MechanismList is the answer to listing mechanisms, sorted by name.
type MechanismList struct {
	Items []Mechanism `json:"items" doc:"Mechanisms, sorted by name."`
}

// Knob is one thing that can be set.
type Knob struct {
	Name     string    `json:"name" example:"policy0/max_frequency" doc:"Name within the mechanism."`
	Kind     KnobKind  `json:"kind" enum:"number,choice" doc:"How it is set."`
	Unit     string    `json:"unit,omitempty" example:"Hz" doc:"Base unit of its numbers."`
	Min      *float64  `json:"min,omitempty" doc:"Smallest value, the operator's envelope included."`
	Max      *float64  `json:"max,omitempty" doc:"Largest value, the operator's envelope included."`
	Step     float64   `json:"step,omitempty" doc:"Distance between values; 0 is continuous."`
	Table    []float64 `json:"table,omitempty" doc:"The only values that the hardware has."`
	Choices  []string  `json:"choices,omitempty" doc:"Values of a knob of kind choice."`
	ReadOnly bool      `json:"read_only,omitempty" doc:"Whether it can only be read."`
	Summary  string    `json:"summary,omitempty" doc:"What it does."`

	Current  Value  `json:"current,omitzero" doc:"Value read back from the hardware."`
	Baseline Value  `json:"baseline,omitzero" doc:"Value before Edgehold's first change, to which it reverts."`
	Lease    *Lease `json:"lease,omitempty" doc:"Who holds it now."`
	Drift    *Drift `json:"drift,omitempty" doc:"Set when something else changed the knob behind a lease."`
	Error    string `json:"error,omitempty" doc:"Why the knob could not be read."`
}

// KnobList is the answer to asking for a mechanism's options or state.
type KnobList struct {
	Mechanism string `json:"mechanism" doc:"Mechanism."`
	Items     []Knob `json:"items" doc:"Knobs, in the mechanism's order."`
}

// Lease is the right to hold a knob at a value until it expires.
type Lease struct {
	ID         string    `json:"id" doc:"Identifier of the lease."`
	Holder     string    `json:"holder" example:"policy:load-follower" doc:"Policy or person."`
	Value      Value     `json:"value" doc:"Value that is held."`
	Priority   int       `json:"priority" doc:"The higher one wins."`
	ExpiresAt  time.Time `json:"expires_at" doc:"When the knob reverts unless the lease is renewed."`
	DecisionID string    `json:"decision_id,omitempty" doc:"Decision that set it."`
}

// Drift is a change made by something else while a lease was held.
type Drift struct {
	Expected Value     `json:"expected" doc:"Value that Edgehold had read back."`
	Found    Value     `json:"found" doc:"Value that stands there now."`
	SeenAt   time.Time `json:"seen_at" doc:"When it was noticed."`
}

// Setting asks for one knob to take a value.
type Setting struct {
	Knob  string `json:"knob" minLength:"1" maxLength:"256" example:"policy0/max_frequency" doc:"Knob within the mechanism."`
	Value Value  `json:"value" doc:"Value to set."`
	Unit  string `json:"unit,omitempty" maxLength:"16" example:"Hz" doc:"Unit of the number. It must be the knob's unit; a number without a unit is refused for a knob that has one."`
}

// Verb says what a command does.
type Verb string

const (
	VerbSet   Verb = "set"
	VerbReset Verb = "reset"
)

// MechanismCommand asks a mechanism to act. Either Settings or D33 is used.
type MechanismCommand struct {
	Verb     Verb           `json:"verb,omitempty" enum:"set,reset" doc:"Set is the default. Reset with no settings gives back every knob of the mechanism."`
	Settings []Setting      `json:"settings,omitempty" maxItems:"1024" doc:"Knobs to set; for reset only the knob names count."`
	D33      map[string]any `json:"d33,omitempty" doc:"Dictionary of MLSysOps deliverable D3.3, for example {\"command\":\"set\",\"cpu\":\"all\",\"frequency\":\"1800 MHz\"}. The unit must be written."`
	LeaseMS  int64          `json:"lease_ms,omitempty" minimum:"0" maximum:"604800000" doc:"How long to hold; 0 is the daemon's default."`
	Priority int            `json:"priority,omitempty" minimum:"-1000" maximum:"1000" doc:"Rank against policies; 0 is the daemon's default for people."`
	DryRun   bool           `json:"dry_run,omitempty" doc:"Only say what would happen."`
}

// RevertRequest asks for knobs to go back to their baseline.
type RevertRequest struct {
	Knobs []string `json:"knobs,omitempty" maxItems:"1024" doc:"Knobs to revert; empty is all of the mechanism."`
}

// Outcome says how a command ended.
type Outcome string

const (
	OutcomeApplied   Outcome = "applied"
	OutcomeClamped   Outcome = "clamped"
	OutcomeUnchanged Outcome = "unchanged"
	// OutcomeUndone means that a write failed and those before it were taken back.
	OutcomeUndone Outcome = "undone"
	// OutcomePartlyUndone means that not all of them could be taken back yet; it is tried again.
	OutcomePartlyUndone Outcome = "partly-undone"
	OutcomeRefused      Outcome = "refused"
)

// MechanismResult says what a command really changed, as read back from the hardware.
type MechanismResult struct {
	Mechanism string       `json:"mechanism" doc:"Mechanism."`
	Outcome   Outcome      `json:"outcome" enum:"applied,clamped,unchanged,undone,partly-undone,refused" doc:"How it ended."`
	DryRun    bool         `json:"dry_run,omitempty" doc:"Whether nothing was changed."`
	Changes   []KnobChange `json:"changes" doc:"Each knob that was named."`
	LeaseID   string       `json:"lease_id,omitempty" doc:"Lease that holds the knobs."`
	ExpiresAt time.Time    `json:"expires_at,omitzero" doc:"When they revert."`
	AuditSeq  uint64       `json:"audit_seq,omitempty" doc:"Entry in the audit."`
}

// KnobChange is the effect on one knob.
type KnobChange struct {
	Mechanism string `json:"mechanism,omitempty" doc:"Mechanism, where the context does not say."`
	Knob      string `json:"knob" doc:"Knob."`
	Unit      string `json:"unit,omitempty" doc:"Unit of the numbers."`
	Old       Value  `json:"old,omitzero" doc:"Value before."`
	Requested Value  `json:"requested,omitzero" doc:"Value asked for."`
	Effective Value  `json:"effective,omitzero" doc:"Value read back."`
	Reason    string `json:"reason,omitempty" doc:"Why the effective value is not the requested one."`
}
