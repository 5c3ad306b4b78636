package wasmabi

// Kinds of knobs.
const (
	KnobNumber = "number"
	KnobChoice = "choice"
)

// Init is the request of [OpInit]: cold. It holds everything that is fixed for the instance's life.
type Init struct {
	Policy, Version string
	Scope, Asset    string // what this instance decides for: "node" or "application", and its name
	Layer           string
	Features        []string // optional features of this host

	Metrics    []MetricInfo // a metric's id is its index
	Mechanisms []string     // granted; a mechanism's id is its index
	Knobs      []KnobInfo   // granted; a knob's id is its index

	// The operator's values, or the defaults, in the manifest's order, and their names.
	Parameters     []float64
	ParameterNames []string

	Capabilities []CapabilityRequest // granted to an adapter; a handle is its index

	Context       []byte // what the last instance handed out with OpSnapshot; empty at the first start
	ContextSchema uint32
}

// NewInit returns the part of an Init that follows from the manifest alone: identity, metrics, parameters at their
// defaults, and the schema. The host adds the asset, the granted mechanisms and knobs, and the context.
func NewInit(m *Manifest) *Init {
	i := &Init{
		Policy: m.Name, Version: m.Version, Scope: m.Scope, Layer: m.Layer, ContextSchema: m.StateSchema,
	}
	for _, r := range m.Metrics {
		i.Metrics = append(i.Metrics, MetricInfo{Name: r.Name, Labels: r.Labels, Unit: r.Unit})
	}
	for _, p := range m.Parameters {
		i.Parameters = append(i.Parameters, p.Default)
		i.ParameterNames = append(i.ParameterNames, p.Name)
	}
	return i
}

// MetricInfo describes one metric of the observations.
type MetricInfo struct {
	Name   string
	Labels []Label
	Unit   string
}

// KnobInfo describes one knob that plans may set.
type KnobInfo struct {
	Name      string // "policy0/max_frequency"
	Mechanism uint32 // index into Init.Mechanisms
	Unit      string // "Hz"
	Kind      string // "number" or "choice"

	Min, Max, Step float64   // of a number; NaN where there is none
	Table          []float64 // the only values of a number, when there are only some
	Choices        []string  // of a choice; a value is an index
}

// AppendInit appends the encoded m to dst.
func AppendInit(dst []byte, m *Init) []byte {
	f := openFields(dst)
	f.text("asset", m.Asset)
	appendList(&f, "knobs", m.Knobs, appendKnobInfo)
	f.text("layer", m.Layer)
	f.text("scope", m.Scope)
	f.text("policy", m.Policy)
	f.bytes("context", m.Context)
	appendList(&f, "metrics", m.Metrics, appendMetricInfo)
	f.text("version", m.Version)
	f.texts("features", m.Features)
	f.texts("mechanisms", m.Mechanisms)
	f.floats("parameters", m.Parameters)
	appendList(&f, "capabilities", m.Capabilities, appendCapability)
	f.uint("context_schema", uint64(m.ContextSchema))
	f.texts("parameter_names", m.ParameterNames)
	return f.close()
}

func appendMetricInfo(b []byte, m *MetricInfo) []byte {
	f := openFields(b)
	f.text("name", m.Name)
	f.text("unit", m.Unit)
	appendList(&f, "labels", m.Labels, appendLabel)
	return f.close()
}

func appendKnobInfo(b []byte, k *KnobInfo) []byte {
	f := openFields(b)
	f.float("max", k.Max)
	f.float("min", k.Min)
	f.text("kind", k.Kind)
	f.text("name", k.Name)
	f.float("step", k.Step)
	f.text("unit", k.Unit)
	f.floats("table", k.Table)
	f.texts("choices", k.Choices)
	f.uint("mechanism", uint64(k.Mechanism))
	return f.close()
}
