package api

import "time"

// TrustState says what stands behind a module.
type TrustState string

const (
	// TrustSigned means that signed metadata, which this node trusts, vouches for the digest.
	TrustSigned TrustState = "signed"
	// TrustUnsigned means that nobody vouches for it; the operator's configuration lets it run all the same.
	TrustUnsigned TrustState = "unsigned"
	// TrustRevoked means that it was vouched for once and is not any more.
	TrustRevoked TrustState = "revoked"
)

// Trust says who vouches for a module.
type Trust struct {
	State   TrustState `json:"state" enum:"signed,unsigned,revoked" doc:"What stands behind the module."`
	Target  string     `json:"target,omitempty" doc:"Name of the module in the signed metadata."`
	Keys    []string   `json:"keys,omitempty" doc:"Identifiers of the keys whose signatures count."`
	Expires time.Time  `json:"expires,omitzero" doc:"When the metadata expires. What runs goes on."`
	Reason  string     `json:"reason,omitempty" doc:"What a person should know about it."`
}

// TrustStatus is what a node believes about signatures, and what it was told to run.
type TrustStatus struct {
	Require string `json:"require" enum:"signed,unsigned" doc:"Whether only signed modules may come in and run."`
	Rooted  bool   `json:"rooted" doc:"Whether this node has a root of trust. Without one everything is unsigned."`
	Source  string `json:"source,omitempty" doc:"Where metadata is fetched; empty fetches none."`
	Node    string `json:"node,omitempty" doc:"What the director calls this node; empty follows none."`

	Documents []TrustDocument   `json:"documents" doc:"Signed metadata that is believed."`
	Modules   int               `json:"modules" doc:"Modules on the signed list."`
	Assigned  []TrustAssignment `json:"assigned" doc:"What the director has this node run."`

	Time        time.Time `json:"time,omitzero" doc:"What time it is by the clock and the signatures together."`
	ClockBehind bool      `json:"clock_behind,omitempty" doc:"Whether the clock is earlier than what was signed already, and is not believed."`
	Warnings    []string  `json:"warnings,omitempty" doc:"What a person should know."`

	UpdatedAt     time.Time `json:"updated_at,omitzero" doc:"When metadata was last taken in, by this node's clock."`
	TriedAt       time.Time `json:"tried_at,omitzero" doc:"When the source was last asked."`
	NextAt        time.Time `json:"next_at,omitzero" doc:"When it is asked next."`
	LastError     string    `json:"last_error,omitempty" doc:"Why that failed."`
	LastErrorCode string    `json:"last_error_code,omitempty" doc:"Stable code of the failure."`
}

// TrustDocument is one signed document.
type TrustDocument struct {
	Repository string    `json:"repository" enum:"images,director" doc:"Images say what exists, the director what this node runs."`
	Role       string    `json:"role" enum:"root,targets,snapshot,timestamp" doc:"Role that signed it."`
	Version    int64     `json:"version" doc:"Version counter."`
	Issued     time.Time `json:"issued" doc:"When it was signed."`
	Expires    time.Time `json:"expires" doc:"Until when new modules are accepted by it. What runs goes on."`
	Expired    bool      `json:"expired,omitempty" doc:"Whether that has passed."`
}

// TrustAssignmentState says how far an assignment has come.
type TrustAssignmentState string

const (
	// AssignmentRunning means that it is the active version.
	AssignmentRunning TrustAssignmentState = "running"
	// AssignmentRollingOut means that it proves itself beside the version in charge.
	AssignmentRollingOut TrustAssignmentState = "rolling-out"
	// AssignmentWaiting means that it was not tried yet.
	AssignmentWaiting TrustAssignmentState = "waiting"
	// AssignmentReplaced means that it was installed, and this node went to another version since.
	AssignmentReplaced TrustAssignmentState = "replaced"
	// AssignmentFailed means that it was refused or could not be fetched.
	AssignmentFailed TrustAssignmentState = "failed"
)

// TrustAssignment is a version that the director has this node run.
type TrustAssignment struct {
	Policy  string               `json:"policy" doc:"Policy."`
	Version string               `json:"version" doc:"Version assigned."`
	Digest  string               `json:"digest" doc:"Digest of its module."`
	Running string               `json:"running,omitempty" doc:"Version in charge now."`
	State   TrustAssignmentState `json:"state" enum:"running,rolling-out,waiting,replaced,failed" doc:"How far it has come."`
	Reason  string               `json:"reason,omitempty" doc:"Why it is no further."`
}
