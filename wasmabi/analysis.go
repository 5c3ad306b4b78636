package wasmabi

// Analysis is the response to [OpAnalyze]: hot.
type Analysis struct {
	Seq    uint64 // of the observation
	Plan   bool   // whether a plan is needed
	NextMS uint32 // when to analyze next, at the latest; 0 keeps the interval
	Why    string // for people

	// Wake bounds until the next analysis: metric BoundIDs[i] going above Above[i] or below Below[i] wakes the policy
	// at once. NaN is no bound. Empty keeps the bounds that are in force.
	BoundIDs     []uint32
	Above, Below []float64
}

const analysisFields = 7

// AppendAnalysis appends the encoded m to dst. Columns of one table must have one length.
func AppendAnalysis(dst []byte, m *Analysis) []byte {
	dst = appendHead(dst, majorArray, analysisFields)
	dst = appendUint(dst, m.Seq)
	dst = appendBool(dst, m.Plan)
	dst = appendUint(dst, uint64(m.NextMS))
	dst = appendText(dst, m.Why)
	dst = appendUint32s(dst, m.BoundIDs)
	dst = appendFloat64s(dst, m.Above)
	return appendFloat64s(dst, m.Below)
}

// DecodeAnalysis decodes b into m and uses m's slices again. Nothing of m aliases b.
func DecodeAnalysis(b []byte, m *Analysis) error {
	r := reader{b: b, message: "analysis"}
	r.array(analysisFields)
	m.Seq = r.uint64()
	m.Plan = r.bool()
	m.NextMS = r.uint32()
	r.textInto(&m.Why, MaxText)
	m.BoundIDs = r.uint32s(m.BoundIDs, MaxSettings)
	m.Above = r.float64s(m.Above, MaxSettings)
	m.Below = r.float64s(m.Below, MaxSettings)
	if len(m.BoundIDs) != len(m.Above) || len(m.BoundIDs) != len(m.Below) {
		r.fail("columns differ in length")
	}
	return r.finish()
}
