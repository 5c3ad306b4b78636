package node

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// TestCallerGoesAwayWhileAPolicyStops: a loop that was told to end ends, and the policy can be enabled again.
func TestCallerGoesAwayWhileAPolicyStops(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Policies.stop(gone, "cpu-boost"); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := r.Policies.Enable(t.Context(), "cpu-boost", api.DaemonActor); err != nil {
		t.Fatal(err)
	}
	r.await("it acts again", func() bool { return r.limit() == slow })
}

func TestQuarantineOutlivesARestartUntilAPersonInsists(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	active := r.Policies.find("cpu-boost")
	if err := r.db.Quarantine(t.Context(), "cpu-boost", active.digest, "it misbehaved"); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	p, err := r.Policies.Get(t.Context(), "cpu-boost")
	if err != nil || p.State != api.PolicyQuarantined {
		t.Fatalf("after the restart: got %s (%s), %v, want it quarantined", p.State, p.StateReason, err)
	}
	if p, err = r.Policies.Rollback(t.Context(), "cpu-boost", "1.0.0", api.DaemonActor); err != nil || p.State != api.PolicyActive {
		t.Fatalf("a person insists: got %s (%s), %v, want it active", p.State, p.StateReason, err)
	}
	if p.Versions[0].State != api.VersionActive {
		t.Errorf("its version: got %s, want active", p.Versions[0].State)
	}
}

func TestDeletedPolicyLeavesNoRestrictionBehind(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	if err := r.db.SetAllow(t.Context(), "cpu-boost", []string{"Other"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Policies.Delete(t.Context(), "cpu-boost", api.DaemonActor); err != nil {
		t.Fatal(err)
	}
	if result := r.upload("01-cpu-boost"); !result.Activated {
		t.Errorf("uploaded anew: got %+v", result)
	}
}

// TestDeletedPolicyStaysDeleted though its module still lies in the policy folder.
func TestDeletedPolicyStaysDeleted(t *testing.T) {
	r := newRig(t)
	folder := t.TempDir()
	raw := module(t, "01-cpu-boost")
	if err := os.WriteFile(filepath.Join(folder, "boost.wasm"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Policies.uploadFolder(t.Context(), folder)
	if r.Policies.find("cpu-boost") == nil {
		t.Fatal("the folder's policy is not there")
	}
	if err := r.Policies.Delete(t.Context(), "cpu-boost", api.DaemonActor); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	r.Policies.uploadFolder(t.Context(), folder)
	if r.Policies.find("cpu-boost") != nil {
		t.Error("a deleted policy came back from the folder")
	}
	if r.upload("01-cpu-boost"); r.Policies.find("cpu-boost") == nil {
		t.Error("a person can't bring it back")
	}
}

// TestPolicyWaitsWhileItsHardwareIsAway: CPUs that go offline take their knobs along. A policy that can't do without them
// waits; it has not misbehaved.
func TestPolicyWaitsWhileItsHardwareIsAway(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	cpus := filepath.Join(r.tree, "sys/devices/system/cpu/cpufreq")
	if err := os.Rename(cpus, cpus+".away"); err != nil {
		t.Fatal(err)
	}
	state := func() api.PolicyState {
		p, err := r.Policies.Get(t.Context(), "cpu-boost")
		if err != nil {
			t.Fatal(err)
		}
		return p.State
	}
	r.await("it waits", func() bool { return state() == api.PolicyWaiting })
	if err := os.Rename(cpus+".away", cpus); err != nil {
		t.Fatal(err)
	}
	r.await("it is back", func() bool { return state() == api.PolicyActive })
	r.await("it acts again", func() bool { return r.limit() == slow })
}

// TestStartThatFailedIsTriedAgain: what kept a policy from starting may pass.
func TestStartThatFailedIsTriedAgain(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	r.stop()
	stored, err := filepath.Glob(filepath.Join(r.config.StateDirectory, "modules", "*.wasm"))
	if err != nil || len(stored) != 1 {
		t.Fatalf("stored modules: got %v, %v", stored, err)
	}
	if err := os.Rename(stored[0], stored[0]+".away"); err != nil {
		t.Fatal(err)
	}
	r.start()
	if r.Policies.find("cpu-boost").module != nil {
		t.Fatal("it started without its module")
	}
	if err := os.Rename(stored[0]+".away", stored[0]); err != nil {
		t.Fatal(err)
	}
	failed := *r.Policies.find("cpu-boost")
	failed.again = time.Now()
	r.Policies.running.Store("cpu-boost", &failed)
	r.busy(0.05)
	r.await("it acts", func() bool { return r.limit() == slow })
}
