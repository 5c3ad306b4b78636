package policy

import "github.com/edgehold/edgehold/wasmabi"

// Metric is one value of the observations. Get it from [Setup.Metric]; the zero Metric never has a value.
type Metric struct{ number uint32 } // the id plus one

func (m Metric) id() (uint32, bool) { return m.number - 1, m.number != 0 }

// Mechanism is one that the policy may plan with. Get it from [Setup.Mechanism].
type Mechanism struct{ number uint32 } // the id plus one

// Knob is one thing that a plan can set. Get it from [Setup.Knob] or [Setup.Knobs]; the zero Knob can't be set.
type Knob struct {
	id   uint32
	info *wasmabi.KnobInfo
}

// Name is the knob's name within its mechanism, for example "policy0/max_frequency".
func (k Knob) Name() string {
	if k.info == nil {
		return ""
	}
	return k.info.Name
}

// Unit is the unit of the knob's values, for example "Hz".
func (k Knob) Unit() string {
	if k.info == nil {
		return ""
	}
	return k.info.Unit
}

// Range is the smallest and the greatest value that can be set; ok is false when the knob has no range.
func (k Knob) Range() (least, most float64, ok bool) {
	if k.info == nil {
		return 0, 0, false
	}
	if t := k.info.Table; len(t) > 0 {
		least, most = t[0], t[0]
		for _, v := range t {
			least, most = min(least, v), max(most, v)
		}
		return least, most, true
	}
	least, most = k.info.Min, k.info.Max
	return least, most, least <= most
}

// Values is the list of the only values that can be set, when there is one. It must not be changed.
func (k Knob) Values() []float64 {
	if k.info == nil {
		return nil
	}
	return k.info.Table
}

// Choices are the names that [Plan.Choose] takes, when the knob is a choice. They must not be changed.
func (k Knob) Choices() []string {
	if k.info == nil {
		return nil
	}
	return k.info.Choices
}

// In is v with the knob's unit, for a reason: policy.Act("set to ", knob.In(v)).
func (k Knob) In(v float64) Quantity { return Quantity{v, k.Unit()} }
