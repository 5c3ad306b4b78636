package runner

import "math"

var nan = math.NaN()

// bound asks for an episode when a metric leaves a range. NaN is no bound.
type bound struct {
	metric       uint32
	above, below float64
	outside      bool // at the last look
}

// crossed takes a look at the values, and reports whether one has left its range since the look before.
func crossed(bounds []bound, values []float64) (any bool) {
	for i := range bounds {
		b := &bounds[i]
		if int(b.metric) >= len(values) {
			continue
		}
		v := values[b.metric]
		outside := v > b.above || v < b.below
		any = any || outside && !b.outside
		b.outside = outside
	}
	return any
}
