package adapter

import "math"

// Value is the position of a knob: a number in the knob's unit, or one of its choices.
type Value struct {
	Number float64
	Choice string // empty for a number
}

// Number is a value of a knob with a range.
func Number(n float64) Value { return Value{Number: n} }

// Choice is a value of a knob with choices.
func Choice(c string) Value { return Value{Choice: c} }

// Knob is one thing that can be turned. Make it with [Switch], [Range] or [Steps].
type Knob struct {
	Name    string // unique in the adapter, for example "relay/0"
	Summary string
	Unit    string // "W", "Hz", "%": a base unit where there is one

	Min, Max, Step float64   // of a range; Step 0 is any value
	Table          []float64 // the only values, ascending
	Choices        []string

	// Driver says what serves the knob now, for example a serial number. An old value is never written back to
	// something else. Empty is the adapter itself.
	Driver      string
	Conflict    string   // a key that knobs share which only one owner may turn at a time
	Affects     []string // knobs that the device moves along with this one
	ReadOnly    bool
	Unavailable string // why it can't be used at present; empty is usable
}

// Switch is a knob with choices.
func Switch(name string, choices ...string) Knob { return Knob{Name: name, Choices: choices} }

// Range is a knob with a number between two.
func Range(name, unit string, least, most float64) Knob {
	return Knob{Name: name, Unit: unit, Min: least, Max: most}
}

// Steps is a knob with a number out of a few.
func Steps(name, unit string, values ...float64) Knob {
	k := Knob{Name: name, Unit: unit, Table: values, Min: math.NaN(), Max: math.NaN()}
	if len(values) > 0 {
		k.Min, k.Max = values[0], values[len(values)-1]
	}
	return k
}
