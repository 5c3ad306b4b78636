package api

import "time"

// PolicyState says where a policy stands in its life.
type PolicyState string

const (
	// PolicyActive means that the active version is bound and its Analyze runs.
	PolicyActive PolicyState = "active"
	// PolicyDisabled means that a person switched it off. It stays stored.
	PolicyDisabled PolicyState = "disabled"
	// PolicyWaiting means that it is enabled but may not run: the mode excludes it, or a required metric or
	// mechanism is missing. Policy.StateReason says which.
	PolicyWaiting PolicyState = "waiting"
	// PolicyQuarantined means that it failed too often and no standby version was left.
	PolicyQuarantined PolicyState = "quarantined"
)

// Policy is a policy as the daemon runs it.
type Policy struct {
	Name        string      `json:"name" example:"load-follower" doc:"Name from the module's manifest."`
	Enabled     bool        `json:"enabled" doc:"Whether a person wants it to run."`
	State       PolicyState `json:"state" enum:"active,disabled,waiting,quarantined" doc:"Whether it does run."`
	StateReason string      `json:"state_reason,omitempty" doc:"Why the state is not active."`

	ActiveVersion  string    `json:"active_version" example:"1.2.0" doc:"Version that decides."`
	StandbyVersion string    `json:"standby_version,omitempty" doc:"Version that a rollback would activate."`
	Digest         string    `json:"digest" example:"sha256:9f86d081884c7d65" doc:"Digest of the active module as it was uploaded."`
	ActivatedAt    time.Time `json:"activated_at,omitzero" doc:"When the active version began to decide."`

	Trust    *Trust          `json:"trust,omitempty" doc:"Who vouches for the active version."`
	Rollout  *PolicyRollout  `json:"rollout,omitempty" doc:"The rollout that is under way."`
	Manifest ManifestSummary `json:"manifest" doc:"What the active version declares."`
	Grants   []Grant         `json:"grants" doc:"What it asked for and what it got."`
	Health   PolicyHealth    `json:"health" doc:"Counters since the active version was activated."`

	Versions []PolicyVersion `json:"versions,omitempty" doc:"Stored versions, newest first. Left out of lists."`
}

// PolicyRollout is a line about a rollout that is under way.
type PolicyRollout struct {
	ID      string       `json:"id" doc:"Identifier."`
	Version string       `json:"version" doc:"Version that is rolled out."`
	Phase   RolloutPhase `json:"phase" enum:"pending,fetched,verified,validated,prepared,shadow,canary,active,standby,retired,quarantined" doc:"How far it has come."`
	Paused  bool         `json:"paused,omitempty" doc:"Whether a person paused it."`
	Ends    time.Time    `json:"ends,omitzero" doc:"When the time of the phase is up."`

	Other  string        `json:"other,omitempty" doc:"Version that is prepared and not in charge: the new one, and on probation the one before."`
	Health *PolicyHealth `json:"health,omitempty" doc:"Counters of that version."`
}

// PolicyList is the answer to listing policies, sorted by name.
type PolicyList struct {
	Items []Policy `json:"items" doc:"Policies, sorted by name."`
}

// ManifestSummary is what a module declares about itself, as far as a person needs it.
type ManifestSummary struct {
	Name        string `json:"name" doc:"Name of the policy."`
	Version     string `json:"version" doc:"Version of the policy."`
	Kind        string `json:"kind" example:"policy" doc:"Policy, adapter or workload."`
	Layer       string `json:"layer" example:"node" doc:"Layer that it is written for."`
	Scope       string `json:"scope" example:"node" doc:"Node, or one instance for each application."`
	ABI         uint32 `json:"abi" example:"1" doc:"Version of the contract between host and guest."`
	Door        string `json:"door,omitempty" enum:"extism,extism-sdk" doc:"What the module was built for, where it is not this contract: an Extism plugin, run by this host or by the Extism project's SDK."`
	Description string `json:"description,omitempty" doc:"The author's description."`

	Metrics    []ManifestMetric    `json:"metrics" doc:"Metrics that it observes."`
	Mechanisms []ManifestMechanism `json:"mechanisms" doc:"Mechanisms that it plans for."`
	Wake       []ManifestWake      `json:"wake,omitempty" doc:"Bounds that wake Analyze at once."`
	Parameters []ManifestParameter `json:"parameters,omitempty" doc:"Values that an operator may set."`

	Provides     *ManifestProvides    `json:"provides,omitempty" doc:"Mechanism that an adapter makes."`
	Capabilities []ManifestCapability `json:"capabilities,omitempty" doc:"Ways out of the sandbox that an adapter asks for."`

	AnalyzeIntervalMS uint32 `json:"analyze_interval_ms" doc:"Interval at which Analyze runs if nothing wakes it earlier."`
	UsesML            bool   `json:"uses_ml" doc:"Whether it is off in heuristic mode."`
	Vectors           int    `json:"vectors" doc:"Golden calls that every upload runs."`
	Limits            Limits `json:"limits" doc:"Limits that it asked for; 0 is the daemon's default."`
	StateSchema       uint32 `json:"state_schema" doc:"Schema of its lasting context."`
}

// ManifestMetric is a metric that a policy observes.
type ManifestMetric struct {
	Name     string            `json:"name,omitempty" example:"node_load1" doc:"Metric name; empty when query is set."`
	Labels   map[string]string `json:"labels,omitempty" doc:"Labels that a series must have."`
	Reduce   string            `json:"reduce,omitempty" example:"avg" doc:"How several series become one value; empty is the last."`
	Query    string            `json:"query,omitempty" doc:"PromQL expression in place of a name."`
	Unit     string            `json:"unit,omitempty" doc:"Unit that the policy expects."`
	Required bool              `json:"required" doc:"Whether the policy waits until the metric exists."`
}

// ManifestWake is a bound that wakes Analyze as soon as the metric crosses it.
type ManifestWake struct {
	Metric string   `json:"metric" doc:"Metric."`
	Above  *float64 `json:"above,omitempty" doc:"Bound upwards."`
	Below  *float64 `json:"below,omitempty" doc:"Bound downwards."`
}

// ManifestMechanism is a mechanism that a policy plans for.
type ManifestMechanism struct {
	Name   string   `json:"name" example:"CPUFrequency" doc:"Mechanism."`
	Verbs  []string `json:"verbs,omitempty" example:"[\"set\"]" doc:"Verbs that it uses."`
	Knobs  []string `json:"knobs,omitempty" doc:"Patterns of knob names; empty is all."`
	Reason string   `json:"reason,omitempty" doc:"The author's reason."`
}

// ManifestProvides is the mechanism that an adapter makes.
type ManifestProvides struct {
	Mechanism string `json:"mechanism" example:"SmartPlug" doc:"Name that policies and people use."`
	Summary   string `json:"summary,omitempty" doc:"One sentence."`
}

// ManifestCapability is one way out of the sandbox that an adapter asks for. What is empty is not asked for.
type ManifestCapability struct {
	Name    string   `json:"name" example:"device" doc:"Name in the module."`
	Kind    string   `json:"kind" enum:"http,file,kv,coap" doc:"What it is for."`
	Hosts   []string `json:"hosts,omitempty" example:"[\"plug.example.org:80\"]" doc:"Hosts with their ports."`
	Methods []string `json:"methods,omitempty" example:"[\"GET\",\"PUT\"]" doc:"Methods."`
	Paths   []string `json:"paths,omitempty" example:"[\"/sys/class/leds/*/brightness\"]" doc:"Paths of files."`
	Write   bool     `json:"write,omitempty" doc:"Whether the files may be written."`
	Bytes   uint64   `json:"bytes" doc:"Most of one body, payload or file, or all that a store keeps."`
	Reason  string   `json:"reason,omitempty" doc:"The author's reason."`
}

// ManifestParameter is a value that an operator may set without changing the module.
type ManifestParameter struct {
	Name        string   `json:"name" doc:"Name of the parameter."`
	Unit        string   `json:"unit,omitempty" doc:"Unit of the value."`
	Default     float64  `json:"default" doc:"Value unless an operator sets another."`
	Min         *float64 `json:"min,omitempty" doc:"Smallest value allowed."`
	Max         *float64 `json:"max,omitempty" doc:"Largest value allowed."`
	Description string   `json:"description,omitempty" doc:"What it does."`
}

// Limits bound one call into a policy.
type Limits struct {
	Fuel        uint64 `json:"fuel" doc:"Instructions for each call."`
	DeadlineMS  uint32 `json:"deadline_ms" doc:"Wall clock for each call."`
	MemoryBytes uint64 `json:"memory_bytes" doc:"Linear memory."`
}

// Grant is one permission of a policy, for a mechanism, or of an adapter, for a capability. It holds only if all three are
// true: asked for by the module, allowed by the operator, offered by the node.
type Grant struct {
	Mechanism string   `json:"mechanism,omitempty" example:"CPUFrequency" doc:"Mechanism; empty for a capability."`
	Verbs     []string `json:"verbs,omitempty" doc:"Verbs asked for."`
	Knobs     []string `json:"knobs,omitempty" doc:"Knob patterns asked for; empty is all."`
	Asked     bool     `json:"asked" doc:"The module's manifest asks for it."`
	Allowed   bool     `json:"allowed" doc:"The operator allows it."`
	Offered   bool     `json:"offered" doc:"This node has the mechanism, or offers the capability."`
	Reason    string   `json:"reason,omitempty" doc:"Why the module asks, or why it was not granted."`

	Capability *ManifestCapability `json:"capability,omitempty" doc:"Capability, instead of a mechanism."`
}

// Subject names what the permission is for: a mechanism, or a capability by kind and name.
func (g Grant) Subject() string {
	if g.Capability == nil {
		return g.Mechanism
	}
	return g.Capability.Kind + " " + g.Capability.Name
}

// Granted reports whether the permission holds.
func (g Grant) Granted() bool { return g.Asked && g.Allowed && g.Offered }

// PolicyHealth is what happened since the active version was activated.
type PolicyHealth struct {
	Calls          uint64    `json:"calls" doc:"Calls into the policy."`
	Failures       uint64    `json:"failures" doc:"Calls that ended in a trap, a limit or an error."`
	Plans          uint64    `json:"plans" doc:"Plans that it made."`
	FuelMean       uint64    `json:"fuel_mean" doc:"Mean fuel of a call."`
	FuelMax        uint64    `json:"fuel_max" doc:"Largest fuel of a call."`
	LatencyP50US   uint64    `json:"latency_p50_us" doc:"Median latency of a call."`
	LatencyP99US   uint64    `json:"latency_p99_us" doc:"99th percentile of the latency of a call."`
	LastDecisionID string    `json:"last_decision_id,omitempty" doc:"Newest decision."`
	LastError      string    `json:"last_error,omitempty" doc:"Newest failure."`
	LastErrorCode  string    `json:"last_error_code,omitempty" doc:"Stable code of the newest failure."`
	LastErrorAt    time.Time `json:"last_error_at,omitzero" doc:"When the newest failure happened."`
}

// VersionState says what a stored version is for.
type VersionState string

const (
	VersionActive      VersionState = "active"
	VersionStandby     VersionState = "standby"
	VersionRetired     VersionState = "retired"
	VersionQuarantined VersionState = "quarantined"
)

// PolicyVersion is one stored version of a policy.
type PolicyVersion struct {
	Version    string       `json:"version" example:"1.2.0" doc:"Version from the manifest."`
	Digest     string       `json:"digest" doc:"Digest of the module as it was uploaded."`
	State      VersionState `json:"state" enum:"active,standby,retired,quarantined" doc:"What the version is for."`
	SizeBytes  int64        `json:"size_bytes" doc:"Size of the module."`
	UploadedAt time.Time    `json:"uploaded_at" doc:"When it was accepted."`
	UploadedBy string       `json:"uploaded_by" doc:"Who uploaded it."`
	Reason     string       `json:"reason,omitempty" doc:"Why it was retired or quarantined."`
	Trust      *Trust       `json:"trust,omitempty" doc:"Who vouches for it."`
}

// PolicyVersionList is the answer to listing the versions of a policy, newest first.
type PolicyVersionList struct {
	Items []PolicyVersion `json:"items" doc:"Versions, newest first."`
}

// RollbackRequest says which version a policy goes back to.
type RollbackRequest struct {
	Version string `json:"version,omitempty" maxLength:"128" doc:"Stored version to go back to; empty is the standby."`
}

// UploadOptions accompany an upload.
type UploadOptions struct {
	// DryRun checks everything, golden vectors included, and stores nothing.
	DryRun bool
	// Disabled stores the version and leaves the policy switched off if it is new; an existing policy keeps its
	// switch.
	Disabled bool
	// Allow lists the mechanisms, or an adapter's capabilities by name, that the operator allows. Nil is the daemon's configured default.
	Allow []string
	// Parameters sets the operator's values by name. Nil keeps those of the version before.
	Parameters map[string]float64
	// Reference, when set, is where the agent gets the module itself, as in oci://host/repository:tag; nothing is sent.
	Reference string
	// Rollout, when set, has the version prove itself before it decides. Nil activates it at once.
	Rollout *RolloutStart
}

// UploadResult says what an upload changed.
type UploadResult struct {
	Name      string          `json:"name" doc:"Policy."`
	Version   string          `json:"version" doc:"Version that was uploaded."`
	Digest    string          `json:"digest" doc:"Digest of the uploaded bytes."`
	Accepted  bool            `json:"accepted" doc:"Whether it passed every check. A refusal is a problem document instead."`
	Activated bool            `json:"activated" doc:"Whether it decides now."`
	DryRun    bool            `json:"dry_run,omitempty" doc:"Whether nothing was stored."`
	Unchanged bool            `json:"unchanged,omitempty" doc:"Whether the same bytes were active already."`
	Replaced  string          `json:"replaced,omitempty" doc:"Version that was active before; it is the standby now."`
	Reason    string          `json:"reason,omitempty" doc:"Why it was accepted but not activated."`
	Manifest  ManifestSummary `json:"manifest" doc:"What the module declares."`
	Grants    []Grant         `json:"grants" doc:"What it asked for and what it got."`
	Warnings  []string        `json:"warnings,omitempty" doc:"What a person should know and need not act on."`
	PrepareUS uint64          `json:"prepare_us" doc:"Time for checking, rewriting, compiling and freezing."`
	Reference string          `json:"reference,omitempty" doc:"Where the agent got the module, pinned to its digest."`
	Trust     *Trust          `json:"trust,omitempty" doc:"Who vouches for the module."`
	Rollout   *Rollout        `json:"rollout,omitempty" doc:"The rollout that began."`
}
