package agents

import "time"

// Mode says which policies may run.
type Mode string

// The management modes. In Heuristic, a policy that declares the use of a
// machine-learning model is off.
const (
	Heuristic Mode = "heuristic"
	ML        Mode = "ml"
)

// Outcome is how a decision ended.
type Outcome string

// The outcomes.
const (
	Open          Outcome = "open"           // begun, not finished
	NoPlan        Outcome = "no-plan"        // nothing needed doing
	Landed        Outcome = "applied"        // every action landed
	PartlyLanded  Outcome = "partly-applied" // some did
	Discarded     Outcome = "discarded"      // lost to other plans, or overtaken
	RefusedByAll  Outcome = "refused"        // no mechanism would
	Failed        Outcome = "failed"         // the policy, the log or a mechanism failed
	Interrupted   Outcome = "interrupted"    // the agent stopped in the middle
	Shadowed      Outcome = "shadowed"       // made beside the decision that counted, and never acted on
	maxWhyBytes           = 2048
	maxErrorBytes         = 4096
)

// Decision is one episode and all that came of it. It explains itself: nothing
// in it needs a look elsewhere.
type Decision struct {
	ID       string
	TraceID  string // 16 bytes in hex, as in W3C trace context
	Key      Key
	Version  string
	Module   string // digest
	Priority int
	Mode     Mode
	Time     time.Time // of the observation
	Seq      uint64
	Trigger  Trigger

	Observation Observation
	Verdict     Verdict
	Plan        *Plan // nil if none was made
	Ruling      Ruling
	Results     []Result

	Outcome Outcome
	Reason  string   // one sentence for an outcome that needs one
	Failure *Failure // of the policy, the log, the sensor
	Fuel    uint64
	Phases  Phases
	Record  []byte // the episode, for replay
	Part    *Part  `cbor:",omitempty"` // set where two versions ran on the pass and this is not of the one in charge

	// Repeated is how many dull decisions like this one were counted and not
	// kept; the log fills it in.
	Repeated int64
}

// Failure is an error with its place.
type Failure struct {
	Phase   string // "observe", "begin", "analyze", "plan", "end", "check", "log"
	Code    string
	Message string
	Hint    string
}

// Phases says where the time went.
type Phases struct {
	Wait    time.Duration // from trigger to start
	Observe time.Duration
	Begin   time.Duration
	Analyze time.Duration
	Plan    time.Duration
	End     time.Duration
	Queue   time.Duration // until its cycle began
	Log     time.Duration // until it was durable
	Apply   time.Duration
}

// Ruling is what arbitration made of a plan.
type Ruling struct {
	Rule   Rule
	Cycle  uint64 // counts from 1; 0 if the plan never came to a cycle
	Place  int    // in the cycle's queue, from 0
	Kept   []Action
	Losses []Loss
}

// Loss is an action that was dropped, and why.
type Loss struct {
	Action Action
	Winner string // decision id
	By     Key    // whose it is
	Why    string
}
