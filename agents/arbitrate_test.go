package agents

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawPlan(t *rapid.T, n int) Plan {
	knob := rapid.SampledFrom([]string{"a", "b", "c"})
	p := Plan{Atomic: rapid.Bool().Draw(t, "atomic")}
	for range rapid.IntRange(1, 4).Draw(t, fmt.Sprint("actions of ", n)) {
		a := Action{Mechanism: rapid.SampledFrom([]string{"cpu", "gpu"}).Draw(t, "mechanism"), Knob: knob.Draw(t, "knob"), Verb: Set}
		if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
			a.Verb, a.Knob = Reset, AllKnobs
		}
		if !slices.ContainsFunc(p.Actions, a.overlaps) { // check refuses those
			p.Actions = append(p.Actions, a)
		}
	}
	return p
}

func drawQueue(t *rapid.T) []*pending {
	var queue []*pending
	for n := range rapid.IntRange(1, 6).Draw(t, "plans") {
		plan := drawPlan(t, n)
		d := &Decision{ID: fmt.Sprintf("d%d", n), Key: Key{fmt.Sprintf("p%d", n), Node}, Plan: &plan, Outcome: Open}
		queue = append(queue, &pending{proposal: proposal{d, plan}, done: make(chan struct{})})
	}
	return queue
}

// conflict is what the rules say, in the plainest words.
func conflict(r Rule, a, b Action) bool {
	if a.Mechanism != b.Mechanism {
		return false
	}
	return r == PerMechanism || a.Knob == b.Knob || a.Knob == AllKnobs || b.Knob == AllKnobs
}

func TestArbitrationModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom([]Rule{PerKnob, PerMechanism}).Draw(t, "rule")
		var queue []proposal
		for _, p := range drawQueue(t) {
			queue = append(queue, p.proposal)
		}
		rulings := arbitrate(rule, 7, queue)
		for i, r := range rulings {
			checkRuling(t, rule, queue, rulings, i)
			if r.Cycle != 7 || r.Place != i || r.Rule != rule {
				t.Fatalf("ruling %d: %+v", i, r)
			}
		}
		if len(rulings[0].Losses) > 0 {
			t.Fatal("the first plan lost something")
		}
	})
}

func checkRuling(t *rapid.T, rule Rule, queue []proposal, rulings []Ruling, i int) {
	plan, r := queue[i].plan, rulings[i]
	if len(r.Kept)+len(r.Losses) != len(plan.Actions) {
		t.Fatalf("plan %d has %d actions, %d kept, %d lost", i, len(plan.Actions), len(r.Kept), len(r.Losses))
	}
	whole := plan.Atomic || rule == PerMechanism
	if whole && len(r.Kept) > 0 && len(r.Losses) > 0 {
		t.Fatalf("plan %d landed in part", i)
	}
	taken := func(a Action) (by string) {
		for j := range i {
			if slices.ContainsFunc(rulings[j].Kept, func(k Action) bool { return conflict(rule, k, a) }) {
				return queue[j].decision.ID
			}
		}
		return ""
	}
	for _, a := range r.Kept {
		if by := taken(a); by != "" {
			t.Fatalf("plan %d keeps %v, which %s has", i, a, by)
		}
	}
	for _, l := range r.Losses {
		if by := taken(l.Action); by != l.Winner && (by != "" || !whole) {
			t.Fatalf("plan %d lost %v to %q, %q has it", i, l.Action, l.Winner, by)
		}
		if l.Why == "" || l.Winner == "" {
			t.Fatalf("loss without a reason: %+v", l)
		}
	}
}

// A whole cycle, with mechanisms that refuse and fail as they like.
func TestCycleModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.apply = func(c Command) Result {
			e := rapid.SampledFrom([]Effect{Applied, Clamped, Unchanged, Refused, Broken, Undone, PartlyUndone}).Draw(t, "effect")
			return Result{Effect: e, Message: "so it is"}
		}
		c := w.config()
		c.Rule = rapid.SampledFrom([]Rule{PerKnob, PerMechanism}).Draw(t, "rule")
		e, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		queue := drawQueue(t)
		for _, p := range queue {
			p.ctx, p.queued = t.Context(), time.Now()
		}
		e.cycle(1, queue)
		owner := make(map[knobName]string)
		order := -1
		for _, c := range w.commands {
			at := slices.IndexFunc(queue, func(p *pending) bool { return p.decision.ID == c.Decision })
			if at < order {
				t.Fatal("plans were not applied in the order of their arrival")
			}
			order = at
			for _, s := range c.Settings {
				k := knobName{c.Mechanism, s.Knob}
				if o, ok := owner[k]; ok && o != c.Decision {
					t.Fatalf("%v was touched by %s and %s in one cycle", k, o, c.Decision)
				}
				owner[k] = c.Decision
			}
		}
		for _, p := range queue {
			checkOutcome(t, p)
		}
	})
}

func checkOutcome(t *rapid.T, p *pending) {
	select {
	case <-p.done:
	default:
		t.Fatal("a plan was not answered")
	}
	d := p.decision
	done := 0
	for _, r := range d.Results {
		if r.Effect.Done() {
			done++
		}
	}
	ok := false
	switch d.Outcome {
	case Landed:
		ok = done == len(d.Results) && len(d.Ruling.Losses) == 0
	case PartlyLanded:
		ok = done > 0 && d.Reason != "" && (done < len(d.Results) || len(d.Ruling.Losses) > 0)
	case Discarded:
		ok = len(d.Results) == 0 && !p.begun && d.Ruling.Losses[0].Winner != ""
	case RefusedByAll, Failed:
		ok = done == 0 && len(d.Results) > 0 && d.Reason != ""
	}
	if !ok {
		t.Fatalf("outcome %s: %+v", d.Outcome, d)
	}
}
