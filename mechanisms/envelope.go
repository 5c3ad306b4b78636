package mechanisms

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"time"
)

// Envelope is what the operator permits, whoever asks. All rules that match a knob apply, the tightest bound wins.
// The zero Envelope permits whatever the hardware offers.
type Envelope struct {
	Rules []Rule `json:"rules,omitempty"`
}

// Rule bounds the knobs that it matches. Putting a knob back to its old value is never bound.
type Rule struct {
	Mechanism string        `json:"mechanism,omitempty"` // name, empty = all
	Knob      string        `json:"knob,omitempty"`      // path.Match pattern, empty = all
	Forbid    bool          `json:"forbid,omitempty"`    // never write it
	Min       *float64      `json:"min,omitempty"`       // in the knob's unit
	Max       *float64      `json:"max,omitempty"`
	MaxStep   float64       `json:"max_step,omitempty"` // the largest move of one command, in the knob's unit; 0 = any
	Choices   []string      `json:"choices,omitempty"`  // permitted ones, empty = all
	Every     time.Duration `json:"every,omitempty"`    // replaces the mechanism's pace
	Burst     int           `json:"burst,omitempty"`
	OnDrift   DriftPolicy   `json:"on_drift,omitempty"`
	Unit      string        `json:"unit,omitempty"`   // of Min, Max and MaxStep; empty = whatever the knob's is
	Reason    string        `json:"reason,omitempty"` // shown where the rule bites
}

// DriftPolicy says what happens when someone else moves a knob that we hold.
type DriftPolicy string

// The drift policies.
const (
	DriftReport   DriftPolicy = "report"   // say so, leave it, put the old value back at the end; the default
	DriftReassert DriftPolicy = "reassert" // write ours again
	DriftYield    DriftPolicy = "yield"    // let go of the knob and leave it where it is
)

// Validate reports everything that is wrong with the envelope.
func (e Envelope) Validate() error {
	var errs []error
	for i, r := range e.Rules {
		if why := r.problem(); why != "" {
			errs = append(errs, &Error{Code: CodeConfig, Op: fmt.Sprintf("read envelope rule %d", i+1), Why: why, Hint: "correct the rule; nothing is permitted until then"})
		}
	}
	return errors.Join(errs...)
}

func (r Rule) problem() string {
	_, badPattern := path.Match(r.Knob, "")
	switch {
	case badPattern != nil:
		return fmt.Sprintf("the pattern %q can't be read", r.Knob)
	case r.Min != nil && r.Max != nil && *r.Min > *r.Max:
		return fmt.Sprintf("min %v is above max %v", *r.Min, *r.Max)
	case r.Min != nil && !finite(*r.Min), r.Max != nil && !finite(*r.Max):
		return "min and max must be finite"
	case r.MaxStep < 0 || !finite(r.MaxStep):
		return "max_step must be zero or positive"
	case r.Every < 0 || r.Burst < 0:
		return "every and burst must be zero or positive"
	case !slices.Contains([]DriftPolicy{"", DriftReport, DriftReassert, DriftYield}, r.OnDrift):
		return fmt.Sprintf("%q is no drift policy; use report, reassert or yield", r.OnDrift)
	}
	return ""
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// bounds is the sum of the rules for one knob.
type bounds struct {
	forbid   bool
	lo, hi   float64
	maxStep  float64
	choices  []string // nil = all
	pace     *Pace
	drift    DriftPolicy
	reason   string // of the rule that forbids
	loReason string
	hiReason string
}

// of sums the rules up for one knob.
func (e Envelope) of(mechanism, knob string) bounds {
	b := bounds{lo: math.Inf(-1), hi: math.Inf(1), maxStep: math.Inf(1), drift: DriftReport}
	for _, r := range e.Rules {
		if r.matches(mechanism, knob) {
			b.add(r)
		}
	}
	return b
}

func (r Rule) matches(mechanism, knob string) bool {
	if r.Mechanism != "" && r.Mechanism != mechanism {
		return false
	}
	if r.Knob == "" {
		return true
	}
	ok, err := path.Match(r.Knob, knob)
	return err == nil && ok
}

func (b *bounds) add(r Rule) {
	if r.Forbid {
		b.forbid, b.reason = true, r.Reason
	}
	if r.Min != nil && *r.Min > b.lo {
		b.lo, b.loReason = *r.Min, r.Reason
	}
	if r.Max != nil && *r.Max < b.hi {
		b.hi, b.hiReason = *r.Max, r.Reason
	}
	if r.MaxStep > 0 {
		b.maxStep = min(b.maxStep, r.MaxStep)
	}
	if len(r.Choices) > 0 {
		b.choices = intersect(b.choices, r.Choices)
	}
	if r.Every > 0 || r.Burst > 0 {
		b.pace = &Pace{Every: r.Every, Burst: max(r.Burst, 1)}
	}
	if r.OnDrift != "" {
		b.drift = r.OnDrift
	}
}

func intersect(have, more []string) []string {
	if have == nil {
		return slices.Clone(more)
	}
	out := []string{}
	for _, c := range have {
		if slices.Contains(more, c) {
			out = append(out, c)
		}
	}
	return out
}

// admit returns the value that may be written in place of the one asked for, and why it differs.
func (b bounds) admit(k Knob, now, asked Value) (v Value, reason string, err error) {
	op := "set " + k.Name
	if b.forbid {
		return Value{}, "", &Error{Code: CodeForbidden, Op: op, Why: cmp.Or(b.reason, "the operator's envelope forbids this knob"), Hint: "ask whoever runs this machine to change the envelope"}
	}
	if k.Kind == KindChoice {
		return b.admitChoice(k, asked)
	}
	if now.IsChoice() {
		b.maxStep = math.Inf(1) // there is no distance from a word
	}
	lo, hi, reason := b.window(k, now.Number, asked.Number)
	n, ok := k.snap(asked.Number, lo, hi)
	if !ok && b.within(k, now.Number) && !now.IsChoice() {
		return now, cmp.Or(reason, "no permitted value lies nearer"), nil
	}
	if !ok {
		return Value{}, "", &Error{Code: CodeForbidden, Op: op, Why: fmt.Sprintf("the hardware has no value between %s and %s %s, where the envelope would permit it",
			Number(max(lo, k.Min)), Number(min(hi, k.Max)), k.Unit), Hint: "list the knob's options, or ask for a wider envelope"}
	}
	if n != asked.Number && reason == "" {
		reason = k.snapReason(asked.Number)
	}
	if n == asked.Number {
		reason = ""
	}
	return Number(n), reason, nil
}

func (b bounds) admitChoice(k Knob, asked Value) (Value, string, error) {
	if b.choices != nil && !slices.Contains(b.choices, asked.Choice) {
		return Value{}, "", &Error{Code: CodeForbidden, Op: "set " + k.Name, Why: fmt.Sprintf("the envelope does not permit %q", asked.Choice),
			Hint: fmt.Sprintf("permitted: %v", b.choices)}
	}
	return asked, "", nil
}

// window is where the value may lie: the operator's range, and within it as far as one step reaches from now.
func (b bounds) window(k Knob, now, asked float64) (lo, hi float64, reason string) {
	lo, hi = b.lo, b.hi
	if asked > hi {
		reason = cmp.Or(b.hiReason, fmt.Sprintf("the envelope permits at most %s %s", Number(hi), k.Unit))
	}
	if asked < lo {
		reason = cmp.Or(b.loReason, fmt.Sprintf("the envelope permits at least %s %s", Number(lo), k.Unit))
	}
	if math.IsInf(b.maxStep, 1) || !b.within(k, now) {
		return lo, hi, reason
	}
	if lo, hi = max(lo, now-b.maxStep), min(hi, now+b.maxStep); asked < lo || asked > hi {
		reason = cmp.Or(reason, fmt.Sprintf("the envelope permits steps of at most %s %s", Number(b.maxStep), k.Unit))
	}
	return lo, hi, reason
}

func (b bounds) within(k Knob, n float64) bool { return n >= b.lo && n <= b.hi }

// permits tells whether a value that is held already may stay.
func (b bounds) permits(v Value) bool {
	if b.forbid {
		return false
	}
	if v.IsChoice() {
		return b.choices == nil || slices.Contains(b.choices, v.Choice)
	}
	return v.Number >= b.lo && v.Number <= b.hi
}

func (k Knob) snapReason(asked float64) string {
	if asked > k.Max || asked < k.Min {
		return fmt.Sprintf("the hardware's range is %s to %s %s", Number(k.Min), Number(k.Max), k.Unit)
	}
	return "the nearest value that the hardware has"
}
