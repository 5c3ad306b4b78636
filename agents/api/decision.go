package api

import "time"

// DecisionOutcome says how a decision ended.
type DecisionOutcome string

const (
	// DecisionQuiet means that Analyze saw no reason to plan.
	DecisionQuiet DecisionOutcome = "quiet"
	// DecisionPending means that a plan was logged and has not finished.
	DecisionPending DecisionOutcome = "pending"
	// DecisionApplied means that every planned change took effect as planned.
	DecisionApplied DecisionOutcome = "applied"
	// DecisionClamped means that at least one knob took another value than planned.
	DecisionClamped DecisionOutcome = "clamped"
	// DecisionUnchanged means that the knobs stood there already.
	DecisionUnchanged DecisionOutcome = "unchanged"
	// DecisionPartlyApplied means that some of the planned changes landed: another plan won the rest, or a mechanism refused.
	DecisionPartlyApplied DecisionOutcome = "partly-applied"
	// DecisionInterrupted means that the agent stopped while a logged plan was carried out.
	DecisionInterrupted DecisionOutcome = "interrupted"
	// DecisionDiscarded means that another plan won every knob.
	DecisionDiscarded DecisionOutcome = "discarded"
	// DecisionRefused means that the safety core or a grant said no.
	DecisionRefused DecisionOutcome = "refused"
	// DecisionFailed means that the policy trapped or met a limit, or that a mechanism failed.
	DecisionFailed DecisionOutcome = "failed"
	// DecisionShadowed means that the version ran beside the one that decided, and nobody acted on it.
	DecisionShadowed DecisionOutcome = "shadowed"
)

// DecisionOutcomes lists every outcome.
func DecisionOutcomes() []DecisionOutcome {
	return []DecisionOutcome{
		DecisionQuiet, DecisionPending, DecisionApplied, DecisionClamped, DecisionUnchanged, DecisionPartlyApplied, DecisionInterrupted,
		DecisionDiscarded, DecisionRefused, DecisionFailed, DecisionShadowed,
	}
}

// DecisionSummary is one line about a decision.
type DecisionSummary struct {
	ID         string          `json:"id" example:"01JD9Z6V5M" doc:"Identifier; sorts by time."`
	At         time.Time       `json:"at" doc:"When it began."`
	Policy     string          `json:"policy" doc:"Policy that decided."`
	Version    string          `json:"version" doc:"Version that decided."`
	Asset      string          `json:"asset" example:"node" doc:"Node or application."`
	Trigger    string          `json:"trigger" enum:"periodic,wake,manual" doc:"What woke Analyze."`
	Outcome    DecisionOutcome `json:"outcome" enum:"quiet,pending,applied,clamped,unchanged,partly-applied,interrupted,discarded,refused,failed,shadowed" doc:"How it ended."`
	Why        string          `json:"why,omitempty" doc:"The policy's own words."`
	DurationUS uint64          `json:"duration_us" doc:"From trigger to recorded result."`
	Repeated   uint64          `json:"repeated,omitempty" doc:"How many equal dull runs this one stands for, itself not counted."`
}

// DecisionPage is the answer to listing decisions, newest first.
type DecisionPage struct {
	Items []DecisionSummary `json:"items" doc:"Decisions, newest first."`
	Next  string            `json:"next,omitempty" doc:"Cursor of the next page; empty at the end."`
}

// DecisionFilter chooses decisions. Empty fields do not filter.
type DecisionFilter struct {
	Policy   string
	Outcomes []DecisionOutcome
	Since    time.Time
	Until    time.Time
	Limit    int
	Cursor   string
}

// Decision is everything that is known about one pass of a policy.
type Decision struct {
	DecisionSummary
	Digest       string            `json:"digest" doc:"Digest of the module that decided."`
	TraceID      string            `json:"trace_id,omitempty" doc:"Trace across layers."`
	Mode         ModeName          `json:"mode" enum:"heuristic,ml" doc:"Mode at the time."`
	Observations []Observation     `json:"observations" doc:"What the policy saw."`
	Crossed      []Crossing        `json:"crossed,omitempty" doc:"Bounds that woke it."`
	Analysis     *AnalysisStep     `json:"analysis,omitempty" doc:"What Analyze answered."`
	Plan         []PlannedChange   `json:"plan,omitempty" doc:"What Plan asked for."`
	PlanWhy      string            `json:"plan_why,omitempty" doc:"The policy's reason for the plan."`
	Arbitration  []Arbitration     `json:"arbitration,omitempty" doc:"Who won each contested knob."`
	Results      []MechanismResult `json:"results,omitempty" doc:"What the mechanisms did."`
	Calls        []CallCost        `json:"calls,omitempty" doc:"Cost of each call into the guest."`
	Error        *Problem          `json:"error,omitempty" doc:"What went wrong."`
	Replayable   bool              `json:"replayable" doc:"Whether the recorded episode is still kept."`
}

// Observation is one metric as the policy saw it.
type Observation struct {
	Metric  string            `json:"metric" doc:"Metric or query."`
	Labels  map[string]string `json:"labels,omitempty" doc:"Labels of the series."`
	Unit    string            `json:"unit,omitempty" doc:"Unit of the value."`
	Value   Float             `json:"value" doc:"Value; NaN when missing."`
	AgeMS   uint32            `json:"age_ms" doc:"Age of the sample."`
	Missing bool              `json:"missing,omitempty" doc:"Whether there was no sample."`
}

// Crossing is a bound that a metric crossed.
type Crossing struct {
	Metric string `json:"metric" doc:"Metric."`
	Bound  Float  `json:"bound" doc:"Bound that the policy had asked for."`
	Above  bool   `json:"above" doc:"Crossed upwards, otherwise downwards."`
	Value  Float  `json:"value" doc:"Value that crossed it."`
}

// AnalysisStep is what Analyze answered.
type AnalysisStep struct {
	Plan   bool   `json:"plan" doc:"Whether it asked for a plan."`
	Why    string `json:"why,omitempty" doc:"The policy's reason."`
	NextMS uint32 `json:"next_ms,omitempty" doc:"Interval it asked for; 0 keeps the old one."`
}

// PlannedChange is one line of a plan.
type PlannedChange struct {
	Mechanism string `json:"mechanism" doc:"Mechanism."`
	Verb      Verb   `json:"verb" enum:"set,reset" doc:"Set or reset."`
	Knob      string `json:"knob,omitempty" doc:"Knob; empty with reset is all."`
	Unit      string `json:"unit,omitempty" doc:"Unit of the value."`
	Value     Value  `json:"value,omitzero" doc:"Value to set."`
	LeaseMS   uint32 `json:"lease_ms,omitempty" doc:"Lease asked for; 0 is the default."`
}

// Arbitration says who won a knob that more than one plan named in a cycle.
type Arbitration struct {
	Mechanism        string `json:"mechanism" doc:"Mechanism."`
	Knob             string `json:"knob,omitempty" doc:"Knob; empty under strict arbitration by mechanism."`
	Won              bool   `json:"won" doc:"Whether this decision won."`
	Winner           string `json:"winner,omitempty" doc:"Policy that won."`
	WinnerDecisionID string `json:"winner_decision_id,omitempty" doc:"Decision that won."`
	Rule             string `json:"rule,omitempty" example:"priority" doc:"Rule that settled it."`
}

// CallCost is the cost of one call into the guest.
type CallCost struct {
	Op         string `json:"op" example:"analyze" doc:"Operation."`
	Fuel       uint64 `json:"fuel" doc:"Instructions."`
	DurationUS uint64 `json:"duration_us" doc:"Wall clock."`
	Error      string `json:"error,omitempty" doc:"How it failed."`
}

// Explanation answers "why?" in sentences, most important first.
type Explanation struct {
	DecisionID string               `json:"decision_id" doc:"Decision that is explained."`
	Summary    string               `json:"summary" doc:"One sentence."`
	Sections   []ExplanationSection `json:"sections" doc:"The story, in order."`
}

// ExplanationSection is one part of an explanation.
type ExplanationSection struct {
	Title string   `json:"title" example:"What it saw" doc:"Heading."`
	Lines []string `json:"lines" doc:"Sentences."`
}
