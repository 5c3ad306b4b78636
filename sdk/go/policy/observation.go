package policy

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Observation is what is known at one moment.
type Observation struct {
	m wasmabi.Observation

	values []float64 // by metric id; NaN where there is none
	placed []float64 // memory for values that have to be put in their places
}

// index finds the values' places once, so that Value is small enough to be inlined. As a rule every metric is there and in
// its own place.
func (o *Observation) index(metrics int) {
	o.values = o.m.Values
	for i, id := range o.m.IDs {
		if id != uint32(i) {
			o.place(metrics)
			return
		}
	}
}

func (o *Observation) place(metrics int) {
	o.placed = o.placed[:0]
	for range metrics {
		o.placed = append(o.placed, math.NaN())
	}
	for i, id := range o.m.IDs {
		if uint64(id) < uint64(metrics) {
			o.placed[id] = o.m.Values[i]
		}
	}
	o.values = o.placed
}

// Value is the metric's value, and whether there is one. It may be old: see [Observation.Age].
func (o *Observation) Value(m Metric) (float64, bool) {
	id := uint(m.number) - 1
	if id >= uint(len(o.values)) {
		return 0, false
	}
	v := o.values[id]
	return v, v == v
}

// Forever is the age of a metric that has no value.
const Forever = 1<<63 - 1

// Age is the time since the metric's sample was taken; Forever when there is none.
func (o *Observation) Age(m Metric) time.Duration {
	i := o.row(m)
	if i < 0 || o.m.AgesMS[i] == wasmabi.AgeMissing {
		return Forever
	}
	return time.Duration(o.m.AgesMS[i]) * time.Millisecond
}

// Fresh is Value, but only when the sample is at most age old.
func (o *Observation) Fresh(m Metric, age time.Duration) (float64, bool) {
	if o.Age(m) > age {
		return 0, false
	}
	return o.Value(m)
}

// row finds the metric's row: at its own id when all metrics are there, else by search.
func (o *Observation) row(m Metric) int {
	id, ok := m.id()
	if !ok {
		return -1
	}
	return find(o.m.IDs, id)
}

func find(ids []uint32, id uint32) int {
	if uint64(id) < uint64(len(ids)) && ids[id] == id {
		return int(id)
	}
	for i, v := range ids {
		if v == id {
			return i
		}
	}
	return -1
}

// Knob is the value in effect now, in the knob's unit, and whether it is known.
func (o *Observation) Knob(k Knob) (float64, bool) {
	if k.info == nil {
		return 0, false
	}
	i := find(o.m.KnobIDs, k.id)
	if i < 0 {
		return 0, false
	}
	v := o.m.KnobValues[i]
	return v, v == v
}

// Choice is the name in effect now, for a knob that is a choice, and whether it is known.
func (o *Observation) Choice(k Knob) (string, bool) {
	v, ok := o.Knob(k)
	if !ok || v < 0 || v >= float64(len(k.Choices())) {
		return "", false
	}
	return k.info.Choices[int(v)], true
}

// Seq counts the observations of this policy and asset.
func (o *Observation) Seq() uint64 { return o.m.Seq }

// Time is when the observation was made. It is the episode's clock, in UTC.
func (o *Observation) Time() time.Time { return time.Unix(0, o.m.TimeNS).UTC() }

// Woken reports whether a metric crossed a bound, rather than that the interval passed.
func (o *Observation) Woken() bool { return o.m.Trigger == wasmabi.TriggerWake }

// Manual reports whether a person asked for this episode.
func (o *Observation) Manual() bool { return o.m.Trigger == wasmabi.TriggerManual }
