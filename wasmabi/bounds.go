package wasmabi

// Bounds that every decoder keeps, whatever the message claims. A window bounds a message's bytes; these bound
// counts and texts.
const (
	MaxMetrics    = 4096 // metrics of a policy
	MaxKnobs      = 4096 // knobs granted to a policy
	MaxMechanisms = 64
	MaxParameters = 256
	MaxLabels     = 32 // labels of one metric
	MaxChoices    = 256
	MaxSettings   = 4096 // settings of one plan, and bounds of one analysis
	MaxVectors    = 64
	MaxVerbs      = 16
	MaxPatterns   = 64 // knob patterns of one mechanism
	MaxFeatures   = 64
	MaxSchemas    = 64 // schemas that a policy migrates from

	MaxCapabilities = 16
	MaxPorts        = 64 // inputs, outputs, properties and knobs of a workload, of each
	MaxBatch        = 64 // numbers, and data, of one input or emission
	MaxAffects      = 64 // knobs that one knob moves along
	MaxFacts        = 64 // facts of one reading
	MaxHeaders      = 64 // of an HTTP request or response

	MaxName     = 256      // bytes of a name, unit, label or pattern
	MaxText     = 4096     // bytes of a description, reason, message or query
	MaxBody     = 64 << 10 // bytes of an HTTP body, a file, a stored value or a CoAP payload
	MaxContext  = 64 << 10 // bytes of a policy's context
	MaxVector   = 64 << 10 // bytes of a golden vector's request or response
	MaxManifest = 1 << 20  // bytes of an encoded manifest

	maxKey = 64
)
