package wasmabi

import "math"

// Trigger says why an Analyze runs.
const (
	TriggerPeriodic = 0 // its interval passed
	TriggerWake     = 1 // a metric crossed a bound that the policy asked for
	TriggerManual   = 2 // a person asked
)

// AgeMissing is the age of a metric that has no value; the value is NaN.
const AgeMissing = math.MaxUint32

// Observation is the request of [OpAnalyze] and [OpPlan]: hot.
type Observation struct {
	Seq     uint64
	TimeNS  int64 // since the Unix epoch
	Trigger uint32

	IDs    []uint32 // indices into Init.Metrics
	Values []float64
	AgesMS []uint32 // milliseconds since the sample was taken

	KnobIDs    []uint32  // indices into Init.Knobs
	KnobValues []float64 // in effect now; for a choice its index
}

const observationFields = 8

// AppendObservation appends the encoded m to dst. Columns of one table must have one length.
func AppendObservation(dst []byte, m *Observation) []byte {
	dst = appendHead(dst, majorArray, observationFields)
	dst = appendUint(dst, m.Seq)
	dst = appendInt(dst, m.TimeNS)
	dst = appendUint(dst, uint64(m.Trigger))
	dst = appendUint32s(dst, m.IDs)
	dst = appendFloat64s(dst, m.Values)
	dst = appendUint32s(dst, m.AgesMS)
	dst = appendUint32s(dst, m.KnobIDs)
	return appendFloat64s(dst, m.KnobValues)
}

// DecodeObservation decodes b into m and uses m's slices again. Nothing of m aliases b.
func DecodeObservation(b []byte, m *Observation) error {
	r := reader{b: b, message: "observation"}
	r.array(observationFields)
	m.Seq = r.uint64()
	m.TimeNS = r.int64()
	m.Trigger = r.uint32()
	m.IDs = r.uint32s(m.IDs, MaxMetrics)
	m.Values = r.float64s(m.Values, MaxMetrics)
	m.AgesMS = r.uint32s(m.AgesMS, MaxMetrics)
	m.KnobIDs = r.uint32s(m.KnobIDs, MaxKnobs)
	m.KnobValues = r.float64s(m.KnobValues, MaxKnobs)
	if len(m.IDs) != len(m.Values) || len(m.IDs) != len(m.AgesMS) || len(m.KnobIDs) != len(m.KnobValues) {
		r.fail("columns differ in length")
	}
	return r.finish()
}
