package wasmabi

import "math"

// DecodeInit decodes b into m. The texts and the context of m alias b: they hold as long as b is not written to. A
// guest, which decodes an Init for each episode, copies its request window once and so allocates once.
func DecodeInit(b []byte, m *Init) error {
	*m = Init{}
	r := reader{b: b, message: "init", alias: true}
	for k := r.keys(); k.next(); {
		m.decodeField(&r, k.key)
	}
	if len(m.ParameterNames) != len(m.Parameters) {
		r.fail("parameters and their names differ in number")
	}
	return r.finish()
}

func (m *Init) decodeField(r *reader, key string) {
	switch key {
	case "asset":
		m.Asset = r.text(MaxName)
	case "knobs":
		m.Knobs = list(r, m.Knobs, MaxKnobs, decodeKnobInfo)
	case "layer":
		m.Layer = r.text(MaxName)
	case "scope":
		m.Scope = r.text(MaxName)
	case "policy":
		m.Policy = r.text(MaxName)
	case "context":
		m.Context = r.bytes(MaxContext)
	case "metrics":
		m.Metrics = list(r, m.Metrics, MaxMetrics, decodeMetricInfo)
	case "version":
		m.Version = r.text(MaxName)
	case "features":
		m.Features = r.texts(m.Features, MaxFeatures, MaxName)
	case "mechanisms":
		m.Mechanisms = r.texts(m.Mechanisms, MaxMechanisms, MaxName)
	case "parameters":
		m.Parameters = r.float64s(m.Parameters, MaxParameters)
	case "capabilities":
		m.Capabilities = list(r, m.Capabilities, MaxCapabilities, decodeCapability)
	case "context_schema":
		m.ContextSchema = r.uint32()
	case "parameter_names":
		m.ParameterNames = r.texts(m.ParameterNames, MaxParameters, MaxName)
	default:
		r.skip(0)
	}
}

func decodeMetricInfo(r *reader, m *MetricInfo) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "name":
			m.Name = r.text(MaxName)
		case "unit":
			m.Unit = r.text(MaxName)
		case "labels":
			m.Labels = list(r, m.Labels, MaxLabels, decodeLabel)
		default:
			r.skip(0)
		}
	}
}

func decodeKnobInfo(r *reader, i *KnobInfo) {
	i.Min, i.Max, i.Step = math.NaN(), math.NaN(), math.NaN()
	for k := r.keys(); k.next(); {
		switch k.key {
		case "max":
			i.Max = r.float()
		case "min":
			i.Min = r.float()
		case "kind":
			i.Kind = r.text(MaxName)
		case "name":
			i.Name = r.text(MaxName)
		case "step":
			i.Step = r.float()
		case "unit":
			i.Unit = r.text(MaxName)
		case "table":
			i.Table = r.float64s(i.Table, MaxChoices)
		case "choices":
			i.Choices = r.texts(i.Choices, MaxChoices, MaxName)
		case "mechanism":
			i.Mechanism = r.uint32()
		default:
			r.skip(0)
		}
	}
}
