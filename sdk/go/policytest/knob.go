package policytest

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Kind describes a knob's values. Make it with Range, Table or Choice.
type Kind struct{ info wasmabi.KnobInfo }

// Range is a number between least and most.
func Range(least, most float64, unit string) Kind {
	return Kind{wasmabi.KnobInfo{Kind: wasmabi.KnobNumber, Min: least, Max: most, Step: math.NaN(), Unit: unit}}
}

// Table is a number out of a list.
func Table(unit string, values ...float64) Kind {
	k := Kind{wasmabi.KnobInfo{Kind: wasmabi.KnobNumber, Step: math.NaN(), Unit: unit, Table: values}}
	k.info.Min, k.info.Max = values[0], values[0]
	for _, v := range values {
		k.info.Min, k.info.Max = min(k.info.Min, v), max(k.info.Max, v)
	}
	return k
}

// Choice is one of some names.
func Choice(names ...string) Kind {
	nan := math.NaN()
	return Kind{wasmabi.KnobInfo{Kind: wasmabi.KnobChoice, Min: nan, Max: nan, Step: nan, Choices: names}}
}

// knob is a knob's state.
type knob struct {
	value, original float64
	expires         time.Time // zero: no lease
}

func (k *knob) expire(now time.Time) {
	if !k.expires.IsZero() && !now.Before(k.expires) {
		k.value, k.expires = k.original, time.Time{}
	}
}

// Knob declares a granted knob. It starts at its smallest value, or its first choice.
func (n *Node) Knob(mechanism, name string, kind Kind) {
	info := kind.info
	info.Name, info.Mechanism = name, n.mechanism(mechanism)
	start := info.Min
	if info.Kind == wasmabi.KnobChoice {
		start = 0
	}
	n.init.Knobs = append(n.init.Knobs, info)
	n.knobs = append(n.knobs, knob{value: start, original: start})
}
