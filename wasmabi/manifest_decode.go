package wasmabi

import "math"

// DecodeManifest decodes b into m. Nothing of m aliases b. It checks the form only; see [Manifest.Validate].
func DecodeManifest(b []byte, m *Manifest) error {
	*m = Manifest{}
	r := reader{b: b, message: "manifest"}
	if len(b) > MaxManifest {
		r.fail("manifest is longer than " + decimal(MaxManifest) + " bytes")
	}
	for k := r.keys(); k.next(); {
		m.decodeField(&r, k.key)
	}
	return r.finish()
}

func (m *Manifest) decodeField(r *reader, key string) {
	switch key {
	case "abi":
		m.ABI = r.uint32()
	case "door":
		m.Door = r.text(MaxName)
	case "kind":
		m.Kind = r.text(MaxName)
	case "name":
		m.Name = r.text(MaxName)
	case "wake":
		m.Wake = list(r, m.Wake, MaxMetrics, decodeWake)
	case "layer":
		m.Layer = r.text(MaxName)
	case "scope":
		m.Scope = r.text(MaxName)
	case "limits":
		decodeLimits(r, &m.Limits)
	case "metrics":
		m.Metrics = list(r, m.Metrics, MaxMetrics, decodeMetricRequest)
	case "uses_ml":
		m.UsesML = r.bool()
	case "vectors":
		m.Vectors = list(r, m.Vectors, MaxVectors, decodeVector)
	case "version":
		m.Version = r.text(MaxName)
	case "provides":
		decodeProvides(r, &m.Provides)
	case "workload":
		decodeWorkload(r, &m.Workload)
	case "mechanisms":
		m.Mechanisms = list(r, m.Mechanisms, MaxMechanisms, decodeMechanismRequest)
	case "parameters":
		m.Parameters = list(r, m.Parameters, MaxParameters, decodeParameter)
	case "description":
		m.Description = r.text(MaxText)
	case "capabilities":
		m.Capabilities = list(r, m.Capabilities, MaxCapabilities, decodeCapability)
	case "state_schema":
		m.StateSchema = r.uint32()
	case "migrates_from":
		m.MigratesFrom = r.uint32s(m.MigratesFrom, MaxSchemas)
	case "analyze_interval_ms":
		m.AnalyzeIntervalMS = r.uint32()
	default:
		r.skip(0)
	}
}

func decodeMetricRequest(r *reader, m *MetricRequest) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "name":
			m.Name = r.text(MaxName)
		case "unit":
			m.Unit = r.text(MaxName)
		case "query":
			m.Query = r.text(MaxText)
		case "labels":
			m.Labels = list(r, m.Labels, MaxLabels, decodeLabel)
		case "reduce":
			m.Reduce = r.text(MaxName)
		case "required":
			m.Required = r.bool()
		default:
			r.skip(0)
		}
	}
}

func decodeLabel(r *reader, l *Label) {
	r.array(2)
	l.Name = r.text(MaxName)
	l.Value = r.text(MaxName)
}

func decodeMechanismRequest(r *reader, m *MechanismRequest) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "name":
			m.Name = r.text(MaxName)
		case "knobs":
			m.Knobs = r.texts(m.Knobs, MaxPatterns, MaxName)
		case "verbs":
			m.Verbs = r.texts(m.Verbs, MaxVerbs, MaxName)
		case "reason":
			m.Reason = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
}

func decodeWake(r *reader, w *Wake) {
	w.Above, w.Below = math.NaN(), math.NaN()
	for k := r.keys(); k.next(); {
		switch k.key {
		case "above":
			w.Above = r.float()
		case "below":
			w.Below = r.float()
		case "metric":
			w.Metric = r.uint32()
		default:
			r.skip(0)
		}
	}
}

func decodeLimits(r *reader, l *Limits) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "fuel":
			l.Fuel = r.uint64()
		case "deadline_ms":
			l.DeadlineMS = r.uint32()
		case "memory_bytes":
			l.MemoryBytes = r.uint64()
		case "request_window":
			l.RequestWindow = r.uint32()
		case "response_window":
			l.ResponseWindow = r.uint32()
		default:
			r.skip(0)
		}
	}
}

func decodeParameter(r *reader, p *Parameter) {
	p.Default, p.Min, p.Max = math.NaN(), math.NaN(), math.NaN()
	for k := r.keys(); k.next(); {
		switch k.key {
		case "max":
			p.Max = r.float()
		case "min":
			p.Min = r.float()
		case "name":
			p.Name = r.text(MaxName)
		case "unit":
			p.Unit = r.text(MaxName)
		case "default":
			p.Default = r.float()
		case "description":
			p.Description = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
}

func decodeVector(r *reader, v *Vector) {
	for k := r.keys(); k.next(); {
		switch k.key {
		case "op":
			v.Op = Op(r.uint32())
		case "request":
			v.Request = r.bytes(MaxVector)
		case "response":
			v.Response = r.bytes(MaxVector)
		default:
			r.skip(0)
		}
	}
}
