package rollout

import "time"

// EventKind names what happened.
type EventKind string

// The events. The first group comes from people or from whoever delivers versions, the second answers actions, the third
// comes from watching.
const (
	// Start asks for a version to be rolled out; Event.Start says which and how.
	Start EventKind = "start"
	// Pause keeps the candidate where it is. It is still watched, and rolled back if it misbehaves.
	Pause EventKind = "pause"
	// Resume ends a pause, or a hold-down.
	Resume EventKind = "resume"
	// Promote skips what is left of hold-down, shadow, canary and probation.
	Promote EventKind = "promote"
	// Abort ends a rollout that is not over, without blame.
	Abort EventKind = "abort"
	// Undo goes back to the standby, also after a rollout is over. Undo after undo goes forth again.
	Undo EventKind = "undo"
	// Pardon forgives the digest that Event.Digest names: its strikes, its hold-down and its quarantine.
	Pardon EventKind = "pardon"

	Fetched    EventKind = "fetched"
	Verified   EventKind = "verified"
	Validated  EventKind = "validated"
	Prepared   EventKind = "prepared"
	Activated  EventKind = "activated"
	RolledBack EventKind = "rolled-back"
	// Failed answers an action that could not be carried out; Event.Cause and Event.Why say more. After a failed
	// activation the version before decides, unchanged.
	Failed EventKind = "failed"

	// Measured brings Event.Reading.
	Measured EventKind = "measured"
	// Fault says that the version Event.Digest, which is in charge or beside it, can't go on, whatever the bounds are: the
	// engine gave up on it (CauseFaults, CauseTrap, CauseLimit, CauseGuest), or Decide, Shadow or Canary could not be carried out
	// (CausePrepare). While an answer to Activate or RollBack is due it does not count; send it again if it still holds afterwards.
	Fault EventKind = "fault"
	// Tick says that time has passed: see [State.Due].
	Tick EventKind = "tick"
	// Restarted is the first event after each start of the process; Event.Clean says that it had been stopped in order.
	Restarted EventKind = "restarted"
)

// Event is something that happened. Fields beside Kind and At are for the kinds that name them.
type Event struct {
	Kind EventKind
	At   time.Time
	// Rollout is the State.ID that an answer, a measurement or a fault is about; others are ignored. People's events leave
	// it empty, or name the rollout that they mean.
	Rollout string
	// By is who asked, for the history.
	By string
	// Person says that a person asked, and not an agent that delivers versions.
	Person bool

	Start   *Begin   // Start
	Digest  string   // Pardon; Fault, where empty is the version in charge
	Cause   Cause    // Failed, Fault
	Why     string   // Failed, Fault, Abort: one sentence, without secrets
	Reading *Reading // Measured
	Clean   bool     // Restarted
}

// Begin says what a [Start] is about.
type Begin struct {
	// ID names the rollout; it is unique on this node.
	ID string
	// Digest is the version to roll out.
	Digest string
	// Version is what people call it.
	Version string
	// Active and Standby are the digests that have these roles now; empty for none.
	Active, Standby string
	Spec            Spec
	// Before is whatever its owner wants to have back if the version does not stay; it is only kept.
	Before string
	// Supersede ends a rollout of another version that is not over, in place of refusing this one.
	Supersede bool
	// Force overrides hold-down and quarantine. It counts only if a person asked.
	Force bool
	// Quarantined says that the version is known as quarantined from elsewhere.
	Quarantined bool
}

// Reading is what was measured of the candidate since its phase began. Counters only grow within a phase.
type Reading struct {
	Passes      uint64 `json:"passes"`       // compared in shadow, decided by it in canary and when active
	Dropped     uint64 `json:"dropped"`      // not run for want of budget
	SameVerdict uint64 `json:"same_verdict"` // compared passes where both answered the same to Analyze
	SamePlan    uint64 `json:"same_plan"`    // compared passes where both planned the same, or both nothing
	Compared    uint64 `json:"compared"`     // passes that both versions ran

	Traps       uint64 `json:"traps"`
	Limits      uint64 `json:"limits"`
	GuestErrors uint64 `json:"guest_errors"`

	FuelLive uint64 `json:"fuel_live"` // mean of a pass
	FuelNext uint64 `json:"fuel_next"`

	P50Live time.Duration `json:"p50_live_ns"`
	P99Live time.Duration `json:"p99_live_ns"`
	P50Next time.Duration `json:"p50_next_ns"`
	P99Next time.Duration `json:"p99_next_ns"`

	// Gates are the values of Spec.Gates in their order; nil where nobody has data.
	Gates []*float64 `json:"gates,omitempty"`
	// Goal is the value of Spec.Goal now; nil where nobody has data. Before canary it counts for the version in charge,
	// from then on for the candidate.
	Goal *float64 `json:"goal,omitempty"`
}

// Divergence is the share of compared passes in which the versions planned differently; 0 if none were compared.
func (r *Reading) Divergence() float64 { return 1 - share(r.SamePlan, r.Compared) }

// FuelRatio is the candidate's mean fuel over that of the version in charge; 0 if either is unknown.
func (r *Reading) FuelRatio() float64 { return ratio(float64(r.FuelNext), float64(r.FuelLive)) }

// LatencyRatio is the candidate's 99th percentile over that of the version in charge; 0 if either is unknown.
func (r *Reading) LatencyRatio() float64 { return ratio(float64(r.P99Next), float64(r.P99Live)) }

// Faults counts the passes that failed.
func (r *Reading) Faults() uint64 { return r.Traps + r.Limits + r.GuestErrors }

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 1
	}
	return min(1, float64(part)/float64(whole))
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
