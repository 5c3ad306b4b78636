package decision

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

var _ interface {
	agents.Log
	agents.Recovery
} = (*Log)(nil)

func open(t *testing.T, o Options) *Log {
	t.Helper()
	db, err := state.Open(t.Context(), t.TempDir(), state.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	l, err := Open(t.Context(), db, o)
	must(t, err)
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// example is a decision with something in every field that matters.
func example(n int, o agents.Outcome) agents.Decision {
	max := agents.Action{Mechanism: "CPUFrequency", Knob: "policy0/max_frequency", Verb: agents.Set, Value: agents.Number(1.2e9), Unit: "Hz"}
	load := agents.Bound{Metric: "node_load1", Above: 2, Below: math.NaN()}
	return agents.Decision{
		ID: fmt.Sprintf("d%04d", n), TraceID: "00112233445566778899aabbccddeeff", Key: agents.Key{Policy: "saver", Asset: agents.Node},
		Version: "1.0.0", Module: "sha256:ab", Mode: agents.Heuristic, Time: epoch.Add(time.Duration(n) * time.Second), Seq: uint64(n),
		Trigger: agents.Trigger{Kind: agents.Wake, Crossing: &agents.Crossing{Bound: load, Value: 3.5}},
		Observation: agents.Observation{Readings: []agents.Reading{
			{Name: "node_load1", Value: 3.5, Age: time.Second}, {Name: "node_temp", Value: math.NaN()},
		}},
		Verdict: agents.Verdict{Plan: true, Why: "load is high"},
		Plan:    &agents.Plan{Why: "more cycles", Actions: []agents.Action{max}},
		Ruling:  agents.Ruling{Rule: agents.PerKnob, Cycle: 1, Kept: []agents.Action{max}},
		Outcome: o, Fuel: 4711, Record: []byte("recorded"),
	}
}

func TestBeginFinishGet(t *testing.T) {
	l := open(t, Options{})
	ctx := t.Context()
	d := example(1, agents.Open)
	must(t, l.Begin(ctx, d))
	unfinished, err := l.Unfinished(ctx)
	must(t, err)
	if len(unfinished) != 1 {
		t.Fatalf("%d unfinished", len(unfinished))
	}
	d.Outcome = agents.Landed
	d.Results = []agents.Result{{Mechanism: "CPUFrequency", Effect: agents.Applied}}
	must(t, l.Finish(ctx, d))
	clear(l.newest) // so that the disk is asked
	for _, id := range []string{d.ID, "d00"} {
		got, err := l.Get(ctx, id)
		must(t, err)
		if diff := cmp.Diff(got, d, cmpopts.EquateNaNs()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestListPagesAndFilters(t *testing.T) {
	l := open(t, Options{})
	ctx := t.Context()
	for n := range 10 {
		d := example(n, agents.Landed)
		if n%2 == 1 {
			d.Key.Policy, d.Plan.Actions[0].Knob, d.Outcome = "other", "policy1/governor", agents.Discarded
		}
		if n == 9 {
			d.Outcome = agents.Failed
		}
		l.Note(d)
	}
	for _, tt := range []struct {
		name string
		f    Filter
		want []string
	}{
		{"newest first", Filter{Limit: 2}, []string{"d0009", "d0008"}},
		{"policy", Filter{Policy: "saver", Limit: 2}, []string{"d0008", "d0006"}},
		{"outcome", Filter{Outcomes: []agents.Outcome{agents.Failed, agents.Interrupted}}, []string{"d0009"}},
		{"knob", Filter{Knob: "policy1/governor", Limit: 1}, []string{"d0009"}},
		{"mechanism", Filter{Mechanism: "GPU"}, nil},
		{"time", Filter{Since: epoch.Add(2 * time.Second), Until: epoch.Add(4 * time.Second)}, []string{"d0003", "d0002"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := l.List(ctx, tt.f)
			must(t, err)
			if d := cmp.Diff(ids(p), tt.want); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("pages", func(t *testing.T) {
		var all []string
		f := Filter{Limit: 3}
		for {
			p, err := l.List(ctx, f)
			must(t, err)
			all = append(all, ids(p)...)
			if f.Cursor = p.Next; f.Cursor == "" {
				break
			}
		}
		if len(all) != 10 || all[9] != "d0000" {
			t.Errorf("pages gave %v", all)
		}
	})
	t.Run("few among many", func(t *testing.T) {
		for n := range 2 * maxLimit {
			l.Note(example(100+n, agents.Landed))
		}
		others := func(d *agents.Decision) bool { return d.Key.Policy == "other" }
		p, err := l.List(ctx, Filter{Match: others, Limit: 3})
		must(t, err)
		if d := cmp.Diff(ids(p), []string{"d0009", "d0007", "d0005"}); d != "" {
			t.Error(d)
		}
		p, err = l.List(ctx, Filter{Match: others, Limit: 3, Cursor: p.Next})
		must(t, err)
		if d := cmp.Diff(ids(p), []string{"d0003", "d0001"}); d != "" || p.Next != "" {
			t.Error(d, p.Next)
		}
	})
	if _, err := l.List(ctx, Filter{Cursor: "!"}); err == nil {
		t.Error("a foreign cursor was taken")
	}
}

func ids(p Page) (all []string) {
	for _, d := range p.Decisions {
		all = append(all, d.ID)
	}
	return all
}

func TestDullRunsPushOutNothingElse(t *testing.T) {
	budgets := map[Class]Budget{Dull: {Rows: 10, Bytes: 1 << 20}, Acted: {Rows: 10, Bytes: 1 << 20}}
	l := open(t, Options{Budgets: budgets, SampleEvery: time.Nanosecond})
	ctx := context.Background()
	must(t, l.Begin(ctx, example(0, agents.Open)))
	must(t, l.Finish(ctx, example(0, agents.Landed)))
	for n := 1; n <= 500; n++ {
		d := example(n, agents.NoPlan)
		d.Plan = nil
		l.Note(d)
	}
	must(t, l.db.Flush(ctx))                  // writes
	p, err := l.List(ctx, Filter{Limit: 500}) // flushes again, which tidies
	must(t, err)
	if got := ids(p); len(got) != 11 || got[len(got)-1] != "d0000" {
		t.Errorf("kept %v", got)
	}
}
