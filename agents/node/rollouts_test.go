package node

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/wasmabi"
)

// as is the module of an example under another version, and so with another digest.
func as(t *testing.T, example, version string) []byte {
	t.Helper()
	raw := module(t, example)
	m, err := wasmabi.ReadManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	m.Version = version
	packed, err := plugins.Pack(raw, m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// quick is a rollout that takes as little time as passes allow.
func quick() api.RolloutSpec {
	return api.RolloutSpec{ShadowMS: 1, Canary: 0.5, CanaryMS: 1, SettleMS: 1, Passes: 2, ShadowBudget: 1, PatienceMS: 60_000}
}

func (r *rig) rollOut(raw []byte, s api.RolloutSpec) api.UploadResult {
	r.t.Helper()
	result, err := r.Policies.Upload(r.t.Context(), raw, api.UploadOptions{Rollout: &api.RolloutStart{Spec: s}}, person)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

var person = api.Actor{Via: "unix", Role: api.RoleOperator}

// pass has the policy look now.
func (r *rig) pass() agents.Decision {
	r.t.Helper()
	d, err := r.engine.Trigger(r.t.Context(), key("cpu-boost"), "test")
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// until has the policy look until its rollout is in a phase.
func (r *rig) until(phase api.RolloutPhase) api.Rollout {
	r.t.Helper()
	var now api.Rollout
	r.await("the rollout is "+string(phase), func() bool {
		r.pass()
		var err error
		if now, err = r.Rollouts.Get(r.t.Context(), "cpu-boost"); err != nil {
			r.t.Fatal(err)
		}
		return now.Phase == phase
	})
	return now
}

func (r *rig) version() string {
	r.t.Helper()
	p, err := r.Policies.Get(r.t.Context(), "cpu-boost")
	if err != nil {
		r.t.Fatal(err)
	}
	return p.ActiveVersion
}

func TestRolloutProvesItselfAndTakesOver(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	result := r.rollOut(as(t, "01-cpu-boost", "1.1.0"), quick())
	if result.Activated || result.Rollout == nil || r.version() != "1.0.0" {
		t.Fatalf("it decides at once: %+v", result)
	}
	r.until(api.RolloutCanary)
	canaries := 0
	for range 20 {
		if d := r.pass(); d.Part != nil {
			canaries++
			if d.Version != "1.1.0" || d.Part.Other != "1.0.0" {
				t.Errorf("a canary's decision is of %s, beside %s", d.Version, d.Part.Other)
			}
			replay, err := r.Decisions.Replay(t.Context(), d.ID, api.ReplayRequest{})
			if err != nil || !replay.SameBytes || !replay.SameFuel || replay.ReplayedWith != "1.1.0" {
				t.Fatalf("replay of a canary's decision: %+v, %v", replay, err)
			}
		}
	}
	r.until(api.RolloutActive)
	if r.version() != "1.1.0" {
		t.Errorf("version %s is in charge", r.version())
	}
	r.await("it is settled", func() bool {
		r.pass()
		now, err := r.Rollouts.Get(t.Context(), "cpu-boost")
		return err == nil && now.Over
	})
	if canaries == 0 && result.Rollout.Spec.Canary > 0 {
		t.Error("none of twenty passes was the canary's")
	}
	p, err := r.Policies.Rollback(t.Context(), "cpu-boost", "", person)
	if err != nil || p.ActiveVersion != "1.0.0" || p.StandbyVersion != "1.1.0" {
		t.Fatalf("going back: %+v, %v", p, err)
	}
	if p, err = r.Policies.Rollback(t.Context(), "cpu-boost", "", person); err != nil || p.ActiveVersion != "1.1.0" {
		t.Fatalf("and forth: %+v, %v", p, err)
	}
}

// TestShadowThatCrashesEndsThere: version 1.1.0 crashes as soon as the node is busy, and nobody but it notices.
func TestShadowThatCrashesEndsThere(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	s := quick()
	s.ShadowMS = uint64(time.Hour.Milliseconds())
	r.rollOut(as(t, "03-worse", "1.1.0"), s)
	r.busy(0.95)
	now := r.until(api.RolloutRetired)
	if now.Cause != "trap" || r.version() != "1.0.0" {
		t.Errorf("cause %q, version %s in charge", now.Cause, r.version())
	}
	r.await("version 1.0.0 goes on", func() bool { return r.limit() == fast })
	page, err := r.Decisions.List(t.Context(), api.DecisionFilter{Limit: 50, Outcomes: []api.DecisionOutcome{api.DecisionShadowed}})
	if err != nil || len(page.Items) == 0 || page.Items[0].Version != "1.1.0" {
		t.Errorf("its failure can't be looked at: %+v, %v", page.Items, err)
	}
	if s := r.engine.Status()[0]; s.Contender != "" || s.Failures != 0 {
		t.Errorf("it left %+v behind", s)
	}
}

// TestFailureOnProbationGoesBack: what works while the node is calm is activated, and crashes when it is busy.
func TestFailureOnProbationGoesBack(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	s := quick()
	s.SettleMS = uint64(time.Hour.Milliseconds())
	r.rollOut(as(t, "03-worse", "1.1.0"), s)
	r.until(api.RolloutActive)
	r.busy(0.95)
	now := r.until(api.RolloutRetired)
	// Passes that follow each other at once may fail three times before the first one is looked at.
	if now.Cause != "trap" && now.Cause != "faults" || r.version() != "1.0.0" {
		t.Errorf("cause %q (%s), version %s in charge", now.Cause, now.Why, r.version())
	}
	r.await("version 1.0.0 decides", func() bool { return r.limit() == fast })
}

func TestCanaryIsNarrowed(t *testing.T) {
	r := newRig(t)
	r.busy(0.95)
	if _, err := r.Policies.Upload(t.Context(), module(t, "01-cpu-boost"), api.UploadOptions{Parameters: map[string]float64{"calm": 0}}, person); err != nil {
		t.Fatal(err)
	}
	s := quick()
	s.ShadowMS, s.Canary, s.CanaryMS, s.MaxStep = 0, 1, uint64(time.Hour.Milliseconds()), 0.2
	r.rollOut(as(t, "01-cpu-boost", "1.1.0"), s)
	r.until(api.RolloutCanary)
	r.busy(0.05)
	d := r.pass()
	if d.Part == nil || len(d.Part.Narrowed) == 0 || r.limit() <= slow {
		t.Fatalf("a canary went all the way to %d kHz: %+v", r.limit(), d.Part)
	}
	e, err := r.Decisions.Explain(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, section := range e.Sections {
		told += strings.Join(section.Lines, "\n")
	}
	if !strings.Contains(told, "at most 20 % of its range at a time") {
		t.Errorf("the explanation does not say so:\n%s", told)
	}
}

func TestGateThatIsNotHeldEndsARollout(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	s := quick()
	s.ShadowMS, s.Gates, s.GateSamples = uint64(time.Hour.Milliseconds()), []string{"node_cpu_utilisation_ratio < 50%"}, 2
	r.rollOut(as(t, "01-cpu-boost", "1.1.0"), s)
	r.busy(0.7)
	if now := r.until(api.RolloutRetired); now.Cause != "gate" || !strings.Contains(now.Why, "node_cpu_utilisation_ratio") {
		t.Errorf("ended by %q: %s", now.Cause, now.Why)
	}
}

func TestPersonSteersARollout(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	s := quick()
	s.ShadowMS, s.SettleMS = uint64(time.Hour.Milliseconds()), uint64(time.Hour.Milliseconds())
	steer := func(verb api.RolloutVerb) api.Rollout {
		t.Helper()
		now, err := r.Rollouts.Steer(t.Context(), "cpu-boost", api.RolloutOrder{Verb: verb}, person)
		if err != nil {
			t.Fatalf("%s: %v", verb, err)
		}
		return now
	}
	r.rollOut(as(t, "01-cpu-boost", "1.1.0"), s)
	steer(api.RolloutPause)
	steer(api.RolloutResume)
	if now := steer(api.RolloutAbort); !now.Over || r.version() != "1.0.0" {
		t.Errorf("after abort: %+v", now)
	}
	r.rollOut(as(t, "01-cpu-boost", "1.2.0"), s)
	if now := steer(api.RolloutPromote); now.Phase != api.RolloutActive || r.version() != "1.2.0" {
		t.Errorf("after promote: %+v", now)
	}
	if now := steer(api.RolloutUndo); now.Phase != api.RolloutStandby || r.version() != "1.0.0" {
		t.Errorf("after undo: %+v", now)
	}
	_, err := r.Rollouts.Steer(t.Context(), "cpu-boost", api.RolloutOrder{Verb: api.RolloutPause}, person)
	if err == nil || codeOf(err) != "rollout.over" {
		t.Errorf("paused what is over: %v", err)
	}
}

// TestRolloutOutlivesRestarts in each phase: stopped in order, it goes on; nothing decides that was not in charge.
func TestRolloutOutlivesRestarts(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	s := quick()
	s.SettleMS = uint64(time.Hour.Milliseconds())
	s.ShadowMS = uint64(time.Hour.Milliseconds())
	r.rollOut(as(t, "01-cpu-boost", "1.1.0"), s)
	again := func() {
		t.Helper()
		r.stop()
		r.start()
	}
	again()
	r.busy(0.1)
	if now := r.until(api.RolloutShadow); now.Version != "1.1.0" || r.version() != "1.0.0" {
		t.Errorf("in shadow: %+v, %s in charge", now, r.version())
	}
	if _, err := r.Rollouts.Steer(t.Context(), "cpu-boost", api.RolloutOrder{Verb: api.RolloutPromote}, person); err != nil {
		t.Fatal(err)
	}
	again()
	r.busy(0.1)
	if now := r.until(api.RolloutActive); now.Over || r.version() != "1.1.0" {
		t.Errorf("on probation: %+v, %s in charge", now, r.version())
	}
	p, err := r.Policies.Rollback(t.Context(), "cpu-boost", "", person)
	if err != nil || p.ActiveVersion != "1.0.0" {
		t.Errorf("going back after a restart: %+v, %v", p, err)
	}
}

// TestPolicyOlderThanRollouts: one that was activated before there were any falls back all the same.
func TestPolicyOlderThanRollouts(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	if _, err := r.Policies.Upload(t.Context(), as(t, "01-cpu-boost", "1.1.0"), api.UploadOptions{}, person); err != nil {
		t.Fatal(err)
	}
	r.Policies.mu.Lock()
	r.Policies.trials["cpu-boost"].state = rollout.State{}
	r.Policies.mu.Unlock()
	r.Policies.unhealthy(t.Context(), agents.Unhealthy{Key: key("cpu-boost"), Version: "1.1.0", Failures: 3})
	p, err := r.Policies.Get(t.Context(), "cpu-boost")
	if err != nil || p.ActiveVersion != "1.0.0" || p.State != api.PolicyActive {
		t.Fatalf("after it failed: %s, %s, %v", p.ActiveVersion, p.State, err)
	}
	if p.Versions[0].State != api.VersionQuarantined {
		t.Errorf("the version that failed is %s", p.Versions[0].State)
	}
	r.awaitEvent(api.EventPolicyRolledBack)
	r.Policies.unhealthy(t.Context(), agents.Unhealthy{Key: key("cpu-boost"), Version: "1.0.0", Failures: 3})
	if p, err = r.Policies.Get(t.Context(), "cpu-boost"); err != nil || p.State != api.PolicyQuarantined || p.Health.Calls == 0 {
		t.Errorf("without another version: %s with %d calls, %v, want it quarantined with its counters", p.State, p.Health.Calls, err)
	}
}

func TestGateThatCannotBeReadIsRefusedAtOnce(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	for _, s := range []api.RolloutSpec{
		{ShadowMS: 1000, Gates: []string{"sum( < 5"}},
		{ShadowMS: 1000, Gates: []string{"nonsense(x) < 5"}},
		{ShadowMS: 1000, Goal: "lower rate(x)"},
	} {
		_, err := r.Policies.Upload(t.Context(), as(t, "01-cpu-boost", "1.1.0"), api.UploadOptions{DryRun: true, Rollout: &api.RolloutStart{Spec: s}}, person)
		var coded interface{ ErrorCode() string }
		if !errors.As(err, &coded) {
			t.Errorf("%v %s: got %v, want a refusal with a code", s.Gates, s.Goal, err)
		}
	}
}
