package agents

import (
	"fmt"
	"slices"
	"time"
)

// Role is what a version was to a pass in which two took part.
type Role string

// The roles.
const (
	Canary Role = "canary" // it decided in place of the version in charge
	Shadow Role = "shadow" // it ran on the same input, and nobody acted on it
)

// Part says which part the deciding version of a decision had in a pass that two versions ran.
type Part struct {
	Rollout  string // its id
	Role     Role
	Other    string // the other version
	Decision string // the one that counted, where this one did not
	// Wanted is what a canary planned where it was allowed less; Narrowed says of what, and why.
	Wanted   *Plan    `cbor:",omitempty"`
	Narrowed []string `cbor:",omitempty"`
	// Difference says, of a shadow, how it differs from the decision that counted.
	Difference string
}

// Contest is what two versions made of one pass.
type Contest struct {
	Key     Key
	Rollout string
	Decided Decision  // what was acted on, in its final form
	Other   *Decision // what the other version made of the same input; nil if it did not run
	Skipped Skip      // why it did not
	// Failed is what a canary came to that failed in a pass that it was to decide; Decided is then of the version in charge.
	Failed *Decision
}

// Skip says why a contender did not run on a pass.
type Skip string

// The reasons.
const (
	OverBudget Skip = "budget" // its share of the time is used up
	QueueFull  Skip = "queue"  // it is behind by as many passes as may wait
	Busy       Skip = "busy"   // it was to decide, and was not at hand; the version in charge decided
	NotCounted Skip = "end"    // the loop was stopped
)

// Difference says in words how two decisions on the same input differ in what they would do; empty if they don't. What they
// say about their reasons, and when they want to look again, is not compared.
func Difference(a, b *Decision) string {
	switch {
	case a.Failure != nil && b.Failure != nil:
		return ""
	case a.Failure != nil:
		return fmt.Sprintf("version %s failed: %s", a.Version, a.Failure.Message)
	case b.Failure != nil:
		return fmt.Sprintf("version %s failed: %s", b.Version, b.Failure.Message)
	case a.Verdict.Plan != b.Verdict.Plan && len(a.intent())+len(b.intent()) > 0:
		who, other := a, b
		if b.Verdict.Plan {
			who, other = b, a
		}
		return fmt.Sprintf("version %s saw a reason to plan, version %s did not", who.Version, other.Version)
	}
	return differentPlans(a, b)
}

// intent is what a decision would have done if nobody had narrowed it.
func (d *Decision) intent() []Action {
	switch {
	case d.Part != nil && d.Part.Wanted != nil:
		return d.Part.Wanted.Actions
	case d.Plan != nil:
		return d.Plan.Actions
	}
	return nil
}

type aim struct{ mechanism, knob string }

func differentPlans(a, b *Decision) string {
	mine, theirs := aims(a), aims(b)
	for _, x := range slices.Concat(a.intent(), b.intent()) { // in the plans' order, so that the answer is always the same
		k := aim{x.Mechanism, x.Knob}
		m, inMine := mine[k]
		t, inTheirs := theirs[k]
		if inMine == inTheirs && m.Verb == t.Verb && m.Value == t.Value {
			continue
		}
		return fmt.Sprintf("%s of %s: version %s %s, version %s %s", x.Knob, x.Mechanism,
			a.Version, wants(m, inMine), b.Version, wants(t, inTheirs))
	}
	return ""
}

func aims(d *Decision) map[aim]Action {
	m := map[aim]Action{}
	for _, x := range d.intent() {
		m[aim{x.Mechanism, x.Knob}] = x
	}
	return m
}

func wants(a Action, has bool) string {
	switch {
	case !has:
		return "leaves it"
	case a.Verb == Reset:
		return "gives it back"
	case a.Unit == "":
		return "sets it to " + a.Value.String()
	}
	return "sets it to " + a.Value.String() + " " + a.Unit
}

// Took is the time that a decision spent in its policy.
func (p Phases) Took() time.Duration { return p.Begin + p.Analyze + p.Plan + p.End }
