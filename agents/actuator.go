package agents

import (
	"context"
	"time"
)

// Actuator has mechanisms act. It is called by several goroutines: Apply by the
// scheduler, the others by the loops.
type Actuator interface {
	// Apply does what the command says, once. It must return soon after ctx
	// ends. Failure is a Result like any other.
	Apply(ctx context.Context, c Command) Result
	// Renew extends a lease. An error means that the lease is gone.
	Renew(ctx context.Context, lease LeaseID, d time.Duration) error
	// Release gives knobs back before their leases run out.
	Release(ctx context.Context, h Holding) error
}

// Inspector is an Actuator that can say, after a crash, what became of a
// command that was begun and whose result was never recorded.
type Inspector interface {
	Inspect(ctx context.Context, c Command) (Result, bool)
}

// LeaseID names a lease; the actuator chooses it.
type LeaseID string

// Setting is one knob of a command.
type Setting struct {
	Knob  string
	Value Value
	Unit  string
}

// Command is the part of a plan that concerns one mechanism.
type Command struct {
	Mechanism string
	Verb      Verb
	Settings  []Setting // with Reset: the knobs, or none for every knob held
	Owner     Key
	Decision  string // id
	Priority  int
	Lease     time.Duration
	Standing  bool // the plan named no lease: the loop renews it for as long as it is well
}

// Holding names knobs that a policy holds.
type Holding struct {
	Mechanism string
	Owner     Key
	Knobs     []string
	Lease     LeaseID
	Why       string
}

// Effect says how a command ended.
type Effect string

// The effects.
const (
	Applied      Effect = "applied"
	Clamped      Effect = "clamped"       // done, within narrower limits than asked
	Unchanged    Effect = "unchanged"     // it was so already
	Undone       Effect = "undone"        // failed half way, and taken back
	PartlyUndone Effect = "partly-undone" // failed half way, and not all of it taken back yet
	Refused      Effect = "refused"       // nothing was touched
	Broken       Effect = "failed"        // tried, and failed
	Unfinished   Effect = "unknown"       // the agent stopped before the result was known
	NotReported  Effect = ""
)

// Done reports that the knobs now stand as the effect says.
func (e Effect) Done() bool { return e == Applied || e == Clamped || e == Unchanged }

// Change is what became of one knob.
type Change struct {
	Knob      string
	Unit      string
	Old       Value
	Requested Value
	Effective Value
	Reason    string // of a clamp or refusal
}

// Result is what a command came to.
type Result struct {
	Mechanism string
	Verb      Verb
	Effect    Effect
	Changes   []Change
	Lease     LeaseID
	Expires   time.Time     // by the wall clock; for people
	TTL       time.Duration // the lease's length as granted; 0: as asked for
	Code      string        // stable, when it was refused or failed
	Message   string
	Hint      string
	Took      time.Duration
}
