package node

import (
	"context"
	"fmt"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// Replay implements apiserver.DecisionReplayer. With the module that decided it compares bytes and fuel; with another
// it compares the plans.
func (d *decisions) Replay(ctx context.Context, id string, r api.ReplayRequest) (api.ReplayReport, error) {
	one, err := d.log.Get(ctx, id)
	if err != nil {
		return api.ReplayReport{}, err
	}
	if len(one.Record) == 0 {
		return api.ReplayReport{}, &Error{
			Code: "decision.not-recorded", What: "replay decision " + id, Why: "its episode was not kept", Hint: "choose a newer one",
		}
	}
	episode, err := record.Decode(one.Record)
	if err != nil {
		return api.ReplayReport{}, err
	}
	module, release, err := d.policies.borrow(ctx, &one, r)
	if err != nil {
		return api.ReplayReport{}, fmt.Errorf("replay decision %s: %w", id, err)
	}
	defer release()
	report := api.ReplayReport{
		DecisionID: one.ID, RecordedWith: one.Version, ReplayedWith: module.Manifest().Version,
		Counterfactual: module.Digest() != one.Module,
	}
	return report, compare(ctx, &report, module, episode)
}

// borrow returns the module to replay with: the one that runs, one that is prepared for the purpose from the store, or
// one that came with the request.
func (p *policies) borrow(ctx context.Context, d *agents.Decision, r api.ReplayRequest) (m *host.Module, release func(), err error) {
	digest, raw := d.Module, r.Module
	if len(raw) > 0 {
		digest = store.Digest(raw)
		if _, err := p.trust.Admit(raw, digest); err != nil {
			return nil, nil, err
		}
	} else if r.Version != "" {
		record, err := p.record(ctx, d.Key.Policy)
		if err != nil {
			return nil, nil, err
		}
		if digest, err = p.rollbackTarget(ctx, record, r.Version); err != nil {
			return nil, nil, err
		}
	}
	if active := p.find(d.Key.Policy); active != nil && active.digest == digest && active.native() != nil {
		return active.native(), func() {}, nil
	}
	if len(raw) == 0 {
		if raw, err = p.db.Module(digest); err != nil {
			return nil, nil, err
		}
	}
	if m, err = p.runtime.Prepare(ctx, raw); err != nil {
		return nil, nil, err
	}
	p.changes.Add(1)
	return m, m.Close, nil
}

// compare runs the episode once: with the module that decided it bytes and fuel are compared, and the plans only if those
// differ; with another one the plans.
func compare(ctx context.Context, report *api.ReplayReport, module *host.Module, episode *record.Episode) error {
	if !report.Counterfactual {
		same, err := record.Replay(ctx, module, episode)
		if err != nil {
			return err
		}
		describeReplay(report, &same, episode)
		if same.Same() {
			decided := episode.Decision()
			describeDecisions(report, episode, &record.Comparison{Recorded: decided, Other: decided})
			return nil
		}
	}
	c, err := record.Counterfactual(ctx, module, episode)
	if err == nil {
		describeDecisions(report, episode, c)
	}
	return err
}

func describeReplay(report *api.ReplayReport, same *record.Report, episode *record.Episode) {
	report.SameBytes, report.SameFuel = same.Same(), same.Same()
	if d := same.Difference; d != nil {
		report.SameBytes = d.Field == "fuel"
		report.Difference = &api.ReplayDiff{
			Call: d.Call, Op: episode.Calls[d.Call].Op.String(), Offset: -1, Recorded: d.Want, Replayed: d.Got,
		}
	}
}

func describeDecisions(report *api.ReplayReport, episode *record.Episode, c *record.Comparison) {
	init := recordedInit(episode)
	report.RecordedFuel, report.ReplayedFuel, report.SamePlan = c.Recorded.Fuel, c.Other.Fuel, c.Same()
	report.RecordedPlan, report.RecordedWhy = plannedByID(init, c.Recorded), decisionWhy(c.Recorded)
	report.ReplayedPlan, report.ReplayedWhy = plannedByID(init, c.Other), decisionWhy(c.Other)
	if c.Other.Err != "" {
		report.Error = &api.Problem{Type: api.ProblemType(c.Other.Err), Title: "The module failed", Code: c.Other.Err, Detail: "the replayed episode ended early"}
	}
}

// recordedInit is the dictionary that the recorded ids are of.
func recordedInit(e *record.Episode) *wasmabi.Init {
	var init wasmabi.Init
	for _, c := range e.Calls {
		if c.Op == wasmabi.OpInit && wasmabi.DecodeInit(c.Request, &init) == nil {
			break
		}
	}
	return &init
}

func decisionWhy(d record.Decision) string {
	switch {
	case d.Plan != nil && d.Plan.Why != "":
		return d.Plan.Why
	case d.Analysis != nil:
		return d.Analysis.Why
	}
	return ""
}

func plannedByID(init *wasmabi.Init, d record.Decision) []api.PlannedChange {
	out := []api.PlannedChange{}
	if d.Plan == nil {
		return out
	}
	for i, mechanism := range d.Plan.Mechanisms {
		if int(mechanism) >= len(init.Mechanisms) {
			continue
		}
		one := api.PlannedChange{Mechanism: init.Mechanisms[mechanism], Verb: api.VerbSet, LeaseMS: d.Plan.LeaseMS[i]}
		if d.Plan.Verbs[i] == wasmabi.VerbReset {
			one.Verb = api.VerbReset
		}
		if knob := d.Plan.Knobs[i]; int(knob) < len(init.Knobs) {
			describeKnob(&one, &init.Knobs[knob], d.Plan.Values[i])
		}
		out = append(out, one)
	}
	return out
}

func describeKnob(c *api.PlannedChange, k *wasmabi.KnobInfo, x float64) {
	c.Knob, c.Unit = k.Name, k.Unit
	if c.Verb == api.VerbReset {
		return
	}
	if i := int(x); k.Kind == wasmabi.KnobChoice && i >= 0 && i < len(k.Choices) {
		c.Value = api.ChoiceValue(k.Choices[i])
		return
	}
	c.Value = api.NumberValue(x)
}
