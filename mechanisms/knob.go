package mechanisms

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// KnobKind says what positions a knob has.
type KnobKind string

// The kinds of knob.
const (
	KindNumber KnobKind = "number" // a number between Min and Max, perhaps from a Table
	KindChoice KnobKind = "choice" // one of Choices
)

// Knob describes one thing that can be turned, with its positions as the hardware offers them right now.
type Knob struct {
	Name    string    `json:"name"` // unique within the mechanism, for example "policy0/max_frequency"
	Summary string    `json:"summary,omitempty"`
	Kind    KnobKind  `json:"kind"`
	Unit    string    `json:"unit,omitempty"` // UCUM-like: "Hz", "W"; empty for choices
	Min     float64   `json:"min,omitempty"`
	Max     float64   `json:"max,omitempty"`
	Step    float64   `json:"step,omitempty"`  // 0 = any value in the range
	Table   []float64 `json:"table,omitempty"` // ascending; when present the only values the hardware has
	Choices []string  `json:"choices,omitempty"`

	// Driver names what serves the knob. A value remembered under another name is never written back.
	Driver string `json:"driver"`
	// Conflict is the key that knobs share which only one owner may turn at a time, and that pacing counts under.
	// Empty = Name: the knob conflicts with nothing but itself.
	Conflict string `json:"conflict,omitempty"`
	// Affects names knobs that the hardware may move along with this one; their old values are kept as well.
	Affects []string `json:"affects,omitempty"`
	// ReadOnly knobs are shown and never written.
	ReadOnly bool `json:"read_only,omitempty"`
	// Unavailable says why the knob can't be used at present (its CPUs are offline, ...). Empty = usable.
	Unavailable string `json:"unavailable,omitempty"`
}

// key is the conflict key.
func (k Knob) key() string {
	if k.Conflict != "" {
		return k.Conflict
	}
	return k.Name
}

// resolve turns the words "min" and "max" into numbers and refuses what the knob does not have at all. A number
// outside the range is no error here: the bounds are applied, visibly, by clamp.
func (k Knob) resolve(v Value) (Value, error) {
	if k.Kind == KindChoice {
		return k.resolveChoice(v)
	}
	switch strings.ToLower(v.Choice) {
	case "":
	case "min":
		return Number(k.Min), nil
	case "max":
		return Number(k.Max), nil
	default:
		return Value{}, &Error{Code: CodeOutOfRange, Op: "set " + k.Name, Why: fmt.Sprintf("%q is not a number", v.Choice),
			Hint: fmt.Sprintf("give a number in %s, or min or max", k.Unit)}
	}
	if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
		return Value{}, &Error{Code: CodeOutOfRange, Op: "set " + k.Name, Why: fmt.Sprintf("%v is not a finite number", v.Number),
			Hint: fmt.Sprintf("give a number in %s", k.Unit)}
	}
	return v, nil
}

func (k Knob) resolveChoice(v Value) (Value, error) {
	if v.IsChoice() && slices.Contains(k.Choices, v.Choice) {
		return v, nil
	}
	return Value{}, &Error{Code: CodeOutOfRange, Op: "set " + k.Name, Why: fmt.Sprintf("%q is not one of its choices", v),
		Hint: "choose one of: " + strings.Join(k.Choices, ", ")}
}

// snap returns the value nearest to n that the hardware has between lo and hi, and whether there is one.
func (k Knob) snap(n, lo, hi float64) (float64, bool) {
	lo, hi = max(lo, k.Min), min(hi, k.Max)
	if len(k.Table) > 0 {
		return nearest(k.Table, n, lo, hi)
	}
	if lo > hi {
		return 0, false
	}
	n = min(max(n, lo), hi)
	if k.Step <= 0 {
		return n, true
	}
	s := k.Min + math.Round((n-k.Min)/k.Step)*k.Step
	if s > hi {
		s -= k.Step
	}
	if s < lo {
		s += k.Step
	}
	return s, s >= lo && s <= hi
}

// nearest picks from an ascending table. Equality is not asked for because real tables hold odd values: a board
// that is said to run at 300 MHz lists 299999 kHz.
func nearest(table []float64, n, lo, hi float64) (best float64, ok bool) {
	for _, t := range table {
		if t < lo || t > hi {
			continue
		}
		if !ok || math.Abs(t-n) < math.Abs(best-n) {
			best, ok = t, true
		}
	}
	return best, ok
}
