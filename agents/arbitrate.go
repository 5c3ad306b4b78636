package agents

import "fmt"

// Rule says what counts as a conflict between two plans of one cycle.
type Rule string

const (
	// PerKnob drops the actions of a later plan that touch a knob which an
	// earlier one touches; the rest of it lands.
	PerKnob Rule = "knob"
	// PerMechanism discards a later plan whole if it targets a mechanism that
	// an earlier one targets, as the original framework describes it.
	PerMechanism Rule = "mechanism"
)

// proposal is a plan that waits for its cycle.
type proposal struct {
	decision *Decision
	plan     Plan
}

// arbitrate decides between the plans of one cycle, which are in the order of
// their arrival. It is a pure function. Each action of each plan is either kept
// or lost; no two kept actions of different plans touch the same knob (or
// mechanism, under PerMechanism); a loss names a plan that is itself kept there.
func arbitrate(rule Rule, cycle uint64, queue []proposal) []Ruling {
	rulings := make([]Ruling, len(queue))
	for i, p := range queue {
		r := Ruling{Rule: rule, Cycle: cycle, Place: i}
		for _, a := range p.plan.Actions {
			if w := winner(rule, a, queue[:i], rulings[:i]); w != nil {
				r.Losses = append(r.Losses, loss(rule, a, w))
			} else {
				r.Kept = append(r.Kept, a)
			}
		}
		if len(r.Losses) > 0 && len(r.Kept) > 0 && (p.plan.Atomic || rule == PerMechanism) {
			r = loseAll(r, p.plan)
		}
		rulings[i] = r
	}
	return rulings
}

// winner returns the decision that has what a wants, or nil.
func winner(rule Rule, a Action, earlier []proposal, rulings []Ruling) *Decision {
	for i, r := range rulings {
		for _, kept := range r.Kept {
			if kept.overlaps(a) || rule == PerMechanism && kept.Mechanism == a.Mechanism {
				return earlier[i].decision
			}
		}
	}
	return nil
}

func loss(rule Rule, a Action, w *Decision) Loss {
	subject := "knob " + a.Knob + " of " + a.Mechanism
	if rule == PerMechanism {
		subject = "mechanism " + a.Mechanism
	}
	return Loss{
		Action: a, Winner: w.ID, By: w.Key,
		Why: fmt.Sprintf("%s went to the plan of %s, which came first in this cycle", subject, w.Key),
	}
}

// loseAll discards a plan that can't land in part. The actions that would have
// been kept name the winner of the first that was not.
func loseAll(r Ruling, p Plan) Ruling {
	first := r.Losses[0]
	why := "the plan is atomic and lost " + first.Action.Knob + " to " + first.By.String()
	if !p.Atomic {
		why = "the plan was discarded whole: it lost mechanism " + first.Action.Mechanism + " to " + first.By.String()
	}
	for _, a := range r.Kept {
		r.Losses = append(r.Losses, Loss{Action: a, Winner: first.Winner, By: first.By, Why: why})
	}
	r.Kept = nil
	return r
}
