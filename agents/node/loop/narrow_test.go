package loop

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestNarrow(t *testing.T) {
	d := &Dictionary{knobs: []mechanisms.Knob{
		{Name: "range", Kind: mechanisms.KindNumber, Unit: "W", Min: 0, Max: 100},
		{Name: "table", Kind: mechanisms.KindNumber, Unit: "Hz", Min: 1e9, Max: 3e9, Table: []float64{1e9, 1.5e9, 2e9, 2.5e9, 3e9}},
		{Name: "governor", Kind: mechanisms.KindChoice, Choices: []string{"performance", "powersave"}},
		{Name: "unread", Kind: mechanisms.KindNumber, Max: 10},
	}}
	d.init.Mechanisms = []string{"cpu"}
	for _, k := range d.knobs {
		d.init.Knobs = append(d.init.Knobs, wasmabi.KnobInfo{Name: k.Name})
	}
	o := agents.Observation{Knobs: []agents.KnobReading{
		{Mechanism: "cpu", Knob: "range", Value: agents.Number(50)},
		{Mechanism: "cpu", Knob: "table", Value: agents.Number(2e9)},
		{Mechanism: "cpu", Knob: "governor", Value: agents.Choice("powersave")},
	}}
	set := func(knob string, v agents.Value) agents.Action {
		return agents.Action{Mechanism: "cpu", Knob: knob, Verb: agents.Set, Value: v}
	}
	reset := agents.Action{Mechanism: "cpu", Knob: agents.AllKnobs, Verb: agents.Reset}
	for _, test := range []struct {
		name     string
		share    float64
		in       agents.Action
		want     []agents.Action
		narrowed string
	}{
		{"within", 0.1, set("range", agents.Number(58)), []agents.Action{set("range", agents.Number(58))}, ""},
		{"up", 0.1, set("range", agents.Number(90)), []agents.Action{set("range", agents.Number(60))}, "range goes from 50 W to 60 W, at most 10 % of its range at a time, and not to 90 W"},
		{"down", 0.1, set("range", agents.Number(0)), []agents.Action{set("range", agents.Number(40))}, "range goes from 50 W to 40 W, at most 10 % of its range at a time, and not to 0 W"},
		{"table", 0.3, set("table", agents.Number(3e9)), []agents.Action{set("table", agents.Number(2.5e9))}, "table goes from 2 GHz to 2.5 GHz, at most 30 % of its range at a time, and not to 3 GHz"},
		{"coarse table", 0.01, set("table", agents.Number(1e9)), []agents.Action{set("table", agents.Number(1.5e9))}, "table goes from 2 GHz to 1.5 GHz, at most 1 % of its range at a time, and not to 1 GHz"},
		{"choice", 0.5, set("governor", agents.Choice("performance")), []agents.Action{}, "governor stays powersave, and is not set to performance: choices have no steps"},
		{"same choice", 0.5, set("governor", agents.Choice("powersave")), []agents.Action{set("governor", agents.Choice("powersave"))}, ""},
		{"unknown position", 0.5, set("unread", agents.Number(1)), []agents.Action{}, "unread is left as it is: nobody knows where it stands"},
		{"giving back", 0.01, reset, []agents.Action{reset}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan, why := d.Narrow(test.share)(agents.Plan{Actions: []agents.Action{test.in}}, o)
			if diff := cmp.Diff(plan.Actions, test.want); diff != "" {
				t.Error(diff)
			}
			if got := append(why, "")[0]; got != test.narrowed {
				t.Errorf("got %q, want %q", got, test.narrowed)
			}
		})
	}
	if d.Narrow(0) != nil {
		t.Error("no bound narrows")
	}
}

// TestSameNameReadOtherwise: two versions that run beside each other may mean different things by one metric's name.
func TestSameNameReadOtherwise(t *testing.T) {
	of := func(requests ...wasmabi.MetricRequest) *Dictionary {
		return NewDictionary(t.Context(), &wasmabi.Manifest{Metrics: requests}, nil, nil, nil)
	}
	live := of(wasmabi.MetricRequest{Name: "load"}, wasmabi.MetricRequest{Name: "power", Reduce: "sum"})
	next := of(wasmabi.MetricRequest{Name: "power", Reduce: "max"}, wasmabi.MetricRequest{Name: "load", Reduce: "last"})
	next.Distinguish(live)
	if diff := cmp.Diff(next.labels, []string{"power (max)", "load"}); diff != "" {
		t.Error(diff)
	}
}
