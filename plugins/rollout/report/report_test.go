package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// careful is a spec that leaves nothing out.
var careful = api.RolloutSpec{
	ShadowMS: 60_000, ShadowBudget: 0.1, Canary: 0.05, CanaryMS: 30_000, MaxStep: 0.2, SettleMS: 1000, PatienceMS: 2000, Passes: 7,
	Gates: []string{"app.latency_p99<=50ms"}, GateSamples: 2, Goal: "higher app.rate within 10%",
	MaxDivergence: 0.5, MaxFuelRatio: 3, MaxLatencyRatio: 4, MaxLatencyUS: 5000, MaxFaults: 6, HoldDownMS: 8000, Strikes: 9,
}

func TestSpecReadsBack(t *testing.T) {
	spec, err := ParseSpec(careful)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Spec(&spec), careful); diff != "" {
		t.Error(diff)
	}
	if spec, err := ParseSpec(api.RolloutSpec{}); err != nil || spec.Strikes != rollout.DefaultStrikes || spec.Proves() {
		t.Errorf("the zero spec: %+v, %v", spec, err)
	}
}

func TestParseSpecRefuses(t *testing.T) {
	for _, c := range []struct {
		spec api.RolloutSpec
		want string
	}{
		{api.RolloutSpec{ShadowMS: math.MaxUint64}, "shadow must be from 0"},
		{api.RolloutSpec{SettleMS: math.MaxInt64 / 1_000_000}, "settle time must be"},
		{api.RolloutSpec{Canary: 2}, "canary share must be"},
		{api.RolloutSpec{Canary: math.NaN()}, "canary share must be"},
		{api.RolloutSpec{MaxStep: 0.1}, "needs a canary share"},
		{api.RolloutSpec{Gates: []string{"a"}}, "it compares nothing"},
		{api.RolloutSpec{Gates: []string{"a<1"}, GateSamples: -1}, "samples"},
		{api.RolloutSpec{Gates: make([]string, 100)}, "read gate"},
		{api.RolloutSpec{Goal: "a"}, "read goal"},
	} {
		if _, err := ParseSpec(c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.spec, err, c.want)
		}
	}
}

// play gives the events to a policy whose version A is in charge.
func play(t *testing.T, events ...rollout.Event) rollout.State {
	t.Helper()
	spec, err := ParseSpec(careful)
	if err != nil {
		t.Fatal(err)
	}
	s := rollout.Adopt("A", "")
	all := append([]rollout.Event{{Kind: rollout.Start, Person: true, By: "ops", Start: &rollout.Begin{ID: "r", Digest: "B", Version: "2", Active: "A", Spec: spec}},
		{Kind: rollout.Fetched}, {Kind: rollout.Verified}, {Kind: rollout.Validated}, {Kind: rollout.Prepared}}, events...)
	for i, e := range all {
		e.At = epoch.Add(time.Duration(i) * time.Second)
		s, _ = s.Step(e)
	}
	return s
}

func TestRollout(t *testing.T) {
	person := func(kind rollout.EventKind) rollout.Event { return rollout.Event{Kind: kind, Person: true} }
	slow := 0.07
	reading := rollout.Event{Kind: rollout.Measured, Reading: &rollout.Reading{Passes: 10, Compared: 10, SamePlan: 9, P99Next: 41 * time.Microsecond, Gates: []*float64{&slow}}}
	trap := rollout.Event{Kind: rollout.Measured, Reading: &rollout.Reading{Traps: 7}}
	activated := rollout.Event{Kind: rollout.Activated}
	for _, c := range []struct {
		name    string
		events  []rollout.Event
		outcome api.RolloutOutcome
		active  string
		steps   string
	}{
		{"in shadow", []rollout.Event{reading}, "", "v-A", "shadow current, canary waiting, active waiting"},
		{"trapped in shadow", []rollout.Event{trap}, api.RolloutFailed, "v-A", "shadow failed, canary waiting, active waiting"},
		{"aborted", []rollout.Event{person(rollout.Abort)}, api.RolloutAborted, "v-A", "shadow failed, canary waiting, active waiting"},
		{"promoted", []rollout.Event{person(rollout.Promote), activated}, "", "v-B", "shadow done, canary skipped, active current"},
		{"settled", []rollout.Event{person(rollout.Promote), activated, person(rollout.Promote)}, api.RolloutSucceeded, "v-B", "shadow done, canary skipped, active done"},
		{"trapped on probation", []rollout.Event{person(rollout.Promote), activated, trap, {Kind: rollout.RolledBack}}, api.RolloutRolledBack, "v-A", "shadow done, canary skipped, active failed"},
		{"undone", []rollout.Event{person(rollout.Promote), activated, person(rollout.Undo), {Kind: rollout.RolledBack}}, api.RolloutUndone, "v-A", "shadow done, canary skipped, active failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, c.events...)
			r := Rollout("p", &s, func(digest string) string { return "v-" + digest })
			if r.Outcome != c.outcome || r.ActiveVersion != c.active || r.Over != (c.outcome != "") {
				t.Errorf("outcome %q, active %q, over %v", r.Outcome, r.ActiveVersion, r.Over)
			}
			var steps []string
			for _, step := range r.Steps[5:] {
				steps = append(steps, string(step.Phase)+" "+string(step.State))
			}
			if got := strings.Join(steps, ", "); got != c.steps {
				t.Errorf("steps %s, want %s", got, c.steps)
			}
		})
	}
	s := play(t, reading)
	r := Rollout("p", &s, func(d string) string { return d })
	if g := r.Gates[0]; g.Holds || g.InARow != 1 || g.Samples != 2 || float64(*g.Value) != slow || g.Unit != "s" {
		t.Errorf("gate %+v", g)
	}
	if stats := r.Steps[5].Stats; stats.Passes != 10 || math.Abs(stats.Divergence-0.1) > 1e-9 || stats.P99NextUS != 41 {
		t.Errorf("stats %+v", stats)
	}
	if len(r.History) != 5 || r.History[0].By != "ops" {
		t.Errorf("history %+v", r.History)
	}
	var none rollout.State
	if r := Rollout("p", &none, nil); r.Outcome != "" || len(r.Steps) != 0 {
		t.Errorf("a policy without a rollout: %+v", r)
	}
}
