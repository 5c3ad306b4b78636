package policy

import (
	"math"
	"time"
)

// Verdict is the answer of [Policy.Analyze]. Make it with [Act] or [Stay]; its methods return a changed copy.
type Verdict struct {
	act    bool
	why    string
	next   time.Duration
	bounds []bound
}

type bound struct {
	metric       Metric
	above, below float64
}

// Act says that a plan is needed. The parts make the reason that people read, as in [Text].
func Act(why ...any) Verdict { return Verdict{act: true, why: Text(why...)} }

// Stay says that nothing has to change.
func Stay(why ...any) Verdict { return Verdict{why: Text(why...)} }

// Next asks for the next Analyze after d at the latest, once. Without it the interval of policy.yaml holds.
func (v Verdict) Next(d time.Duration) Verdict {
	v.next = d
	return v
}

// WakeAbove asks for an Analyze as soon as the metric goes above value, without waiting for the interval. Bounds
// replace those of the verdict before; a verdict without any keeps them.
func (v Verdict) WakeAbove(m Metric, value float64) Verdict {
	v.bounds = append(v.bounds, bound{m, value, math.NaN()})
	return v
}

// WakeBelow is WakeAbove for the other direction.
func (v Verdict) WakeBelow(m Metric, value float64) Verdict {
	v.bounds = append(v.bounds, bound{m, math.NaN(), value})
	return v
}
