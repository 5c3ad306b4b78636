package decision

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents"
)

// Explanation tells a person who has never heard of policies what was decided
// and why. The decision itself has the same facts for programs.
type Explanation struct {
	ID       string
	Summary  string // one sentence
	Sections []Section
}

// Section is a part of an explanation, under a heading that is a question.
type Section struct {
	Key       string // stable: "rollout", "trigger", "observation", "verdict", "plan", "arbitration", "results", "failure", "origin"
	Heading   string
	Sentences []string
}

// Explain puts a decision into words. Sections with nothing to tell are left
// out.
func Explain(d agents.Decision) Explanation {
	e := Explanation{ID: d.ID, Summary: summary(d)}
	for _, s := range []Section{
		{"rollout", "Which version's turn was it?", rolledOut(d)},
		{"trigger", "What started it?", triggered(d)},
		{"observation", "What did the policy see?", seen(d.Observation)},
		{"verdict", "What did it make of that?", judged(d)},
		{"plan", "What did it want done?", planned(d)},
		{"arbitration", "Was something in its way?", ruled(d)},
		{"results", "What was done?", done(d)},
		{"failure", "What went wrong?", failed(d)},
		{"origin", "Which code decided, and how long did it take?", origin(d)},
	} {
		if len(s.Sentences) > 0 {
			e.Sections = append(e.Sections, s)
		}
	}
	return e
}

// String is the explanation as plain text.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Summary)
	for _, s := range e.Sections {
		b.WriteString("\n\n" + s.Heading)
		for _, line := range s.Sentences {
			b.WriteString("\n  " + line)
		}
	}
	return b.String() + "\n"
}

func summary(d agents.Decision) string {
	who := "On " + d.Time.UTC().Format("2 January 2006 at 15:04:05 UTC") + ", policy " + d.Key.Policy
	because := ""
	if d.Verdict.Why != "" {
		because = ", because of this: " + quote(d.Verdict.Why)
	}
	switch d.Outcome {
	case agents.NoPlan:
		return who + " looked and saw no need to change anything" + because + dot(because) + repeated(d)
	case agents.Landed, agents.PartlyLanded:
		return who + " had " + changes(d) + because + dot(because)
	case agents.Discarded:
		return who + " wanted " + wishes(d) + ", but nothing was done: " + d.Reason + dot(d.Reason)
	case agents.RefusedByAll:
		return who + " wanted " + wishes(d) + ", and was refused: " + d.Reason + dot(d.Reason)
	case agents.Interrupted:
		return who + " wanted " + wishes(d) + "; the agent stopped before it knew the result."
	case agents.Shadowed:
		return who + " would have had " + wishes(d) + " if version " + d.Version + " had decided; nobody acted on it."
	case agents.Open:
		return who + " wants " + wishes(d) + "; it is being done."
	}
	return who + " decided nothing that could be used: something failed."
}

func repeated(d agents.Decision) string {
	if d.Repeated == 0 {
		return ""
	}
	return fmt.Sprintf(" The same happened %d more times, which were counted and not kept.", d.Repeated)
}

// changes names what was changed, at most three knobs of it.
func changes(d agents.Decision) string {
	var parts []string
	for _, r := range d.Results {
		for _, c := range r.Changes {
			if r.Effect.Done() {
				parts = append(parts, fmt.Sprintf("%s set to %s", knobName(r.Mechanism, c.Knob), quantity(c.Effective, c.Unit)))
			}
		}
		if r.Effect.Done() && len(r.Changes) == 0 {
			parts = append(parts, r.Mechanism+" changed")
		}
	}
	return enumerate(parts)
}

func wishes(d agents.Decision) string {
	if d.Plan == nil {
		return "nothing"
	}
	var parts []string
	for _, a := range d.Plan.Actions {
		parts = append(parts, wish(a))
	}
	return enumerate(parts)
}

func wish(a agents.Action) string {
	switch {
	case a.Verb == agents.Reset && a.Knob == agents.AllKnobs:
		return "everything of " + a.Mechanism + " given back"
	case a.Verb == agents.Reset:
		return knobName(a.Mechanism, a.Knob) + " given back"
	}
	return knobName(a.Mechanism, a.Knob) + " set to " + quantity(a.Value, a.Unit)
}

func rolledOut(d agents.Decision) (lines []string) {
	p := d.Part
	switch {
	case p == nil:
		return nil
	case p.Role == agents.Canary && p.Decision != "":
		lines = append(lines, fmt.Sprintf("Version %s's, as a canary of rollout %s, and it failed. Version %s decided in its place: decision %s.",
			d.Version, p.Rollout, p.Other, p.Decision))
	case p.Role == agents.Canary:
		lines = append(lines, fmt.Sprintf("Version %s's, as a canary of rollout %s, which decides a share of the looks. The others are version %s's.",
			d.Version, p.Rollout, p.Other))
	default:
		lines = append(lines, fmt.Sprintf("Version %s's: decision %s. For rollout %s, version %s ran on the same input, and nobody acted on it.",
			p.Other, p.Decision, p.Rollout, d.Version))
	}
	if p.Difference != "" {
		lines = append(lines, "The two differ: "+p.Difference+dot(p.Difference))
	}
	for _, n := range p.Narrowed {
		lines = append(lines, "A canary may not do everything at once: "+n+dot(n))
	}
	return lines
}

func triggered(d agents.Decision) []string {
	switch t := d.Trigger; {
	case t.Kind == agents.Manual:
		return []string{t.By + " asked for it."}
	case t.Kind == agents.Wake && t.Crossing != nil:
		return []string{crossed(*t.Crossing) + " The policy had asked to be woken then, so it ran at once."}
	}
	return []string{"Nothing in particular: the policy looks at regular intervals, and it was time."}
}

func crossed(c agents.Crossing) string {
	b := c.Bound
	value := quantity(agents.Number(c.Value), b.Unit)
	if c.Value > b.Above {
		return fmt.Sprintf("The metric %s rose above %s: it was %s.", b.Metric, quantity(agents.Number(b.Above), b.Unit), value)
	}
	return fmt.Sprintf("The metric %s fell below %s: it was %s.", b.Metric, quantity(agents.Number(b.Below), b.Unit), value)
}

func seen(o agents.Observation) (lines []string) {
	for _, r := range o.Readings {
		if r.Missing() {
			lines = append(lines, fmt.Sprintf("%s had no value: nothing has reported it.", r.Name))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s was %s%s.", r.Name, quantity(agents.Number(r.Value), r.Unit), age(r.Age)))
	}
	for _, k := range o.Knobs {
		lines = append(lines, fmt.Sprintf("%s stood at %s.", knobName(k.Mechanism, k.Knob), quantity(k.Value, k.Unit)))
	}
	return lines
}

func age(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return ", measured " + d.Round(time.Second).String() + " before"
}

func judged(d agents.Decision) []string {
	if f := d.Failure; f != nil && d.Plan == nil && !d.Verdict.Plan {
		return nil
	}
	s := "It saw no need to change anything"
	if d.Verdict.Plan {
		s = "It found that something should be changed"
	}
	if d.Verdict.Why != "" {
		s += ", and said why: " + quote(d.Verdict.Why)
	}
	lines := []string{s + dot(s)}
	if d.Verdict.Next > 0 {
		lines = append(lines, fmt.Sprintf("It asked to look again every %v.", d.Verdict.Next))
	}
	return lines
}

func planned(d agents.Decision) (lines []string) {
	if d.Plan == nil {
		return nil
	}
	for _, a := range d.Plan.Actions {
		lines = append(lines, "To have "+wish(a)+".")
	}
	if d.Plan.Why != "" {
		lines = append(lines, "Its reason: "+quote(d.Plan.Why)+dot(d.Plan.Why))
	}
	if d.Plan.Atomic {
		lines = append(lines, "It wanted all of that or nothing.")
	}
	return lines
}

func ruled(d agents.Decision) (lines []string) {
	for _, l := range d.Ruling.Losses {
		lines = append(lines, fmt.Sprintf("Dropped: %s. Reason: %s. The winner is decision %s.", wish(l.Action), l.Why, l.Winner))
	}
	if len(lines) > 0 && len(d.Ruling.Kept) > 0 {
		lines = append(lines, "The rest of the plan was carried out.")
	}
	return lines
}

func done(d agents.Decision) (lines []string) {
	for _, r := range d.Results {
		for _, c := range r.Changes {
			lines = append(lines, change(r, c))
		}
		if !r.Effect.Done() {
			lines = append(lines, notDone(r))
		}
		if r.Lease != "" && r.Effect.Done() && r.Verb == agents.Set {
			lines = append(lines, fmt.Sprintf("%s will go back by itself when the policy no longer asks for this (lease %s).", r.Mechanism, r.Lease))
		}
	}
	return lines
}

func change(r agents.Result, c agents.Change) string {
	name := knobName(r.Mechanism, c.Knob)
	why := ""
	if c.Reason != "" {
		why = " (" + c.Reason + ")"
	}
	switch {
	case !r.Effect.Done():
		return fmt.Sprintf("%s was to go from %s to %s%s.", name, quantity(c.Old, c.Unit), quantity(c.Requested, c.Unit), why)
	case c.Old == c.Effective:
		return fmt.Sprintf("%s stayed at %s%s.", name, quantity(c.Effective, c.Unit), why)
	case r.Verb == agents.Set && c.Effective != c.Requested:
		return fmt.Sprintf("%s went from %s to %s, although %s was asked for%s.", name, quantity(c.Old, c.Unit),
			quantity(c.Effective, c.Unit), quantity(c.Requested, c.Unit), why)
	}
	return fmt.Sprintf("%s went from %s to %s%s.", name, quantity(c.Old, c.Unit), quantity(c.Effective, c.Unit), why)
}

func notDone(r agents.Result) string {
	how := map[agents.Effect]string{
		agents.Refused: "refused, and nothing was touched", agents.Undone: "failed half way, and was taken back",
		agents.PartlyUndone: "failed half way, and was taken back as far as possible; the rest is tried again",
		agents.Unfinished:   "may or may not have acted",
	}[r.Effect]
	if how == "" {
		how = "failed"
	}
	s := r.Mechanism + " " + how
	if r.Message != "" {
		s += ": " + r.Message
	}
	s += dot(s)
	if r.Hint != "" {
		s += " What to do: " + r.Hint + dot(r.Hint)
	}
	return s
}

func failed(d agents.Decision) []string {
	f := d.Failure
	if f == nil {
		return nil
	}
	where := map[string]string{
		"observe": "Its metrics could not be read", "begin": "The policy could not be started", "analyze": "The policy failed while it analysed",
		"plan": "The policy's plan could not be used", "end": "The policy failed while it put away what it remembers",
		"log": "The decision could not be written down, and what can't be written down is not done",
	}[f.Phase]
	lines := []string{where + ": " + f.Message + dot(f.Message)}
	if f.Hint != "" {
		lines = append(lines, "What to do: "+f.Hint+dot(f.Hint))
	}
	return append(lines, "The code of this failure is "+f.Code+".")
}

func origin(d agents.Decision) []string {
	p := d.Phases
	lines := []string{
		fmt.Sprintf("Policy %s, version %s, module %s, for asset %s, in %s mode.", d.Key.Policy, d.Version, d.Module, d.Key.Asset, d.Mode),
		fmt.Sprintf("It used %d units of fuel.", d.Fuel),
		fmt.Sprintf("Time: %v waiting, %v observing, %v in the policy, %v queued, %v writing this down, %v acting.",
			p.Wait, p.Observe, p.Begin+p.Analyze+p.Plan+p.End, p.Queue, p.Log, p.Apply),
		"Trace " + d.TraceID + ".",
	}
	if len(d.Record) > 0 {
		lines = append(lines, "It was recorded, and can be replayed, also with another version of the policy.")
	}
	return lines
}
