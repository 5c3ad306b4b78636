package wasmabi

// Kinds of guests.
const (
	KindPolicy   = "policy"
	KindAdapter  = "adapter"
	KindWorkload = "workload"
)

// Layers that a guest runs on.
const (
	LayerNode      = "node"
	LayerCluster   = "cluster"
	LayerContinuum = "continuum"
)

// Doors: what calls and imports a guest has. Either way the host runs it under the same limits, records and replays it.
const (
	DoorNative = ""       // those of this package
	DoorExtism = "extism" // those of an Extism plugin; package host/extism documents how operations become calls of its exports
	// DoorExtismSDK is DoorExtism, run by the Extism project's SDK in a process of its own: for adapters that need what our runner
	// does not have, and without fuel and replay.
	DoorExtismSDK = "extism-sdk"
)

// Scopes of a policy: what one instance of it decides for.
const (
	ScopeNode        = "node"
	ScopeApplication = "application"
)

// Reductions of the series that match one metric request to one value. Empty means ReduceLast.
const (
	ReduceLast = "last"
	ReduceSum  = "sum"
	ReduceAvg  = "avg"
	ReduceMin  = "min"
	ReduceMax  = "max"
)

// Verbs that a mechanism request names.
const (
	VerbNameSet   = "set"
	VerbNameReset = "reset"
)

// Manifest says what a guest is, needs and asks for: cold. It travels in the module's custom section
// [ManifestSection], so the module's digest covers it.
type Manifest struct {
	Name        string // lower case letters, digits and dashes
	Version     string // semantic version
	Kind        string // "policy", "adapter" or "workload"
	Layer       string // "node", "cluster" or "continuum"
	Scope       string // "node" or "application"
	ABI         uint32 // Version
	Door        string // "" or "extism"
	Description string

	Metrics    []MetricRequest
	Mechanisms []MechanismRequest
	Wake       []Wake

	AnalyzeIntervalMS uint32 // longest time between two Analyze; 0 is the host's default
	UsesML            bool   // whether decisions come from machine learning
	Limits            Limits

	StateSchema  uint32   // version of the context's layout
	MigratesFrom []uint32 // older layouts that OpMigrate understands

	Parameters []Parameter
	Vectors    []Vector

	Provides     Provides            // of an adapter: the mechanism that it makes
	Capabilities []CapabilityRequest // of an adapter: its ways out; a policy has none

	Workload Workload // of a workload: what goes in and out, and what it asks of its device
}

// MetricRequest asks for one value in each observation; its index is the metric's id.
type MetricRequest struct {
	Name     string // of the metric; with Query the name under which its result is known
	Labels   []Label
	Reduce   string // over the matching series; see ReduceLast
	Query    string // PromQL, instead of Name and Labels
	Unit     string // what the author expects, for example "ratio" or "s"
	Required bool   // no Analyze while it is missing
}

// Label is one name and value.
type Label struct{ Name, Value string }

// MechanismRequest asks for the right to plan with a mechanism.
type MechanismRequest struct {
	Name   string   // "CPUFrequency"
	Verbs  []string // "set", "reset"
	Knobs  []string // patterns as in path.Match; empty means all
	Reason string   // for the person who grants it
}

// Wake asks for an Analyze as soon as a metric crosses a bound.
type Wake struct {
	Metric       uint32  // index into Manifest.Metrics
	Above, Below float64 // NaN is no bound
}

// Limits are what a guest asks for; 0 is the host's default.
type Limits struct {
	Fuel           uint64 // for each call
	DeadlineMS     uint32 // for each call
	MemoryBytes    uint64
	RequestWindow  uint32 // bytes that the guest reserves
	ResponseWindow uint32 // bytes that the guest reserves
}

// Parameter is a number that the operator may set.
type Parameter struct {
	Name        string
	Default     float64
	Unit        string
	Min, Max    float64 // inclusive; NaN is no bound
	Description string
}

// Allows reports whether the operator may give the parameter the value.
func (p *Parameter) Allows(v float64) bool {
	return v == v && !(v < p.Min) && !(v > p.Max)
}

// Vector is a golden call: run on a fresh instance at intake, it must give the response, byte for byte.
type Vector struct {
	Op       Op
	Request  []byte
	Response []byte
}

// EncodeManifest returns the encoded m.
func EncodeManifest(m *Manifest) []byte {
	f := openFields(nil)
	f.uint("abi", uint64(m.ABI))
	f.text("door", m.Door)
	f.text("kind", m.Kind)
	f.text("name", m.Name)
	appendList(&f, "wake", m.Wake, appendWake)
	f.text("layer", m.Layer)
	f.text("scope", m.Scope)
	if m.Limits != (Limits{}) {
		f.key("limits")
		f.b = appendLimits(f.b, &m.Limits)
	}
	appendList(&f, "metrics", m.Metrics, appendMetricRequest)
	f.bool("uses_ml", m.UsesML)
	appendList(&f, "vectors", m.Vectors, appendVector)
	f.text("version", m.Version)
	if m.Provides != (Provides{}) {
		f.key("provides")
		f.b = appendProvides(f.b, &m.Provides)
	}
	if !m.Workload.empty() {
		f.key("workload")
		f.b = appendWorkload(f.b, &m.Workload)
	}
	appendList(&f, "mechanisms", m.Mechanisms, appendMechanismRequest)
	appendList(&f, "parameters", m.Parameters, appendParameter)
	f.text("description", m.Description)
	appendList(&f, "capabilities", m.Capabilities, appendCapability)
	f.uint("state_schema", uint64(m.StateSchema))
	f.uints("migrates_from", m.MigratesFrom)
	f.uint("analyze_interval_ms", uint64(m.AnalyzeIntervalMS))
	return f.close()
}

func appendMetricRequest(b []byte, m *MetricRequest) []byte {
	f := openFields(b)
	f.text("name", m.Name)
	f.text("unit", m.Unit)
	f.text("query", m.Query)
	appendList(&f, "labels", m.Labels, appendLabel)
	f.text("reduce", m.Reduce)
	f.bool("required", m.Required)
	return f.close()
}

func appendLabel(b []byte, l *Label) []byte {
	return appendText(appendText(appendHead(b, majorArray, 2), l.Name), l.Value)
}

func appendMechanismRequest(b []byte, m *MechanismRequest) []byte {
	f := openFields(b)
	f.text("name", m.Name)
	f.texts("knobs", m.Knobs)
	f.texts("verbs", m.Verbs)
	f.text("reason", m.Reason)
	return f.close()
}

func appendWake(b []byte, w *Wake) []byte {
	f := openFields(b)
	f.float("above", w.Above)
	f.float("below", w.Below)
	f.uint("metric", uint64(w.Metric))
	return f.close()
}

func appendLimits(b []byte, l *Limits) []byte {
	f := openFields(b)
	f.uint("fuel", l.Fuel)
	f.uint("deadline_ms", uint64(l.DeadlineMS))
	f.uint("memory_bytes", l.MemoryBytes)
	f.uint("request_window", uint64(l.RequestWindow))
	f.uint("response_window", uint64(l.ResponseWindow))
	return f.close()
}

func appendParameter(b []byte, p *Parameter) []byte {
	f := openFields(b)
	f.float("max", p.Max)
	f.float("min", p.Min)
	f.text("name", p.Name)
	f.text("unit", p.Unit)
	f.float("default", p.Default)
	f.text("description", p.Description)
	return f.close()
}

func appendVector(b []byte, v *Vector) []byte {
	f := openFields(b)
	f.uint("op", uint64(v.Op))
	f.bytes("request", v.Request)
	f.bytes("response", v.Response)
	return f.close()
}
