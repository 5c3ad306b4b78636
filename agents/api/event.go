package api

import "time"

// Resource names what an event is about.
type Resource string

const (
	ResourcePolicy    Resource = "policy"
	ResourceMechanism Resource = "mechanism"
	ResourceDecision  Resource = "decision"
	ResourceMode      Resource = "mode"
	ResourceRollout   Resource = "rollout"
	ResourceDaemon    Resource = "daemon"
)

// Event says that something happened. The publisher fills all but Seq.
type Event struct {
	Seq      uint64    `json:"seq" doc:"Position in this daemon's stream; it starts again with the daemon."`
	At       time.Time `json:"at" doc:"When it happened."`
	Resource Resource  `json:"resource" enum:"policy,mechanism,decision,mode,rollout,daemon" doc:"What it is about."`
	Name     string    `json:"name" doc:"Name or identifier of the resource."`
	Kind     string    `json:"kind" example:"policy.activated" doc:"What happened."`
	Message  string    `json:"message,omitempty" doc:"One sentence for a person."`
}

// Kinds of events.
const (
	EventPolicyUploaded    = "policy.uploaded"
	EventPolicyActivated   = "policy.activated"
	EventPolicyRolledBack  = "policy.rolled-back"
	EventPolicyEnabled     = "policy.enabled"
	EventPolicyDisabled    = "policy.disabled"
	EventPolicyDeleted     = "policy.deleted"
	EventPolicyFailed      = "policy.failed"
	EventPolicyQuarantined = "policy.quarantined"
	EventKnobChanged       = "mechanism.changed"
	EventKnobReverted      = "mechanism.reverted"
	EventKnobDrifted       = "mechanism.drifted"
	EventDecisionRecorded  = "decision.recorded"
	EventModeChanged       = "mode.changed"
	// EventRolloutMoved says that a rollout began, ended, was steered, or went to another phase.
	EventRolloutMoved = "rollout.moved"
	// EventRolloutMeasured says that there is a new reading; at most one a second.
	EventRolloutMeasured = "rollout.measured"
	EventDaemonStopping  = "daemon.stopping"
	// EventDropped is the last event of a stream whose reader was too slow.
	EventDropped = "stream.dropped"
	// EventRevoked is the last event of a stream whose reader is not let in any more.
	EventRevoked = "stream.revoked"
	// EventGap says that the stream could not be resumed where the reader had left it.
	EventGap = "stream.gap"
)

// Change is one step of a watched list.
type Change[T any] struct {
	// Type is "present" for what was there at first, "listed" once after all of that, then "changed" or "gone".
	Type string `json:"type" enum:"present,listed,changed,gone" doc:"Present at the start, listed after that, changed, or gone."`
	Name string `json:"name,omitempty" doc:"Name or identifier of the item; empty when listed."`
	Item *T     `json:"item,omitempty" doc:"The item; left out when it is gone and when listed."`
}

// Types of a [Change].
const (
	ChangePresent = "present"
	ChangeListed  = "listed"
	ChangeChanged = "changed"
	ChangeGone    = "gone"
)
