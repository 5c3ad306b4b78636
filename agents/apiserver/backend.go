package apiserver

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// The interfaces below are what the server needs from an agent. All methods may be called concurrently, obey their
// context, and return errors that implement ErrorCode, ErrorWhy and ErrorHint where a person can act on them: RATIONALE.md says
// how a code becomes an HTTP status. A nil slice in a result counts as an empty one.

// Policies keeps and runs policies.
type Policies interface {
	PolicyReader
	PolicyUploader
	PolicySwitch
}

// PolicyReader looks policies up.
type PolicyReader interface {
	// List returns every policy, sorted by name, without Versions.
	List(ctx context.Context) ([]api.Policy, error)
	// Get returns one policy with its Versions. The code of an unknown name is policy.not-found.
	Get(ctx context.Context, name string) (api.Policy, error)
	// Versions returns the stored versions, newest first.
	Versions(ctx context.Context, name string) ([]api.PolicyVersion, error)
}

// PolicyUploader accepts modules.
type PolicyUploader interface {
	// Upload checks a module, or a bundle that holds one, and, unless it is a dry run, stores it durably and activates it, or
	// begins its rollout if the options have one. With a reference it gets the module itself, and module is nil. A refusal is an error
	// with an intake.*, policy.*, rollout.*, trust.* or registry.* code and leaves whatever runs untouched. The callee may keep module.
	Upload(ctx context.Context, module []byte, o api.UploadOptions, by api.Actor) (api.UploadResult, error)
}

// PolicySwitch changes which policies and versions run. Each returns the policy as it stands afterwards and is idempotent.
type PolicySwitch interface {
	Enable(ctx context.Context, name string, by api.Actor) (api.Policy, error)
	Disable(ctx context.Context, name string, by api.Actor) (api.Policy, error)
	// Rollback activates the standby version, or the stored version that is named. Without either the code is
	// policy.no-standby.
	Rollback(ctx context.Context, name, version string, by api.Actor) (api.Policy, error)
	// Delete stops the policy, reverts what it holds, and forgets its versions and its context.
	Delete(ctx context.Context, name string, by api.Actor) error
}

// Rollouts shows and steers how new versions come into charge. Uploads begin them.
type Rollouts interface {
	// List returns the newest rollout of each policy that had one, sorted by policy.
	List(ctx context.Context) ([]api.Rollout, error)
	// Get returns the newest rollout of a policy. The code is policy.not-found for an unknown policy, rollout.not-found for
	// one that had none.
	Get(ctx context.Context, policy string) (api.Rollout, error)
	// Steer passes a person's word on, waits until it is carried out, and returns the rollout as it stands afterwards.
	Steer(ctx context.Context, policy string, o api.RolloutOrder, by api.Actor) (api.Rollout, error)
}

// Mechanisms acts on the node.
type Mechanisms interface {
	MechanismReader
	MechanismActor
}

// MechanismReader describes mechanisms. Unknown names have the code mechanism.not-found.
type MechanismReader interface {
	// List returns every mechanism, those that this node lacks included (Available false), sorted by name.
	List(ctx context.Context) ([]api.Mechanism, error)
	// Get returns one with its knobs, their state read now.
	Get(ctx context.Context, name string) (api.Mechanism, error)
}

// MechanismActor changes knobs for a person. Both go through the same safety core as a policy's plan.
type MechanismActor interface {
	// Apply runs a command, which holds either settings or a D3.3 dictionary, or says what it would do if the command is a
	// dry run. A command that nothing came of is an error; a partial one is a result.
	Apply(ctx context.Context, name string, c api.MechanismCommand, by api.Actor) (api.MechanismResult, error)
	// Revert gives knobs back to their baseline and ends their leases; no knobs means all.
	Revert(ctx context.Context, name string, knobs []string, by api.Actor) (api.MechanismResult, error)
}

// Decisions is the log of what policies decided. Unknown identifiers have the code decision.not-found.
type Decisions interface {
	DecisionReader
	DecisionReplayer
}

// DecisionReader looks decisions up.
type DecisionReader interface {
	// List returns a page, newest first. The server has set Limit to between 1 and 1000. A cursor that is not one of its own
	// has the code decision.bad-cursor.
	List(ctx context.Context, f api.DecisionFilter) (api.DecisionPage, error)
	Get(ctx context.Context, id string) (api.Decision, error)
	Explain(ctx context.Context, id string) (api.Explanation, error)
}

// DecisionReplayer runs recorded decisions again.
type DecisionReplayer interface {
	// Replay runs the recorded episode with the version that decided, with another stored version, or with the module in the
	// request. Nothing acts. A module that fails is a report with Error set; an episode that was not kept has the
	// code decision.not-recorded.
	Replay(ctx context.Context, id string, r api.ReplayRequest) (api.ReplayReport, error)
}

// Metrics answers PromQL over the node's ring. An expression that does not parse has the code metric.bad-query.
type Metrics interface {
	// Query evaluates at one time; the zero time is now.
	Query(ctx context.Context, expr string, at time.Time) (api.MetricResult, error)
	// QueryRange evaluates over a span. The server has checked that it has at most 11,000 steps and that Step is positive.
	QueryRange(ctx context.Context, expr string, r api.MetricRange) (api.MetricResult, error)
	// Names lists the metrics whose name begins with prefix, sorted.
	Names(ctx context.Context, prefix string) ([]api.MetricName, error)
}

// Mode is the management mode.
type Mode interface {
	Get(ctx context.Context) (api.Mode, error)
	// Set is idempotent. The server has checked that the mode is one of the two.
	Set(ctx context.Context, m api.ModeName, by api.Actor) (api.Mode, error)
}

// Doctor examines the node. agents/doctor has the framework and the general checks.
type Doctor interface {
	Examine(ctx context.Context) (api.DoctorReport, error)
}

// Audit is the append-only record of who did what.
type Audit interface {
	// List returns a page, newest first, as Decisions.List.
	List(ctx context.Context, f api.AuditFilter) (api.AuditPage, error)
	// Verify walks the whole chain.
	Verify(ctx context.Context) (api.AuditVerification, error)
	// RecordRefusal keeps a change that the server refused before any other interface saw it: a body that was too large, an
	// actor without the role, a failed log-in.
	RecordRefusal(ctx context.Context, by api.Actor, action, target string, p *api.Problem) error
}

// Trust shows what is believed about signatures. Without a root the status says so.
type Trust interface {
	Status(ctx context.Context) (api.TrustStatus, error)
	// Update asks the source now, and installs what the director assigns. Without a source the code is trust.no-source.
	Update(ctx context.Context, by api.Actor) (api.TrustStatus, error)
}

// Backend is everything that a server passes requests on to. All fields but Rollouts and Trust are required.
type Backend struct {
	Policies   Policies
	Rollouts   Rollouts
	Trust      Trust
	Mechanisms Mechanisms
	Decisions  Decisions
	Metrics    Metrics
	Mode       Mode
	Doctor     Doctor
	Audit      Audit
}
