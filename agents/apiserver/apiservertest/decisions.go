package apiservertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/edgehold/edgehold/agents/api"
)

// Record adds a decision and publishes it.
func (a *Agent) Record(d api.Decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decisions = append(a.decisions, d)
	a.publish(api.ResourceDecision, d.ID, api.EventDecisionRecorded, "")
}

type decisions struct{ *Agent }

func (a decisions) List(_ context.Context, f api.DecisionFilter) (page api.DecisionPage, err error) {
	defer a.enter("decisions.List")()
	skip := 0
	if f.Cursor != "" {
		if skip, err = strconv.Atoi(f.Cursor); err != nil {
			return page, &Error{"list decisions", "decision.bad-cursor", "the cursor is not one that this agent gave", "begin without a cursor"}
		}
	}
	for _, d := range slices.Backward(a.decisions) {
		if !matches(d, f) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(page.Items) == f.Limit {
			first := len(page.Items)
			if f.Cursor != "" {
				before, _ := strconv.Atoi(f.Cursor)
				first += before
			}
			page.Next = strconv.Itoa(first)
			break
		}
		page.Items = append(page.Items, d.DecisionSummary)
	}
	return page, nil
}

func matches(d api.Decision, f api.DecisionFilter) bool {
	return (f.Policy == "" || f.Policy == d.Policy) && (len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, d.Outcome)) &&
		(f.Since.IsZero() || !d.At.Before(f.Since)) && (f.Until.IsZero() || d.At.Before(f.Until))
}

func (a decisions) Get(_ context.Context, id string) (api.Decision, error) {
	defer a.enter("decisions.Get")()
	return a.find("get", id)
}

func (a decisions) find(attempt, id string) (api.Decision, error) {
	for _, d := range a.decisions {
		if d.ID == id {
			return d, nil
		}
	}
	return api.Decision{}, notFound("decision", attempt, id)
}

func (a decisions) Explain(_ context.Context, id string) (api.Explanation, error) {
	defer a.enter("decisions.Explain")()
	d, err := a.find("explain", id)
	if err != nil {
		return api.Explanation{}, err
	}
	saw := api.ExplanationSection{Title: "What it saw", Lines: []string{}}
	for _, o := range d.Observations {
		saw.Lines = append(saw.Lines, fmt.Sprintf("%s was %v, %d ms old.", o.Metric, float64(o.Value), o.AgeMS))
	}
	return api.Explanation{DecisionID: id, Summary: fmt.Sprintf("%s %s: %s.", d.Policy, d.Outcome, d.Why), Sections: []api.ExplanationSection{saw}}, nil
}

// TrapVersion is the version that traps whenever a decision is replayed with it.
const TrapVersion = "0.0.0-trap"

func (a decisions) Replay(_ context.Context, id string, r api.ReplayRequest) (api.ReplayReport, error) {
	defer a.enter("decisions.Replay")()
	d, err := a.find("replay", id)
	if err != nil {
		return api.ReplayReport{}, err
	}
	if !d.Replayable {
		return api.ReplayReport{}, &Error{"replay decision " + id, "decision.not-recorded", "its episode is not kept any more", "replay a newer one"}
	}
	report := api.ReplayReport{DecisionID: id, RecordedWith: d.Version, ReplayedWith: d.Version, SameBytes: true, SameFuel: true, SamePlan: true,
		RecordedFuel: 4200, ReplayedFuel: 4200, RecordedPlan: d.Plan, ReplayedPlan: d.Plan, RecordedWhy: d.Why, ReplayedWhy: d.Why}
	if r.Version != "" || len(r.Module) > 0 {
		report.Counterfactual, report.ReplayedWith = true, r.Version
		report.SameBytes, report.SameFuel, report.SamePlan = false, false, false
		report.ReplayedFuel, report.ReplayedPlan, report.ReplayedWhy = 3900, nil, "no need"
		if r.Version == TrapVersion {
			report.Error = &api.Problem{Detail: "run plan: the module trapped", Code: "policy.trap", Why: "unreachable"}
		}
		report.Difference = &api.ReplayDiff{Call: 1, Op: "analyze", Offset: 2, Recorded: "f5", Replayed: "f4"}
	}
	return report, nil
}
