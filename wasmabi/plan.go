package wasmabi

import "math"

// Verbs of a plan's settings.
const (
	VerbSet   = 0 // give the knob the value
	VerbReset = 1 // give the knob, or all of the mechanism's, back its original value
)

// AllKnobs in Plan.Knobs, with VerbReset, means every granted knob of the mechanism.
const AllKnobs = math.MaxUint32

// Plan is the response to [OpPlan]: hot. Setting i is row i of the five columns. A plan without settings is valid
// and changes nothing.
type Plan struct {
	Seq uint64 // of the observation
	Why string // for people

	Mechanisms []uint32 // indices into Init.Mechanisms
	Verbs      []uint32
	Knobs      []uint32  // indices into Init.Knobs, or AllKnobs
	Values     []float64 // in the knob's unit; for a choice its index; 0 with VerbReset
	LeaseMS    []uint32  // how long the setting holds unless a later plan renews it; 0: while the policy is in charge
}

const planFields = 7

// AppendPlan appends the encoded m to dst. The five columns must have one length.
func AppendPlan(dst []byte, m *Plan) []byte {
	dst = appendHead(dst, majorArray, planFields)
	dst = appendUint(dst, m.Seq)
	dst = appendText(dst, m.Why)
	dst = appendUint32s(dst, m.Mechanisms)
	dst = appendUint32s(dst, m.Verbs)
	dst = appendUint32s(dst, m.Knobs)
	dst = appendFloat64s(dst, m.Values)
	return appendUint32s(dst, m.LeaseMS)
}

// DecodePlan decodes b into m and uses m's slices again. Nothing of m aliases b. Whether indices exist and verbs
// are known is checked against the grants, by the host.
func DecodePlan(b []byte, m *Plan) error {
	r := reader{b: b, message: "plan"}
	r.array(planFields)
	m.Seq = r.uint64()
	r.textInto(&m.Why, MaxText)
	m.Mechanisms = r.uint32s(m.Mechanisms, MaxSettings)
	m.Verbs = r.uint32s(m.Verbs, MaxSettings)
	m.Knobs = r.uint32s(m.Knobs, MaxSettings)
	m.Values = r.float64s(m.Values, MaxSettings)
	m.LeaseMS = r.uint32s(m.LeaseMS, MaxSettings)
	n := len(m.Mechanisms)
	if len(m.Verbs) != n || len(m.Knobs) != n || len(m.Values) != n || len(m.LeaseMS) != n {
		r.fail("columns differ in length")
	}
	return r.finish()
}
