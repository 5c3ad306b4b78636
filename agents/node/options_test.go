package node

import (
	"slices"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/wasmabi"
)

// TestOptionsOfAVersionThatDoesNotStay: what came with it goes with it, and never reaches the version in charge.
func TestOptionsOfAVersionThatDoesNotStay(t *testing.T) {
	for _, phase := range []api.RolloutPhase{api.RolloutShadow, api.RolloutActive} {
		t.Run(string(phase), func(t *testing.T) {
			r := newRig(t)
			upload := func(raw []byte, high float64, s *api.RolloutSpec) {
				t.Helper()
				o := api.UploadOptions{Parameters: map[string]float64{"high": high}}
				if s != nil {
					o.Rollout = &api.RolloutStart{Spec: *s}
				}
				if _, err := r.Policies.Upload(t.Context(), raw, o, person); err != nil {
					t.Fatal(err)
				}
			}
			options := func() (inCharge, kept float64) {
				t.Helper()
				r.Policies.mu.Lock()
				defer r.Policies.mu.Unlock()
				record, err := r.Policies.db.Policy(t.Context(), "cpu-boost")
				if err != nil {
					t.Fatal(err)
				}
				live := r.Policies.find("cpu-boost")
				high := slices.IndexFunc(live.module.Manifest().Parameters, func(p wasmabi.Parameter) bool { return p.Name == "high" })
				return live.dict.Init().Parameters[high], record.Parameters["high"]
			}
			upload(module(t, "01-cpu-boost"), 0.3, nil)
			s := quick()
			s.SettleMS = 3_600_000
			if phase == api.RolloutShadow {
				s.ShadowMS = 3_600_000
			}
			upload(as(t, "01-cpu-boost", "1.1.0"), 0.9, &s)
			r.until(phase)
			if phase == api.RolloutShadow {
				r.stop()
				r.start()
				if now, _ := options(); now != 0.3 {
					t.Errorf("after a restart the version in charge has %v", now)
				}
			} else if now, _ := options(); now != 0.9 {
				t.Errorf("the version that was activated has %v", now)
			}
			if _, err := r.Rollouts.Steer(t.Context(), "cpu-boost", api.RolloutOrder{Verb: api.RolloutAbort}, person); err != nil {
				t.Fatal(err)
			}
			if now, kept := options(); now != 0.3 || kept != 0.3 || r.version() != "1.0.0" {
				t.Errorf("after the rollout %s has %v, and %v is kept", r.version(), now, kept)
			}
		})
	}
}

// TestARefusedUploadDisturbsNoRollout: the contexts of the candidate go on.
func TestARefusedUploadDisturbsNoRollout(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	s := quick()
	s.ShadowMS = 3_600_000
	r.rollOut(as(t, "01-cpu-boost", "1.1.0"), s)
	other := func() *running {
		r.Policies.mu.Lock()
		defer r.Policies.mu.Unlock()
		return r.Policies.trials["cpu-boost"].other
	}
	before := other()
	_, err := r.Policies.Upload(t.Context(), as(t, "01-cpu-boost", "1.2.0"), api.UploadOptions{Rollout: &api.RolloutStart{Spec: s}}, person)
	if err == nil || codeOf(err) != "rollout.running" {
		t.Errorf("a second rollout: %v", err)
	}
	if other() != before {
		t.Error("the candidate was taken out and put back")
	}
}

// TestStandbyIsPutBackInChargeAfterARestart: an undo is undone though nobody has prepared the standby since.
func TestStandbyIsPutBackInChargeAfterARestart(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	if _, err := r.Policies.Upload(t.Context(), as(t, "01-cpu-boost", "1.1.0"), api.UploadOptions{}, person); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.0.0", "1.1.0"} {
		if p, err := r.Policies.Rollback(t.Context(), "cpu-boost", "", person); err != nil || p.ActiveVersion != want {
			t.Fatalf("%s decides, %v, want %s", p.ActiveVersion, err, want)
		}
		r.stop()
		r.start()
	}
}
