// Package attr names what Edgehold measures: metrics, their labels, span names and attributes, as
// constants in one place. It holds names only, no code that measures.
package attr

// Labels of our own metrics, and attributes of our spans.
const (
	Policy    = "policy"    // name of a policy
	Version   = "version"   // of a policy
	Asset     = "asset"     // what a policy manages: the node or an application
	Mechanism = "mechanism" // name of a mechanism
	Decision  = "decision"  // id of a decision
	Outcome   = "outcome"
	Effect    = "effect" // what became of one command of a plan
	Source    = "source" // a source of telemetry
	Reason    = "reason"
)

// Host metrics that are ours; the others have the names of the Prometheus node exporter.
const (
	// NodeCPUUtilisation is the busy share of all CPUs since the sample before, 0 to 1.
	NodeCPUUtilisation = "node_cpu_utilisation_ratio"
	// NodeCPUUtilisationPerCPU is the same for each CPU, by label cpu.
	NodeCPUUtilisationPerCPU = "node_cpu_utilisation_per_cpu_ratio"
	// NodeMemoryUtilisation is 1 - MemAvailable/MemTotal.
	NodeMemoryUtilisation = "node_memory_utilisation_ratio"
)

// Telemetry about telemetry.
const (
	SourceDuration = "edgehold_source_duration_seconds"    // of the last collection
	SourceCPU      = "edgehold_source_cpu_seconds_total"   // spent collecting
	SourceInterval = "edgehold_source_interval_seconds"    // in force now
	SourceRuns     = "edgehold_source_collections_total"   // collections
	SourceErrors   = "edgehold_source_errors_total"        // collections that failed, in part or whole
	SourceSamples  = "edgehold_source_samples_total"       // samples delivered
	RingSeries     = "edgehold_ring_series"                // held now
	RingBytes      = "edgehold_ring_bytes"                 // of encoded samples
	RingSamples    = "edgehold_ring_samples_total"         // appended
	RingDropped    = "edgehold_ring_dropped_total"         // samples, by reason
	RingEvicted    = "edgehold_ring_evicted_series_total"  // idle for a whole window
	RingSqueezed   = "edgehold_ring_squeezed_chunks_total" // given up for the bound on bytes
	RingSelections = "edgehold_ring_selections"            // open now
	RingCrossings  = "edgehold_ring_crossings_total"       // reported by watches
	RingQueries    = "edgehold_ring_queries_total"         // by outcome
	OTLPRequests   = "edgehold_otlp_requests_total"        // by outcome
	OTLPPoints     = "edgehold_otlp_points_total"          // by outcome
	OTLPClients    = "edgehold_otlp_clients"               // known now
	SpansEnded     = "edgehold_spans_total"                // ended
)

// What policies cost and what becomes of them, by policy.
const (
	PolicyCalls      = "edgehold_policy_calls_total"          // calls into the guest
	PolicyFailures   = "edgehold_policy_failures_total"       // calls that trapped, met a limit or answered with an error
	PolicyFuel       = "edgehold_policy_fuel_total"           // units used
	PolicySeconds    = "edgehold_policy_call_seconds_total"   // wall time in the guest
	PolicyResets     = "edgehold_policy_resets_total"         // instances put back to the image
	PolicyInstances  = "edgehold_policy_instances"            // now, lent and idle
	PolicyMemory     = "edgehold_policy_memory_bytes"         // the largest linear memory seen
	PolicyEpisodes   = "edgehold_policy_episodes_total"       // passes of the loop
	KnobsOutstanding = "edgehold_mechanism_knobs_outstanding" // knobs away from their old values for our sake
)

// Spans of the loop, all of one trace.
const (
	SpanPass    = "mape"    // one pass of a loop, which the others are parts of
	SpanObserve = "observe" // reading metrics and knobs
	SpanBegin   = "begin"   // of the policy's episode
	SpanAnalyze = "analyze"
	SpanPlan    = "plan"
	SpanApply   = "apply" // one command, by its mechanism
)
