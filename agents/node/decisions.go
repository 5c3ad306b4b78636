package node

import (
	"context"
	"slices"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/decision"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/host/record"
)

// decisions is the decision log as the API sees it.
type decisions struct {
	log      *decision.Log
	policies *policies
}

// List implements apiserver.DecisionReader.
func (d *decisions) List(ctx context.Context, f api.DecisionFilter) (api.DecisionPage, error) {
	filter := decision.Filter{Policy: f.Policy, Since: f.Since, Until: f.Until, Limit: f.Limit, Cursor: f.Cursor}
	for _, o := range f.Outcomes {
		filter.Outcomes = append(filter.Outcomes, engineOutcomes[o])
	}
	if len(f.Outcomes) > 0 { // several of ours are one of the engine's
		filter.Match = func(one *agents.Decision) bool { return slices.Contains(f.Outcomes, outcome(one)) }
	}
	page, err := d.log.List(ctx, filter)
	out := api.DecisionPage{Next: page.Next, Items: make([]api.DecisionSummary, 0, len(page.Decisions))}
	for _, one := range page.Decisions {
		out.Items = append(out.Items, decisionSummary(&one))
	}
	return out, err
}

// Get implements apiserver.DecisionReader.
func (d *decisions) Get(ctx context.Context, id string) (api.Decision, error) {
	one, err := d.log.Get(ctx, id)
	if err != nil {
		return api.Decision{}, err
	}
	return fullDecision(&one), nil
}

// Explain implements apiserver.DecisionReader.
func (d *decisions) Explain(ctx context.Context, id string) (api.Explanation, error) {
	one, err := d.log.Get(ctx, id)
	if err != nil {
		return api.Explanation{}, err
	}
	e := decision.Explain(one)
	out := api.Explanation{DecisionID: one.ID, Summary: e.Summary}
	for _, s := range e.Sections {
		out.Sections = append(out.Sections, api.ExplanationSection{Title: s.Heading, Lines: s.Sentences})
	}
	return out, nil
}

// engineOutcomes says which of the engine's outcomes one of the API's is made of.
var engineOutcomes = map[api.DecisionOutcome]agents.Outcome{
	api.DecisionQuiet:         agents.NoPlan,
	api.DecisionPending:       agents.Open,
	api.DecisionApplied:       agents.Landed,
	api.DecisionClamped:       agents.Landed,
	api.DecisionUnchanged:     agents.Landed,
	api.DecisionPartlyApplied: agents.PartlyLanded,
	api.DecisionInterrupted:   agents.Interrupted,
	api.DecisionDiscarded:     agents.Discarded,
	api.DecisionRefused:       agents.RefusedByAll,
	api.DecisionFailed:        agents.Failed,
	api.DecisionShadowed:      agents.Shadowed,
}

// outcome is the engine's, but for a plan that landed whole: then it says what that came to.
func outcome(d *agents.Decision) api.DecisionOutcome {
	if d.Outcome == agents.Landed {
		return effectOfAll(d.Results)
	}
	for o, of := range engineOutcomes {
		if of == d.Outcome {
			return o
		}
	}
	return api.DecisionPending
}

func effectOfAll(results []agents.Result) api.DecisionOutcome {
	out := api.DecisionUnchanged
	for _, r := range results {
		switch r.Effect {
		case agents.Clamped:
			return api.DecisionClamped
		case agents.Applied:
			out = api.DecisionApplied
		}
	}
	return out
}

func decisionSummary(d *agents.Decision) api.DecisionSummary {
	return api.DecisionSummary{
		ID: d.ID, At: d.Time, Policy: d.Key.Policy, Version: d.Version, Asset: string(d.Key.Asset), Trigger: string(d.Trigger.Kind),
		Outcome: outcome(d), Why: why(d), DurationUS: uint64(total(d.Phases).Microseconds()),
	}
}

func why(d *agents.Decision) string {
	switch {
	case d.Failure != nil:
		return d.Failure.Message
	case d.Plan != nil && d.Plan.Why != "":
		return d.Plan.Why
	case d.Verdict.Why != "":
		return d.Verdict.Why
	}
	return d.Reason
}

func total(p agents.Phases) time.Duration {
	return p.Wait + p.Observe + p.Begin + p.Analyze + p.Plan + p.End + p.Queue + p.Log + p.Apply
}

func fullDecision(d *agents.Decision) api.Decision {
	out := api.Decision{
		DecisionSummary: decisionSummary(d), Digest: d.Module, TraceID: d.TraceID, Mode: api.ModeName(d.Mode),
		Observations: []api.Observation{}, Replayable: len(d.Record) > 0,
		Analysis: &api.AnalysisStep{Plan: d.Verdict.Plan, Why: d.Verdict.Why, NextMS: uint32(d.Verdict.Next.Milliseconds())},
	}
	for _, r := range d.Observation.Readings {
		out.Observations = append(out.Observations, api.Observation{
			Metric: r.Name, Unit: r.Unit, Value: api.Float(r.Value), AgeMS: loop.AgeMS(r.Age), Missing: r.Missing(),
		})
	}
	if c := d.Trigger.Crossing; c != nil {
		out.Crossed = []api.Crossing{crossing(c)}
	}
	if d.Plan != nil {
		out.PlanWhy, out.Plan = d.Plan.Why, plannedChanges(d.Plan.Actions)
	}
	out.Arbitration = arbitration(d)
	for _, r := range d.Results {
		out.Results = append(out.Results, policyResult(&r))
	}
	out.Calls = calls(d)
	if f := d.Failure; f != nil {
		out.Error = &api.Problem{Type: api.ProblemType(f.Code), Title: "The policy failed in " + f.Phase, Code: f.Code, Detail: f.Message, Hint: f.Hint}
	}
	return out
}

func crossing(c *agents.Crossing) api.Crossing {
	out := api.Crossing{Metric: c.Bound.Metric, Value: api.Float(c.Value), Bound: api.Float(c.Bound.Below)}
	if c.Value > c.Bound.Above {
		out.Above, out.Bound = true, api.Float(c.Bound.Above)
	}
	return out
}

func plannedChanges(actions []agents.Action) []api.PlannedChange {
	out := make([]api.PlannedChange, 0, len(actions))
	for _, a := range actions {
		one := api.PlannedChange{
			Mechanism: a.Mechanism, Verb: api.Verb(a.Verb), Knob: a.Knob, Unit: a.Unit, LeaseMS: uint32(a.Lease.Milliseconds()),
		}
		if a.Verb == agents.Set {
			one.Value = agentValue(a.Value)
		}
		if a.Knob == agents.AllKnobs {
			one.Knob = ""
		}
		out = append(out, one)
	}
	return out
}

func agentValue(v agents.Value) api.Value {
	if v.Choice != "" {
		return api.ChoiceValue(v.Choice)
	}
	return api.NumberValue(v.Number)
}

func arbitration(d *agents.Decision) []api.Arbitration {
	var out []api.Arbitration
	for _, a := range d.Ruling.Kept {
		out = append(out, api.Arbitration{Mechanism: a.Mechanism, Knob: a.Knob, Won: true, Rule: string(d.Ruling.Rule)})
	}
	for _, l := range d.Ruling.Losses {
		out = append(out, api.Arbitration{
			Mechanism: l.Action.Mechanism, Knob: l.Action.Knob, Winner: l.By.Policy, WinnerDecisionID: l.Winner, Rule: string(d.Ruling.Rule),
		})
	}
	return out
}

func policyResult(r *agents.Result) api.MechanismResult {
	out := api.MechanismResult{
		Mechanism: r.Mechanism, Outcome: api.Outcome(r.Effect), LeaseID: string(r.Lease), ExpiresAt: r.Expires, Changes: []api.KnobChange{},
	}
	for _, c := range r.Changes {
		out.Changes = append(out.Changes, api.KnobChange{
			Knob: c.Knob, Unit: c.Unit, Old: agentValue(c.Old), Requested: agentValue(c.Requested), Effective: agentValue(c.Effective), Reason: c.Reason,
		})
	}
	return out
}

func calls(d *agents.Decision) []api.CallCost {
	episode, err := record.Decode(d.Record)
	if err != nil {
		return nil
	}
	took := map[string]time.Duration{"init": d.Phases.Begin, "analyze": d.Phases.Analyze, "plan": d.Phases.Plan, "snapshot": d.Phases.End}
	var out []api.CallCost
	for _, c := range episode.Calls {
		out = append(out, api.CallCost{
			Op: c.Op.String(), Fuel: c.Fuel, DurationUS: uint64(took[c.Op.String()].Microseconds()), Error: c.Error,
		})
	}
	return out
}
