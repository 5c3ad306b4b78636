//go:build linux

package daemon

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// brief goes through its phases as fast as a few passes allow.
func brief() api.RolloutSpec {
	return api.RolloutSpec{ShadowMS: 300, ShadowBudget: 1, Canary: 0.4, CanaryMS: 500, MaxStep: 0.5, SettleMS: 500, Passes: 2, HoldDownMS: 1}
}

// long stays in a phase until somebody moves it.
func long(phase api.RolloutPhase) api.RolloutSpec {
	const hour = 3_600_000
	s := brief()
	s.SettleMS = hour
	switch phase {
	case api.RolloutShadow:
		s.ShadowMS = hour
	case api.RolloutCanary:
		s.ShadowMS, s.CanaryMS = 0, hour
	default:
		s.ShadowMS, s.Canary, s.CanaryMS, s.MaxStep = 0, 0, 0, 0
		s.Gates = []string{"node_load1 >= 0"} // so that it is watched
	}
	return s
}

func (h *home) rollOut(t *testing.T, module []byte, s api.RolloutSpec) api.Rollout {
	t.Helper()
	result, err := h.api.UploadPolicy(t.Context(), module, api.UploadOptions{Rollout: &api.RolloutStart{Spec: s}})
	if err != nil {
		t.Fatal(err)
	}
	if result.Rollout == nil {
		t.Fatalf("no rollout began: %+v", result)
	}
	return *result.Rollout
}

func (h *home) rollout(t *testing.T) api.Rollout {
	t.Helper()
	r, err := h.api.Rollout(t.Context(), "pulse")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (h *home) awaitRollout(t *testing.T, what string, holds func(api.Rollout) bool) (r api.Rollout) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("rollout of %s: %s, active %s, %s: %s", r.Version, r.Phase, r.ActiveVersion, r.Cause, r.Why)
		}
	}()
	eventually(t, what, func() bool { r = h.rollout(t); return holds(r) })
	return r
}

func in(phase api.RolloutPhase) func(api.Rollout) bool {
	return func(r api.Rollout) bool { return r.Phase == phase && r.Doing == "" }
}

// deciders are the versions that decided since a moment; shadows decide nothing.
func (h *home) deciders(t *testing.T, since time.Time) (versions []string) {
	t.Helper()
	page, err := h.api.Decisions(t.Context(), api.DecisionFilter{Policy: "pulse", Since: since, Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range page.Items {
		if d.Outcome != api.DecisionShadowed && d.Outcome != api.DecisionFailed && !slices.Contains(versions, d.Version) {
			versions = append(versions, d.Version)
		}
	}
	slices.Sort(versions)
	return versions
}

// phases follows a rollout until the context ends.
func (h *home) phases(ctx context.Context, id string, to chan<- api.RolloutPhase) {
	defer close(to)
	for change, err := range h.api.WatchRollouts(ctx) {
		if err != nil {
			return
		}
		if change.Item != nil && change.Item.ID == id {
			select {
			case to <- change.Item.Phase:
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestRollout takes a version through every phase into charge, then one that fails in shadow, and one that fails in charge.
func TestRollout(t *testing.T) {
	h := newHome(t)
	h.start(t)
	h.upload(t, 0)
	h.wantDecisions(t)

	begun := time.Now()
	r := h.rollOut(t, pulse(t, "1.1.0"), brief())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan api.RolloutPhase, 256)
	go h.phases(ctx, r.ID, seen)
	h.awaitRollout(t, "version 1.1.0 is in charge and settled", func(r api.Rollout) bool { return r.Phase == api.RolloutActive && r.Over })
	cancel()
	var phases []api.RolloutPhase
	for p := range seen {
		if len(phases) == 0 || phases[len(phases)-1] != p {
			phases = append(phases, p)
		}
	}
	if want := []api.RolloutPhase{api.RolloutShadow, api.RolloutCanary, api.RolloutActive}; !slices.Equal(phases, want) {
		t.Errorf("a watcher saw %v, want %v", phases, want)
	}
	if got := h.deciders(t, begun); !slices.Equal(got, []string{"1.0.0", "1.1.0"}) {
		t.Errorf("versions that decided: %v", got)
	}

	begun = time.Now()
	h.rollOut(t, pulseThat(t, "1.2.0", 1), long(api.RolloutShadow))
	r = h.awaitRollout(t, "a version that traps in shadow is retired", in(api.RolloutRetired))
	if r.Cause != "trap" || h.active(t) != "1.1.0" {
		t.Errorf("it ended by %q (%s), version %s is in charge", r.Cause, r.Why, h.active(t))
	}
	h.wantDecisions(t)
	if got := h.deciders(t, begun); !slices.Equal(got, []string{"1.1.0"}) {
		t.Errorf("versions that decided beside a shadow: %v", got)
	}

	h.rollOut(t, pulseThat(t, "1.3.0", 1), long(api.RolloutActive))
	r = h.awaitRollout(t, "a version that traps in charge is rolled back", in(api.RolloutRetired))
	if h.active(t) != "1.1.0" || r.Cause == "" {
		t.Errorf("it ended by %q (%s), version %s is in charge", r.Cause, r.Why, h.active(t))
	}
	h.wantDecisions(t)
	audit, err := h.api.Audit(t.Context(), api.AuditFilter{Action: "policy.rollback", Limit: 10})
	if err != nil || len(audit.Items) == 0 {
		t.Errorf("the audit does not tell of the rollback: %+v, %v", audit.Items, err)
	}
}

// TestKilledInEachPhase: one kill and the rollout goes on where it was; another, before the daemon has been up for a while, and the
// version that was good is in charge. At no time does a version decide that has no right to.
func TestKilledInEachPhase(t *testing.T) {
	for _, phase := range []api.RolloutPhase{api.RolloutShadow, api.RolloutCanary, api.RolloutActive} {
		t.Run(string(phase), func(t *testing.T) {
			h := newHome(t)
			d := h.start(t)
			h.upload(t, 0)
			h.wantDecisions(t)
			r := h.rollOut(t, pulse(t, "1.1.0"), long(phase))
			h.awaitRollout(t, "it is in its phase", in(phase))
			d.kill()

			begun := time.Now()
			d = h.start(t)
			h.awaitRollout(t, "it goes on in its phase", func(now api.Rollout) bool { return now.ID == r.ID && in(phase)(now) })
			h.wantDecisions(t)
			mayDecide := map[api.RolloutPhase][]string{
				api.RolloutShadow: {"1.0.0"}, api.RolloutCanary: {"1.0.0", "1.1.0"}, api.RolloutActive: {"1.1.0"},
			}[phase]
			for _, v := range h.deciders(t, begun) {
				if !slices.Contains(mayDecide, v) {
					t.Errorf("version %s decided in %s", v, phase)
				}
			}
			d.kill()

			h.start(t)
			now := h.awaitRollout(t, "the second crash ends it", in(api.RolloutRetired))
			if now.Cause != "restarts" || h.active(t) != "1.0.0" {
				t.Errorf("it ended by %q (%s), version %s is in charge", now.Cause, now.Why, h.active(t))
			}
			begun = time.Now()
			h.wantDecisions(t)
			if got := h.deciders(t, begun); !slices.Equal(got, []string{"1.0.0"}) {
				t.Errorf("versions that decide after all: %v", got)
			}
		})
	}
}

// TestKilledInTheExchange kills the daemon while a version is put in charge, and while it is taken back.
func TestKilledInTheExchange(t *testing.T) {
	h := newHome(t)
	random := seeded(t)
	d := h.start(t)
	h.upload(t, 0)
	h.wantDecisions(t)
	for _, version := range []string{"1.1.0", "1.2.0", "1.3.0", "1.4.0"} {
		h.rollOut(t, pulse(t, version), long(api.RolloutShadow))
		for _, verb := range []api.RolloutVerb{api.RolloutPromote, api.RolloutUndo} {
			done := make(chan error, 1)
			go func() {
				_, err := h.api.SteerRollout(t.Context(), "pulse", api.RolloutOrder{Verb: verb})
				done <- err
			}()
			time.Sleep(random(20 * time.Millisecond))
			d.kill()
			answer := <-done
			d = h.start(t)
			h.wantOneInCharge(t, string(verb), version, answer)
			if h.rollout(t).Over {
				break
			}
		}
		for !h.rollout(t).Over { // through what is left of it
			if _, err := h.api.SteerRollout(t.Context(), "pulse", api.RolloutOrder{Verb: api.RolloutPromote}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wantOneInCharge expects the policy, its rollout and its decisions to agree on who decides.
func (h *home) wantOneInCharge(t *testing.T, verb, version string, answer error) {
	t.Helper()
	eventually(t, "a version is in charge", func() bool { return h.active(t) != "" })
	h.wantDecisions(t) // so that the daemon has taken up what it left
	now := h.awaitRollout(t, "it comes to rest", func(r api.Rollout) bool { return r.Doing == "" })
	begun := time.Now()
	h.wantDecisions(t)
	active := h.active(t)
	t.Logf("killed in %s of %s (%v): %s is in charge, the rollout is %s", verb, version, answer, active, now.Phase)
	if now.ActiveVersion != "" && now.ActiveVersion != active {
		t.Errorf("the rollout says that %s is in charge, the policy %s", now.ActiveVersion, active)
	}
	if got := h.deciders(t, begun); len(got) != 1 || got[0] != active {
		t.Errorf("%v decide, %s is in charge", got, active)
	}
}

// TestPlainUploadThatTakesTheDaemonDownTwice comes up on the version before, though nobody asked for a careful rollout.
func TestPlainUploadThatTakesTheDaemonDownTwice(t *testing.T) {
	h := newHome(t)
	d := h.start(t)
	h.upload(t, 0)
	h.vouch(t)
	h.upload(t, 1)
	for _, want := range []string{"1.0.1", "1.0.0"} {
		d.kill()
		d = h.start(t)
		h.wantDecisions(t) // so that it has taken up what it left
		if got := h.active(t); got != want {
			t.Fatalf("after a crash version %s is in charge, want %s", got, want)
		}
	}
	if r := h.rollout(t); r.Cause != "restarts" {
		t.Errorf("it ended by %q: %s", r.Cause, r.Why)
	}
}
