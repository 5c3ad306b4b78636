package mechanisms

import "time"

// Outcome sums a command up.
type Outcome string

// The outcomes.
const (
	Applied      Outcome = "applied"       // every knob is where it was asked to be
	Clamped      Outcome = "clamped"       // done, but not as asked: the changes say what differs and why
	Unchanged    Outcome = "unchanged"     // everything was there already
	Refused      Outcome = "refused"       // nothing was written
	Undone       Outcome = "undone"        // a write failed; those before it were taken back
	PartlyUndone Outcome = "partly-undone" // a write failed, and not all of those before it could be taken back yet
)

// Change is what became of one knob.
type Change struct {
	Knob      string `json:"knob"`
	Unit      string `json:"unit,omitempty"`
	Old       Value  `json:"old"`
	Requested Value  `json:"requested"`
	Effective Value  `json:"effective"`         // read back; in a simulation, foretold
	Skipped   bool   `json:"skipped,omitempty"` // not touched, see Reason
	Reason    string `json:"reason,omitempty"`  // why Effective is not Requested
}

// Result is the answer to a command. For Refused, Undone and PartlyUndone an error with the same words comes along.
type Result struct {
	Outcome Outcome       `json:"outcome"`
	Changes []Change      `json:"changes,omitempty"`
	Lease   LeaseID       `json:"lease,omitempty"`
	Expires time.Time     `json:"expires,omitzero"`
	TTL     time.Duration `json:"ttl,omitempty"` // of the lease, as granted
	Code    string        `json:"code,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}

// State is a mechanism's present condition.
type State struct {
	Mechanism string            `json:"mechanism"`
	At        time.Time         `json:"at"`
	Facts     map[string]string `json:"facts,omitempty"` // what the driver found: its name, mode, limits
	Knobs     []KnobState       `json:"knobs"`
	HandsOff  string            `json:"hands_off,omitempty"` // why nothing may be written at present
}

// KnobState is one knob's present condition.
type KnobState struct {
	Knob     string    `json:"knob"`
	Unit     string    `json:"unit,omitempty"`
	Value    Value     `json:"value"` // read now
	Baseline *Value    `json:"baseline,omitempty"`
	Wanted   *Value    `json:"wanted,omitempty"` // by the lease that holds it
	Owner    string    `json:"owner,omitempty"`
	Plan     string    `json:"plan,omitempty"`
	Lease    LeaseID   `json:"lease,omitempty"`
	Priority int       `json:"priority,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Drifted  bool      `json:"drifted,omitempty"` // someone else moved it after us
	Pending  bool      `json:"pending,omitempty"` // to be put back as soon as it can be written
	Problem  string    `json:"problem,omitempty"` // why it can't be read or used
}
