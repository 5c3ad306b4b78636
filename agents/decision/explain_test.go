package decision

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents"
)

var update = flag.Bool("update", false, "write the golden files")

func TestExplain(t *testing.T) {
	cases := map[string]func(*agents.Decision){
		"applied": func(d *agents.Decision) {
			d.Outcome = agents.Landed
			d.Results = []agents.Result{{
				Mechanism: "CPUFrequency", Verb: agents.Set, Effect: agents.Applied, Lease: "lease-7",
				Changes: []agents.Change{{Knob: "policy0/max_frequency", Unit: "Hz", Old: agents.Number(2.4e9),
					Requested: agents.Number(1.2e9), Effective: agents.Number(1.2e9)}},
			}}
			d.Phases = agents.Phases{Wait: 40 * time.Microsecond, Analyze: 90 * time.Microsecond, Log: 400 * time.Microsecond, Apply: time.Millisecond}
		},
		"clamped": func(d *agents.Decision) {
			d.Outcome = agents.Landed
			d.Results = []agents.Result{{
				Mechanism: "CPUFrequency", Verb: agents.Set, Effect: agents.Clamped,
				Changes: []agents.Change{{Knob: "policy0/max_frequency", Unit: "Hz", Old: agents.Number(2.4e9),
					Requested: agents.Number(1.2e9), Effective: agents.Number(1.4e9), Reason: "the firmware allows no less"}},
			}}
		},
		"dull": func(d *agents.Decision) {
			d.Outcome, d.Plan, d.Ruling, d.Repeated = agents.NoPlan, nil, agents.Ruling{}, 59
			d.Trigger = agents.Trigger{Kind: agents.Periodic}
			d.Verdict = agents.Verdict{Why: "load is where it should be", Next: 5 * time.Second}
		},
		"discarded": func(d *agents.Decision) {
			why := "knob policy0/max_frequency of CPUFrequency went to the plan of boost@node, which came first in this cycle"
			d.Outcome, d.Reason = agents.Discarded, why
			d.Ruling = agents.Ruling{Losses: []agents.Loss{{Action: d.Plan.Actions[0], Winner: "dwinner", By: agents.Key{Policy: "boost", Asset: agents.Node}, Why: why}}}
			d.Trigger = agents.Trigger{Kind: agents.Manual, By: "ann"}
		},
		"failed": func(d *agents.Decision) {
			d.Outcome, d.Plan, d.Ruling, d.Verdict = agents.Failed, nil, agents.Ruling{}, agents.Verdict{}
			d.Failure = &agents.Failure{Phase: "analyze", Code: "policy.trap", Message: "unreachable executed", Hint: "roll back"}
		},
		"canary": func(d *agents.Decision) {
			d.Outcome, d.Version = agents.Landed, "1.1.0"
			d.Part = &agents.Part{Rollout: "r7", Role: agents.Canary, Other: "1.0.0", Wanted: d.Plan,
				Narrowed: []string{"policy0/max_frequency goes to 1.8 GHz, 20 % of its range from 2.4 GHz, not to 1.2 GHz"}}
		},
		"shadow": func(d *agents.Decision) {
			d.Outcome, d.Version = agents.Shadowed, "1.1.0"
			d.Part = &agents.Part{Rollout: "r7", Role: agents.Shadow, Other: "1.0.0", Decision: "d0",
				Difference: "version 1.1.0 saw a reason to plan, version 1.0.0 did not"}
		},
		"refused": func(d *agents.Decision) {
			d.Outcome, d.Reason = agents.RefusedByAll, "CPUFrequency: held by boost@node"
			d.Results = []agents.Result{{Mechanism: "CPUFrequency", Effect: agents.Refused, Message: "held by boost@node", Hint: "raise the priority"}}
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			d := example(1, agents.Open)
			change(&d)
			golden(t, name+".txt", Explain(d).String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "explain", name)
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if d := cmp.Diff(got, string(want)); d != "" {
		t.Error(d)
	}
}
