package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
)

func TestDevelopmentVersion(t *testing.T) {
	for released, want := range map[string]string{
		"1.0.0": "1.0.0-dev.3", "1.0.0-rc.1": "1.0.0-rc.1.dev.3", "1.0.0+arm": "1.0.0-dev.3+arm", "1.0.0-rc+arm": "1.0.0-rc.dev.3+arm",
	} {
		if got := developmentVersion(released, 3); got != want {
			t.Errorf("%s became %s, want %s", released, got, want)
		}
	}
}

func TestDecisionLines(t *testing.T) {
	number := api.NumberValue
	change := api.KnobChange{Knob: "policy0/max_frequency", Unit: "Hz", Old: number(1.8e9), Requested: number(3e9), Effective: number(3e9)}
	plan := []api.PlannedChange{{Mechanism: "CPUFrequency", Verb: api.VerbSet, Knob: change.Knob, Unit: "Hz", Value: number(3e9)}}
	base := api.Decision{DecisionSummary: api.DecisionSummary{At: then, Version: "1.0.0-dev.1", Outcome: api.DecisionApplied, Why: "load 3 is above 2.", DurationUS: 940},
		Calls: []api.CallCost{{Op: "analyze", Fuel: 1200}, {Op: "plan", Fuel: 3000}}}
	head := "12:00:00  1.0.0-dev.1  applied    load 3 is above 2  (4.2k fuel, 940µs)"
	for name, c := range map[string]struct {
		change func(*api.Decision)
		want   []string
	}{
		"quiet":   {func(*api.Decision) {}, []string{head}},
		"planned": {func(d *api.Decision) { d.Plan = plan }, []string{head, "          planned CPUFrequency: set policy0/max_frequency to 3 GHz"}},
		"changed": {func(d *api.Decision) {
			d.Plan, d.Results = plan, []api.MechanismResult{{Mechanism: "CPUFrequency", Changes: []api.KnobChange{change}}}
		}, []string{head, "          CPUFrequency policy0/max_frequency: 1.8 GHz -> 3 GHz"}},
		"nothing moved": {func(d *api.Decision) {
			still := change
			still.Old = still.Effective
			d.Plan, d.Results = plan, []api.MechanismResult{{Mechanism: "CPUFrequency", Changes: []api.KnobChange{still}}}
		}, []string{head}},
		"failed": {func(d *api.Decision) { d.Error = &api.Problem{Code: "call.trap", Detail: "it \x1bgave up"} }, []string{head, "          call.trap: it ?gave up"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := base
			c.change(&d)
			if diff := cmp.Diff(decisionLines(d), c.want); diff != "" {
				t.Errorf("got (-) want (+):\n%s", diff)
			}
		})
	}
}

func TestThousands(t *testing.T) {
	var got []string
	for _, n := range []uint64{950, 12_345, 4_100_000} {
		got = append(got, thousands(n))
	}
	if want := []string{"950", "12.3k", "4.1M"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
