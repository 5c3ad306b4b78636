package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func describeDecision(d *cli.Details, decision api.Decision) {
	d.Field("Decision", decision.ID)
	d.Field("Time", timestamp(decision.At))
	d.Fieldf("Policy", "%s %s (%s)", decision.Policy, decision.Version, shortDigest(decision.Digest))
	d.Field("Asset", decision.Asset)
	d.Field("Trigger", decision.Trigger)
	d.Field("Outcome", string(decision.Outcome))
	d.Field("Why", decision.Why)
	d.Field("Took", microseconds(decision.DurationUS))
	d.Field("Mode", string(decision.Mode))
	d.Field("Trace", decision.TraceID)
	d.Field("Replayable", yesNo(decision.Replayable))
	describeSight(d, decision)
	if len(decision.Plan) > 0 || decision.PlanWhy != "" {
		describePlan(d, "Planned", decision.Plan, decision.PlanWhy)
	}
	if len(decision.Arbitration) > 0 {
		d.Heading("Arbitration")
	}
	for _, a := range decision.Arbitration {
		d.Line("%s", arbitrationText(a))
	}
	if len(decision.Results) > 0 {
		d.Heading("Changed")
	}
	for _, result := range decision.Results {
		d.Line("%s: %s", result.Mechanism, result.Outcome)
		for _, change := range result.Changes {
			d.Line("  %s", changeText(change))
		}
	}
	if len(decision.Calls) > 0 {
		d.Heading("Cost")
	}
	for _, call := range decision.Calls {
		d.Line("%s: %d fuel, %s%s", call.Op, call.Fuel, microseconds(call.DurationUS), because(call.Error))
	}
	describeProblem(d, decision.Error)
}

func describeSight(d *cli.Details, decision api.Decision) {
	d.Heading("Saw")
	for _, o := range decision.Observations {
		labels := map[string]string{"__name__": o.Metric}
		for key, value := range o.Labels {
			labels[key] = value
		}
		if o.Missing {
			d.Line("%s: missing", seriesName(labels))
			continue
		}
		d.Line("%s = %s, %d ms old", seriesName(labels), strings.TrimSpace(number(float64(o.Value))+" "+o.Unit), o.AgeMS)
	}
	for _, c := range decision.Crossed {
		way := "below"
		if c.Above {
			way = "above"
		}
		d.Line("%s went %s %s: %s", c.Metric, way, number(float64(c.Bound)), number(float64(c.Value)))
	}
	if a := decision.Analysis; a != nil {
		d.Line("asked for a plan: %s%s", yesNo(a.Plan), because(a.Why))
	}
}

func describePlan(d *cli.Details, title string, plan []api.PlannedChange, why string) {
	d.Heading(title + because(why))
	for _, change := range plan {
		d.Line("%s", plannedText(change))
	}
	if len(plan) == 0 {
		d.Line("nothing")
	}
}

func plannedText(c api.PlannedChange) string {
	if c.Verb == api.VerbReset {
		return fmt.Sprintf("%s: reset %s", c.Mechanism, cmp.Or(c.Knob, "every knob"))
	}
	return fmt.Sprintf("%s: set %s to %s", c.Mechanism, c.Knob, api.FormatValue(c.Value, c.Unit))
}

func arbitrationText(a api.Arbitration) string {
	what := strings.TrimSpace(a.Mechanism + " " + a.Knob)
	if a.Won {
		return what + ": won" + because(a.Rule)
	}
	return fmt.Sprintf("%s: %s won with decision %s%s", what, a.Winner, a.WinnerDecisionID, because(a.Rule))
}

func describeProblem(d *cli.Details, p *api.Problem) {
	if p == nil {
		return
	}
	d.Heading("Failed")
	d.Line("%s", p.Detail)
	d.Line("code: %s", p.Code)
	if p.Hint != "" {
		d.Line("do: %s", p.Hint)
	}
}

func describeExplanation(d *cli.Details, e api.Explanation) {
	d.Text("%s", e.Summary)
	for _, section := range e.Sections {
		d.Heading(section.Title)
		for _, line := range section.Lines {
			d.Line("%s", line)
		}
	}
}

func describeReplay(d *cli.Details, r api.ReplayReport) {
	switch {
	case r.Error != nil:
		d.Text("%s failed on the inputs of %s.", r.ReplayedWith, r.DecisionID)
	case r.Counterfactual && r.SamePlan:
		d.Text("%s would have planned the same as %s.", cmp.Or(r.ReplayedWith, "The module"), r.RecordedWith)
	case r.Counterfactual:
		d.Text("%s would have planned otherwise than %s.", cmp.Or(r.ReplayedWith, "The module"), r.RecordedWith)
	case r.SameBytes && r.SameFuel:
		d.Text("The same, byte for byte, with the same fuel (%d).", r.RecordedFuel)
	default:
		d.Text("The replay differs.")
	}
	if r.Counterfactual {
		describePlan(d, "Planned by "+r.RecordedWith, r.RecordedPlan, r.RecordedWhy)
		describePlan(d, "Planned by "+cmp.Or(r.ReplayedWith, "the module"), r.ReplayedPlan, r.ReplayedWhy)
		d.Heading("Fuel")
		d.Line("%d recorded, %d replayed", r.RecordedFuel, r.ReplayedFuel)
	}
	if diff := r.Difference; diff != nil && !r.Counterfactual {
		d.Heading("First difference")
		d.Line("call %d (%s), offset %d: %s recorded, %s replayed", diff.Call, diff.Op, diff.Offset, diff.Recorded, diff.Replayed)
	}
	describeProblem(d, r.Error)
}
