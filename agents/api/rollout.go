package api

import "time"

// RolloutPhase says how far a new version has come on its way into charge.
type RolloutPhase string

// The phases, in their order; the last three are ends.
const (
	RolloutPending     RolloutPhase = "pending"
	RolloutFetched     RolloutPhase = "fetched"
	RolloutVerified    RolloutPhase = "verified"
	RolloutValidated   RolloutPhase = "validated"
	RolloutPrepared    RolloutPhase = "prepared"
	RolloutShadow      RolloutPhase = "shadow"
	RolloutCanary      RolloutPhase = "canary"
	RolloutActive      RolloutPhase = "active"
	RolloutStandby     RolloutPhase = "standby"
	RolloutRetired     RolloutPhase = "retired"
	RolloutQuarantined RolloutPhase = "quarantined"
)

// RolloutOutcome says how a rollout ended; it is empty as long as it has not.
type RolloutOutcome string

const (
	// RolloutSucceeded means that the version is in charge and came through its probation.
	RolloutSucceeded RolloutOutcome = "succeeded"
	// RolloutFailed means that it never came into charge: it was refused, or misbehaved beside the version in charge.
	RolloutFailed RolloutOutcome = "failed"
	// RolloutRolledBack means that it was in charge and the version before took over again.
	RolloutRolledBack RolloutOutcome = "rolled-back"
	// RolloutAborted means that a person ended it.
	RolloutAborted RolloutOutcome = "aborted"
	// RolloutUndone means that a person went back after it had been in charge.
	RolloutUndone RolloutOutcome = "undone"
)

// Rollout is the newest rollout of a policy, over or not.
type Rollout struct {
	ID      string `json:"id" example:"01JD9Z6V5M" doc:"Identifier."`
	Policy  string `json:"policy" doc:"Policy."`
	Version string `json:"version" example:"1.3.0" doc:"Version that is rolled out."`
	Digest  string `json:"digest" doc:"Its digest."`

	Phase   RolloutPhase   `json:"phase" enum:"pending,fetched,verified,validated,prepared,shadow,canary,active,standby,retired,quarantined" doc:"How far it has come."`
	Over    bool           `json:"over" doc:"Whether nothing is going to happen by itself any more."`
	Outcome RolloutOutcome `json:"outcome,omitempty" enum:"succeeded,failed,rolled-back,aborted,undone" doc:"How it ended."`
	Paused  bool           `json:"paused,omitempty" doc:"Whether a person paused it."`
	Doing   string         `json:"doing,omitempty" enum:"activate,roll-back" doc:"What is under way this moment."`
	Since   time.Time      `json:"since,omitzero" doc:"When the phase began."`
	Ends    time.Time      `json:"ends,omitzero" doc:"When the time of the phase is up; none while paused."`
	Held    bool           `json:"held,omitempty" doc:"Whether it waits for the end of its hold-down, at ends."`

	Cause string `json:"cause,omitempty" example:"gate" doc:"Stable word for why it did not stay."`
	Why   string `json:"why,omitempty" doc:"The same in a sentence."`
	Waits string `json:"waits,omitempty" doc:"What it still needs to go on, when its time is up."`

	ActiveVersion  string `json:"active_version,omitempty" doc:"Version in charge now."`
	StandbyVersion string `json:"standby_version,omitempty" doc:"Version that would take over."`
	Halted         bool   `json:"halted,omitempty" doc:"Whether no version is in charge, because the last one failed and there was none to go back to."`

	Spec    RolloutSpec    `json:"spec" doc:"How carefully it is rolled out."`
	Steps   []RolloutStep  `json:"steps" doc:"The phases in their order, each with its statistics."`
	Gates   []RolloutGate  `json:"gates,omitempty" doc:"Gates with their last readings."`
	Goal    *RolloutGoal   `json:"goal,omitempty" doc:"The goal metric under both versions."`
	Strikes int            `json:"strikes,omitempty" doc:"How often this version was rolled back for its own fault."`
	History []RolloutEntry `json:"history" doc:"What happened, oldest first; the newest are kept."`
}

// RolloutList is the answer to listing rollouts, sorted by policy.
type RolloutList struct {
	Items []Rollout `json:"items" doc:"Newest rollout of each policy, sorted by policy."`
}

// RolloutSpec says how carefully a version is rolled out. Zero is the daemon's default.
type RolloutSpec struct {
	ShadowMS     uint64   `json:"shadow_ms,omitempty" doc:"How long it runs beside the version in charge; 0 leaves that out."`
	ShadowBudget float64  `json:"shadow_budget,omitempty" doc:"Share of one CPU that this may take."`
	Canary       float64  `json:"canary,omitempty" doc:"Share of the passes that it decides before it is activated; 0 leaves that out."`
	CanaryMS     uint64   `json:"canary_ms,omitempty" doc:"How long."`
	MaxStep      float64  `json:"max_step,omitempty" doc:"Share of a knob's range by which a canary may change it; 0 is no bound."`
	SettleMS     uint64   `json:"settle_ms,omitempty" doc:"How long it is on probation once activated."`
	PatienceMS   uint64   `json:"patience_ms,omitempty" doc:"How long a phase waits beyond its time for passes and gates."`
	Passes       uint64   `json:"passes,omitempty" doc:"How many passes a phase needs at least."`
	Gates        []string `json:"gates,omitempty" doc:"Conditions on the node's metrics: EXPR OP QUANTITY."`
	GateSamples  int      `json:"gate_samples,omitempty" doc:"Readings in a row that it takes to say that a gate holds, or does not."`
	Goal         string   `json:"goal,omitempty" doc:"Metric that must not get worse: lower or higher, EXPR, and optionally within SHARE."`

	MaxDivergence   float64 `json:"max_divergence,omitempty" doc:"Largest share of different plans; 0 is no bound."`
	MaxFuelRatio    float64 `json:"max_fuel_ratio,omitempty" doc:"Largest ratio of fuel to that of the version in charge; 0 is no bound."`
	MaxLatencyRatio float64 `json:"max_latency_ratio,omitempty" doc:"Largest ratio of the 99th percentile of the time of a pass; 0 is no bound."`
	MaxLatencyUS    uint64  `json:"max_latency_us,omitempty" doc:"Largest 99th percentile of the time of a pass; 0 is no bound."`
	MaxFaults       uint64  `json:"max_faults,omitempty" doc:"How many passes of a phase may fail."`
	HoldDownMS      uint64  `json:"hold_down_ms,omitempty" doc:"How long it is held down after its first strike; each further strike doubles it."`
	Strikes         int     `json:"strikes,omitempty" doc:"How many strikes quarantine it."`
}

// RolloutStart is what an upload says about its rollout.
type RolloutStart struct {
	Spec RolloutSpec
	// Supersede ends a rollout of another version that is under way.
	Supersede bool
	// Force overrides the version's hold-down and quarantine.
	Force bool
}

// RolloutStepState says where a step stands.
type RolloutStepState string

const (
	StepDone    RolloutStepState = "done"
	StepCurrent RolloutStepState = "current"
	StepWaiting RolloutStepState = "waiting"
	StepSkipped RolloutStepState = "skipped"
	StepFailed  RolloutStepState = "failed"
)

// RolloutStep is one phase of a rollout.
type RolloutStep struct {
	Phase RolloutPhase     `json:"phase" doc:"Phase."`
	State RolloutStepState `json:"state" enum:"done,current,waiting,skipped,failed" doc:"Where it stands."`
	Began time.Time        `json:"began,omitzero" doc:"When it began."`
	Ended time.Time        `json:"ended,omitzero" doc:"When it ended."`
	Stats *RolloutStats    `json:"stats,omitempty" doc:"What was measured in it."`
}

// RolloutStats is what was measured in one phase, both versions side by side.
type RolloutStats struct {
	Passes      uint64  `json:"passes" doc:"Passes that the new version ran, in a canary those that it decided."`
	Dropped     uint64  `json:"dropped,omitempty" doc:"Passes that it did not run for want of budget."`
	Compared    uint64  `json:"compared" doc:"Passes that both versions ran."`
	SameVerdict uint64  `json:"same_verdict" doc:"Compared passes in which Analyze answered the same."`
	SamePlan    uint64  `json:"same_plan" doc:"Compared passes in which both planned the same."`
	Divergence  float64 `json:"divergence" doc:"Share of compared passes in which they did not."`
	Traps       uint64  `json:"traps,omitempty" doc:"Passes that trapped."`
	Limits      uint64  `json:"limits,omitempty" doc:"Passes that met a limit."`
	GuestErrors uint64  `json:"guest_errors,omitempty" doc:"Passes that answered with an error."`
	FuelLive    uint64  `json:"fuel_live,omitempty" doc:"Mean fuel of a pass of the version in charge."`
	FuelNext    uint64  `json:"fuel_next,omitempty" doc:"Mean fuel of a pass of the new version."`
	FuelRatio   float64 `json:"fuel_ratio,omitempty" doc:"The second over the first."`
	P50LiveUS   uint64  `json:"p50_live_us,omitempty" doc:"Median time of a pass of the version in charge."`
	P99LiveUS   uint64  `json:"p99_live_us,omitempty" doc:"99th percentile of the same."`
	P50NextUS   uint64  `json:"p50_next_us,omitempty" doc:"Median time of a pass of the new version."`
	P99NextUS   uint64  `json:"p99_next_us,omitempty" doc:"99th percentile of the same."`
}

// RolloutGate is a gate and how it did lately.
type RolloutGate struct {
	Gate    string    `json:"gate" example:"app.latency_p99<=50ms" doc:"The gate as it was written."`
	Unit    string    `json:"unit,omitempty" doc:"Unit of the value."`
	Value   *Float    `json:"value,omitempty" doc:"Last reading; left out as long as there is none."`
	At      time.Time `json:"at,omitzero" doc:"When it was read."`
	Holds   bool      `json:"holds" doc:"Whether the last reading kept it."`
	InARow  int       `json:"in_a_row" doc:"Readings in a row that did as the last one."`
	Samples int       `json:"samples" doc:"Readings in a row that it takes."`
}

// RolloutGoal is the goal metric under both versions.
type RolloutGoal struct {
	Goal     string `json:"goal" doc:"The goal as it was written."`
	Live     *Float `json:"live,omitempty" doc:"Mean under the version before."`
	LiveSize uint64 `json:"live_size" doc:"Values in that mean."`
	Next     *Float `json:"next,omitempty" doc:"Mean under the new version."`
	NextSize uint64 `json:"next_size" doc:"Values in that mean."`
}

// RolloutEntry is one step of a rollout's history.
type RolloutEntry struct {
	At      time.Time    `json:"at" doc:"When."`
	Rollout string       `json:"rollout" doc:"Rollout that it belongs to."`
	Event   string       `json:"event" example:"promote" doc:"What happened."`
	Phase   RolloutPhase `json:"phase" doc:"Phase after it."`
	By      string       `json:"by,omitempty" doc:"Who did it."`
	Why     string       `json:"why,omitempty" doc:"Why."`
}

// RolloutVerb is what a person can tell a rollout to do.
type RolloutVerb string

const (
	// RolloutPause keeps it in its phase; misbehaviour still ends it.
	RolloutPause RolloutVerb = "pause"
	// RolloutResume ends a pause or a hold-down.
	RolloutResume RolloutVerb = "resume"
	// RolloutPromote skips what is left of hold-down, shadow, canary and probation.
	RolloutPromote RolloutVerb = "promote"
	// RolloutAbort ends it without blame.
	RolloutAbort RolloutVerb = "abort"
	// RolloutUndo goes back to the version before, also after it is over.
	RolloutUndo RolloutVerb = "undo"
	// RolloutPardon forgets the strikes, the hold-down and the quarantine of a version.
	RolloutPardon RolloutVerb = "pardon"
)

// RolloutOrder is a person's word to a rollout.
type RolloutOrder struct {
	Verb RolloutVerb
	// Why is kept in the history.
	Why string
	// Version is the one to pardon; empty is that of the newest rollout.
	Version string
}
