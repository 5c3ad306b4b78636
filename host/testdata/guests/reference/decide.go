package main

import "github.com/edgehold/edgehold/wasmabi"

// Decide lowers the frequency of each CPU in proportion to its idle share: the arithmetic of a small policy.
func Decide(o *wasmabi.Observation, p *wasmabi.Plan) {
	p.Seq, p.Why = o.Seq, "utilisation"
	p.Mechanisms, p.Verbs, p.Knobs = p.Mechanisms[:0], p.Verbs[:0], p.Knobs[:0]
	p.Values, p.LeaseMS = p.Values[:0], p.LeaseMS[:0]
	if len(o.KnobIDs) == 0 {
		return
	}
	each := len(o.Values) / len(o.KnobIDs)
	for k, knob := range o.KnobIDs {
		sum := 0.0
		for _, v := range o.Values[k*each : (k+1)*each] {
			sum += v
		}
		load := min(max(sum/float64(max(each, 1)), 0), 1)
		p.Mechanisms, p.Verbs, p.Knobs = append(p.Mechanisms, 0), append(p.Verbs, 0), append(p.Knobs, knob)
		p.Values = append(p.Values, o.KnobValues[k]*(0.4+0.6*load))
		p.LeaseMS = append(p.LeaseMS, 0)
	}
}
