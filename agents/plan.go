package agents

import (
	"strconv"
	"time"
)

// Verdict is the answer of an Analyze.
type Verdict struct {
	Plan   bool // a plan is wanted
	Why    string
	Next   time.Duration // the new interval; 0 keeps the old one
	Bounds []Bound       // the new bounds; nil keeps the old ones
}

// Verb says what an action does to its knob.
type Verb string

// The verbs.
const (
	Set   Verb = "set"
	Reset Verb = "reset" // give the knob back: the mechanism restores what it found
)

// AllKnobs, as the knob of a Reset, stands for every knob of the mechanism that
// the policy holds.
const AllKnobs = "*"

// Value is a number or, when Choice is not empty, one word of a closed list.
type Value struct {
	Number float64
	Choice string
}

// Number returns the value x.
func Number(x float64) Value { return Value{Number: x} }

// Choice returns the value that the word stands for.
func Choice(word string) Value { return Value{Choice: word} }

// String returns the word, or the number in its shortest form.
func (v Value) String() string {
	if v.Choice != "" {
		return v.Choice
	}
	return strconv.FormatFloat(v.Number, 'g', -1, 64)
}

// Action is one thing that a plan wants of one knob.
type Action struct {
	Mechanism string
	Knob      string
	Verb      Verb
	Value     Value // for Set
	Unit      string
	Lease     time.Duration // 0 takes the engine's default
}

// Plan is what a policy wants done.
type Plan struct {
	Why     string
	Actions []Action
	// Atomic asks that no action lands unless every one may: a plan whose
	// knobs only make sense together is discarded whole when it loses one.
	Atomic bool
}
