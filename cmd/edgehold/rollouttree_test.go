package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// canary is a rollout in the middle of its canary.
func canary() api.Rollout {
	load, live := api.Float(0.031), api.Float(0.029)
	return api.Rollout{
		ID: "r1", Policy: "load-follower", Version: "1.3.0", Phase: api.RolloutCanary, ActiveVersion: "1.2.0", Since: then, Ends: then.Add(4*time.Minute + 10*time.Second),
		Waits: "gate app.queue<3 has not held for 3 readings in a row",
		Steps: []api.RolloutStep{
			{Phase: api.RolloutPrepared, State: api.StepDone},
			{Phase: api.RolloutShadow, State: api.StepDone, Began: then.Add(-10 * time.Minute), Ended: then,
				Stats: &api.RolloutStats{Passes: 612, Dropped: 2, Compared: 612, SamePlan: 610, Divergence: 0.00327, FuelRatio: 1.02, P99NextUS: 41, P99LiveUS: 40}},
			{Phase: api.RolloutCanary, State: api.StepCurrent, Began: then, Stats: &api.RolloutStats{Passes: 31, Limits: 1, GuestErrors: 2}},
			{Phase: api.RolloutActive, State: api.StepWaiting},
		},
		Gates: []api.RolloutGate{
			{Gate: "app.latency_p99<=50ms", Unit: "s", Value: &load, Holds: true, InARow: 12, Samples: 3},
			{Gate: "app.queue<3", Samples: 3},
		},
		Goal: &api.RolloutGoal{Goal: "lower app.latency_p99 within 5%", Live: &live, Next: &load},
	}
}

func TestTree(t *testing.T) {
	got := strings.Join(tree(canary(), then), "\n")
	want := strings.TrimSpace(`
load-follower 1.3.0 is being rolled out (canary), 1.2.0 decides.
├ ✓ prepared
├ ✓ shadow     10m0s, 612 passes, 2 dropped, 0.33% differ, fuel x1.02, p99 41µs against 40µs
├ ▸ canary     4m10s left, 31 passes, 3 failed (0 traps, 1 limits, 2 errors)
│     ✓ gate app.latency_p99<=50ms: 31 ms, held 3 of 3 times
│     · gate app.queue<3: nobody has sent data yet
│     · goal lower app.latency_p99 within 5%: 0.031, before 0.029
│     still needed: gate app.queue<3 has not held for 3 readings in a row
└ · active`)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

// TestLiveTreeDrawsOverItself looks at what a terminal gets: first the tree, then as many lines up as it had, and the new one.
func TestLiveTreeDrawsOverItself(t *testing.T) {
	var out bytes.Buffer
	v := &liveView{out: &out}
	if err := v.tick(api.Rollout{}, then); err != nil || out.Len() > 0 {
		t.Errorf("it drew %q before anything was known, %v", &out, err)
	}
	r := canary()
	if err := v.draw(r, then); err != nil {
		t.Fatal(err)
	}
	if out.Reset(); v.lines != 9 {
		t.Errorf("%d lines", v.lines)
	}
	r.Version = "1.3.0\x1b[2J"
	if err := v.tick(r, then.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "\x1b[9A\x1b[J") || !strings.Contains(got, "3m10s left") || strings.Contains(got, "2J\x1b") || strings.Contains(got, "\x1b[2J") {
		t.Errorf("%q", got)
	}
}

func TestLinesComeOnlyWhenSomethingHappened(t *testing.T) {
	var out bytes.Buffer
	v := &lineView{out: &out}
	r := canary()
	for range 3 {
		if err := v.draw(r, then); err != nil {
			t.Fatal(err)
		}
	}
	r.Paused = true
	if err := v.draw(r, then); err != nil {
		t.Fatal(err)
	}
	want := "2026-11-21T12:00:00.000Z  load-follower 1.3.0 is being rolled out (canary), 1.2.0 decides.\n" +
		"2026-11-21T12:00:00.000Z  load-follower 1.3.0 is being rolled out (canary, paused), 1.2.0 decides.\n"
	if diff := cmp.Diff(out.String(), want); diff != "" {
		t.Error(diff)
	}
}

func TestHeadlineAndVerdict(t *testing.T) {
	for _, c := range []struct {
		outcome api.RolloutOutcome
		halted  bool
		want    string
		fails   bool
	}{
		{api.RolloutSucceeded, false, "p 2 decides and has come through its probation.", false},
		{api.RolloutRolledBack, false, "p 2 did not stay (rolled-back), 1 decides: it trapped.", true},
		{api.RolloutFailed, true, "p 2 did not stay (failed), and there was no version to go back to: the policy stands still.", true},
		{api.RolloutUndone, false, "p 2 is the standby again, 1 decides.", true},
	} {
		r := api.Rollout{Policy: "p", Version: "2", ActiveVersion: "1", Over: true, Outcome: c.outcome, Halted: c.halted, Why: "it trapped."}
		if got := headline(r); got != c.want {
			t.Errorf("%s: %q, want %q", c.outcome, got, c.want)
		}
		err := stayed(r)
		var failure *cli.Failure
		if c.fails != errors.As(err, &failure) || c.fails && failure.Code != "rollout."+string(c.outcome) {
			t.Errorf("%s: %v", c.outcome, err)
		}
	}
}
