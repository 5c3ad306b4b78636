package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// headline says in one sentence how a rollout stands.
func headline(r api.Rollout) string {
	name := r.Policy + " " + r.Version
	switch {
	case r.Outcome == api.RolloutSucceeded:
		return name + " decides and has come through its probation."
	case r.Outcome == api.RolloutUndone:
		return fmt.Sprintf("%s is the standby again, %s decides.", name, r.ActiveVersion)
	case r.Over && r.Halted:
		return fmt.Sprintf("%s did not stay (%s), and there was no version to go back to: the policy stands still.", name, r.Outcome)
	case r.Over:
		return fmt.Sprintf("%s did not stay (%s), %s decides%s.", name, r.Outcome, orNobody(r.ActiveVersion), because(strings.TrimSuffix(r.Why, ".")))
	case r.Phase == api.RolloutActive:
		return fmt.Sprintf("%s decides, on probation; %s is the standby.", name, orNobody(r.StandbyVersion))
	}
	return fmt.Sprintf("%s is being rolled out (%s), %s decides.", name, phaseWords(r), orNobody(r.ActiveVersion))
}

func orNobody(version string) string {
	if version == "" {
		return "no version"
	}
	return version
}

// phaseWords is the phase with what a person should know of it.
func phaseWords(r api.Rollout) string {
	switch {
	case r.Doing != "":
		return string(r.Phase) + ", " + map[string]string{"activate": "being activated", "roll-back": "going back"}[r.Doing]
	case r.Paused:
		return string(r.Phase) + ", paused"
	case r.Held:
		return string(r.Phase) + ", held down"
	}
	return string(r.Phase)
}

func describeRollout(d *cli.Details, r api.Rollout, now time.Time) {
	for _, line := range tree(r, now) {
		d.Text("%s", line)
	}
	if len(r.History) > 0 {
		d.Heading("History")
		for _, e := range r.History {
			d.Line("%s", historyLine(e))
		}
	}
}

// historyLine is one step: when, what, and if known who and why.
func historyLine(e api.RolloutEntry) string {
	line := fmt.Sprintf("%s  %-10s -> %s", timestamp(e.At), e.Event, e.Phase)
	if e.By != "" {
		line += ", by " + e.By
	}
	return line + because(e.Why)
}

// marks says how a step stands.
var marks = map[api.RolloutStepState]string{
	api.StepDone: "✓", api.StepCurrent: "▸", api.StepWaiting: "·", api.StepSkipped: "-", api.StepFailed: "✗",
}

// tree draws a rollout: a line for each phase, below the present one its gates and its goal.
func tree(r api.Rollout, now time.Time) (lines []string) {
	lines = append(lines, headline(r))
	for i, step := range r.Steps {
		branch, stem := "├ ", "│ "
		if i == len(r.Steps)-1 {
			branch, stem = "└ ", "  "
		}
		line := branch + marks[step.State] + " " + fmt.Sprintf("%-9s", step.Phase)
		if words := stepWords(r, step, now); words != "" {
			line += "  " + words
		}
		lines = append(lines, strings.TrimRight(line, " "))
		if step.State == api.StepCurrent || step.State == api.StepFailed {
			for _, below := range belowStep(r, step) {
				lines = append(lines, stem+"    "+below)
			}
		}
	}
	return lines
}

// stepWords says how long a step took or has left, and what was measured.
func stepWords(r api.Rollout, step api.RolloutStep, now time.Time) string {
	var words []string
	switch {
	case step.State == api.StepCurrent && r.Doing == "activate":
		words = append(words, "being activated")
	case step.State == api.StepCurrent && r.Doing == "roll-back":
		words = append(words, "going back")
	case step.State == api.StepCurrent && r.Paused:
		words = append(words, "paused")
	case step.State == api.StepCurrent && r.Held:
		words = append(words, "held down, "+left(r.Ends, now))
	case step.State == api.StepCurrent && !r.Ends.IsZero():
		words = append(words, left(r.Ends, now))
	case step.State == api.StepDone && !step.Ended.IsZero() && step.Ended.Sub(step.Began) >= time.Second:
		words = append(words, step.Ended.Sub(step.Began).Round(time.Second).String())
	}
	return strings.Join(append(words, statsWords(step)...), ", ")
}

func left(ends, now time.Time) string {
	if d := ends.Sub(now); d > 0 {
		return max(time.Second, d.Round(time.Second)).String() + " left"
	}
	return "its time is up"
}

func statsWords(step api.RolloutStep) (words []string) {
	s := step.Stats
	if s == nil {
		return nil
	}
	words = append(words, count(s.Passes)+" passes")
	if s.Dropped > 0 {
		words = append(words, count(s.Dropped)+" dropped")
	}
	if s.Compared > 0 {
		words = append(words, percent(s.Divergence)+" differ")
	}
	if failed := s.Traps + s.Limits + s.GuestErrors; failed > 0 {
		words = append(words, fmt.Sprintf("%d failed (%d traps, %d limits, %d errors)", failed, s.Traps, s.Limits, s.GuestErrors))
	}
	if s.FuelRatio > 0 {
		words = append(words, fmt.Sprintf("fuel x%.2f", s.FuelRatio))
	}
	if s.P99NextUS > 0 {
		words = append(words, "p99 "+microseconds(s.P99NextUS)+versus(s.P99LiveUS))
	}
	return words
}

func versus(liveUS uint64) string {
	if liveUS == 0 {
		return ""
	}
	return " against " + microseconds(liveUS)
}

// belowStep lists gates, goal and what is still missing or went wrong.
func belowStep(r api.Rollout, step api.RolloutStep) (lines []string) {
	measured := step.Phase == api.RolloutShadow || step.Phase == api.RolloutCanary || step.Phase == api.RolloutActive
	if measured {
		for _, g := range r.Gates {
			lines = append(lines, gateLine(g))
		}
		if r.Goal != nil {
			lines = append(lines, goalLine(*r.Goal))
		}
	}
	switch {
	case step.State == api.StepCurrent && r.Held:
		lines = append(lines, "it was rolled back before; edgehold policy rollout resume "+r.Policy+" ends the hold-down")
	case step.State == api.StepFailed && r.Cause != "":
		lines = append(lines, r.Cause+because(r.Why))
	case step.State == api.StepCurrent && r.Waits != "":
		lines = append(lines, "still needed: "+r.Waits)
	}
	return lines
}

func gateLine(g api.RolloutGate) string {
	if g.Value == nil {
		return "· gate " + g.Gate + ": nobody has sent data yet"
	}
	value := api.FormatQuantity(float64(*g.Value), g.Unit)
	if g.Holds {
		return fmt.Sprintf("✓ gate %s: %s, held %d of %d times", g.Gate, value, min(g.InARow, g.Samples), g.Samples)
	}
	return fmt.Sprintf("✗ gate %s: %s, broken %d of %d times", g.Gate, value, min(g.InARow, g.Samples), g.Samples)
}

func goalLine(g api.RolloutGoal) string {
	switch {
	case g.Live == nil:
		return "· goal " + g.Goal + ": nobody has sent data yet"
	case g.Next == nil:
		return fmt.Sprintf("· goal %s: %.6g so far", g.Goal, float64(*g.Live))
	}
	return fmt.Sprintf("· goal %s: %.6g, before %.6g", g.Goal, float64(*g.Next), float64(*g.Live))
}

// rolloutCell is the rollout of a policy in a table of policies.
func rolloutCell(p api.Policy) string {
	if p.Rollout == nil {
		return ""
	}
	words := p.Rollout.Version + " " + string(p.Rollout.Phase)
	if p.Rollout.Paused {
		words += " (paused)"
	}
	return words
}
