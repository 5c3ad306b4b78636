package agents

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"
)

// Binding puts a version of a policy in charge of an asset.
type Binding struct {
	Key      Key
	Version  string
	Module   string // digest
	Policy   Policy
	Interval time.Duration // between periodic episodes; 0: one at the start, then only wakes and requests
	Bounds   []Bound       // that wake it
	Grants   []Grant       // what its plans may ask for; nil allows nothing
	Priority int
	UsesML   bool
	Schema   uint32 // of the contexts that it writes
}

// Grant allows verbs on the knobs of one mechanism.
type Grant struct {
	Mechanism string
	Verbs     []Verb   // nil: all
	Knobs     []string // patterns as of path.Match, "*" alone matching all; nil: all
}

// Validate reports everything that is wrong with the binding.
func (b Binding) Validate() error {
	var errs []error
	if b.Key.Policy == "" || b.Key.Asset == "" {
		errs = append(errs, errors.New("policy and asset need names"))
	}
	if b.Policy == nil {
		errs = append(errs, errors.New("no Policy"))
	}
	if b.Interval < 0 {
		errs = append(errs, fmt.Errorf("interval %v is negative", b.Interval))
	}
	for _, g := range b.Grants {
		for _, p := range g.Knobs {
			if _, err := path.Match(p, ""); err != nil {
				errs = append(errs, fmt.Errorf("grant of %s: pattern %q: %w", g.Mechanism, p, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (b Binding) granted(a Action) bool {
	return slices.ContainsFunc(b.Grants, func(g Grant) bool { return g.covers(a) })
}

func (g Grant) covers(a Action) bool {
	if g.Mechanism != a.Mechanism || g.Verbs != nil && !slices.Contains(g.Verbs, a.Verb) {
		return false
	}
	if g.Knobs == nil || a.Knob == AllKnobs {
		return true
	}
	return slices.ContainsFunc(g.Knobs, func(p string) bool {
		ok, _ := path.Match(p, a.Knob)
		return ok || p == "*"
	})
}

// check refuses a plan that the mechanisms must never see.
func (b Binding) check(p Plan, maxActions int) error {
	refuse := func(code, why, hint string) error {
		return &Error{Code: code, What: "check the plan of " + b.Key.String(), Why: why, Hint: hint}
	}
	if len(p.Actions) > maxActions {
		return refuse("plan.too-large", fmt.Sprintf("%d actions, %d are allowed", len(p.Actions), maxActions),
			"plan fewer actions at a time")
	}
	for i, a := range p.Actions {
		if why := a.malformed(); why != "" {
			return refuse("plan.malformed", fmt.Sprintf("action %d: %s", i, why), "correct the policy's Plan")
		}
		if !b.granted(a) {
			return refuse("plan.not-granted", fmt.Sprintf("%s %s of %s is not granted", a.Verb, a.Knob, a.Mechanism),
				"ask for it in the policy's manifest and have the operator allow it")
		}
		for _, earlier := range p.Actions[:i] {
			if earlier.overlaps(a) {
				return refuse("plan.contradicts-itself", fmt.Sprintf("%s of %s is named twice", a.Knob, a.Mechanism),
					"name each knob once in a plan")
			}
		}
	}
	return nil
}

func (a Action) malformed() string {
	switch {
	case a.Mechanism == "" || a.Knob == "":
		return "mechanism or knob is empty"
	case a.Verb != Set && a.Verb != Reset:
		return fmt.Sprintf("verb %q is unknown", a.Verb)
	case a.Verb == Set && a.Knob == AllKnobs:
		return "set needs one knob"
	case a.Verb == Set && a.Value.Choice == "" && !finite(a.Value.Number):
		return fmt.Sprintf("%s can't be set to %v", a.Knob, a.Value.Number)
	case a.Lease < 0:
		return "negative lease"
	}
	return ""
}

// overlaps reports that two actions touch the same knob.
func (a Action) overlaps(b Action) bool {
	return a.Mechanism == b.Mechanism && (a.Knob == b.Knob || a.Knob == AllKnobs || b.Knob == AllKnobs)
}

func finite(x float64) bool { return x-x == 0 }
