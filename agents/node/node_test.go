package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
)

const fast, slow = 3_000_000, 1_200_000 // kHz, of the recorded tree

// calm makes cpu-boost lower the limit: its node has been calm for no time at all.
func calm(t *testing.T, r *rig) {
	t.Helper()
	r.busy(0.1)
	_, err := r.Policies.Upload(t.Context(), module(t, "01-cpu-boost"), api.UploadOptions{Parameters: map[string]float64{"calm": 0}}, api.DaemonActor)
	if err != nil {
		t.Fatal(err)
	}
	r.await("the limit is low", func() bool { return r.limit() == slow })
}

func TestPolicyTurnsTheKnobAndGivesItBack(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	r.busy(0.95)
	r.await("a busy node has its limit raised", func() bool { return r.limit() == fast })
	r.busy(0.05)
	r.await("a calm one has it lowered", func() bool { return r.limit() == slow })

	if _, err := r.Policies.Disable(t.Context(), "cpu-boost", api.DaemonActor); err != nil {
		t.Fatal(err)
	}
	if got := r.limit(); got != fast {
		t.Errorf("after disable: got %d kHz, want the old value %d", got, fast)
	}
	if _, err := r.Policies.Enable(t.Context(), "cpu-boost", api.DaemonActor); err != nil {
		t.Fatal(err)
	}
	r.await("enabled again, it acts again", func() bool { return r.limit() == slow })
	r.stop()
	if got := r.limit(); got != fast {
		t.Errorf("after the end: got %d kHz, want the old value %d", got, fast)
	}
}

func TestDecisionIsExplainedAndReplayed(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	r.busy(0.95)
	r.await("the limit is raised", func() bool { return r.limit() == fast })
	r.await("the decision is finished", func() bool { return len(r.list(t, api.DecisionApplied)) >= 2 })
	id := r.list(t, api.DecisionApplied)[0].ID

	d, err := r.Decisions.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if d.Trigger != "wake" || len(d.Crossed) != 1 || !d.Replayable || len(d.Calls) != 4 {
		t.Errorf("decision: got trigger %s, crossed %v, replayable %v, %d calls", d.Trigger, d.Crossed, d.Replayable, len(d.Calls))
	}
	e, err := r.Decisions.Explain(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(e.Summary, "cpu-boost") || len(e.Sections) < 3 {
		t.Errorf("explanation: got %+v", e)
	}
	report, err := r.Decisions.Replay(t.Context(), id, api.ReplayRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.SameBytes || !report.SameFuel || !report.SamePlan || report.Counterfactual {
		t.Errorf("replay: got %+v, want the same", report)
	}
	other, err := r.Decisions.Replay(t.Context(), id, api.ReplayRequest{Module: module(t, "03-worse")})
	if err != nil {
		t.Fatal(err)
	}
	if !other.Counterfactual || other.SamePlan || other.Error == nil {
		t.Errorf("counterfactual with a policy that crashes: got %+v", other)
	}
}

func (r *rig) list(t *testing.T, outcomes ...api.DecisionOutcome) []api.DecisionSummary {
	t.Helper()
	page, err := r.Decisions.List(t.Context(), api.DecisionFilter{Outcomes: outcomes, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

func TestWorseVersionIsRolledBack(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for three failures with back-off between them")
	}
	r := newRig(t)
	calm(t, r)
	result := r.upload("03-worse")
	if !result.Activated || result.Replaced != "1.0.0" {
		t.Fatalf("upload: got %+v, want it activated in place of 1.0.0", result)
	}
	r.busy(0.95)
	r.awaitEvent(api.EventPolicyRolledBack)
	p, err := r.Policies.Get(t.Context(), "cpu-boost")
	if err != nil {
		t.Fatal(err)
	}
	if p.ActiveVersion != "1.0.0" || p.State != api.PolicyActive {
		t.Errorf("after the rollback: got %s, %s", p.ActiveVersion, p.State)
	}
	if p.Versions[0].State != api.VersionQuarantined {
		t.Errorf("the worse version: got %s, want it quarantined", p.Versions[0].State)
	}
	_, err = r.Policies.Upload(t.Context(), module(t, "03-worse"), api.UploadOptions{}, api.DaemonActor)
	if nodeError := new(Error); !errors.As(err, &nodeError) || nodeError.Code != "policy.quarantined" {
		t.Errorf("the same module again: got %v, want it refused", err)
	}
	r.await("the version before acts", func() bool { return r.limit() == fast })
}

func TestRefusedUploadLeavesTheRunningVersion(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	for name, raw := range map[string][]byte{
		"empty": {}, "text": []byte("not wasm"), "cut short": module(t, "01-cpu-boost")[:100_000],
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Policies.Upload(t.Context(), raw, api.UploadOptions{}, api.DaemonActor)
			var coded interface{ ErrorCode() string }
			var hinted interface{ ErrorHint() string }
			if !errors.As(err, &coded) || !errors.As(err, &hinted) || hinted.ErrorHint() == "" {
				t.Errorf("got %v, want a code and a hint", err)
			}
		})
	}
	if p, err := r.Policies.Get(t.Context(), "cpu-boost"); err != nil || p.State != api.PolicyActive {
		t.Errorf("the running version: got %v, %v", p.State, err)
	}
	page, err := r.Audit.List(t.Context(), api.AuditFilter{Action: "policy.upload", Limit: 10})
	if err != nil || len(page.Items) != 4 || page.Items[0].Outcome != "refused" {
		t.Errorf("audit: got %+v, %v", page.Items, err)
	}
}

func TestRestartResumesPoliciesAndDecisions(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	r.await("the decision is finished", func() bool { return len(r.list(t, api.DecisionApplied)) == 1 })
	r.stop()
	r.start()
	if got := len(r.list(t, api.DecisionApplied)); got != 1 {
		t.Errorf("decisions after a restart: got %d, want 1", got)
	}
	r.busy(0.05)
	r.await("the policy acts again", func() bool { return r.limit() == slow })
}

func TestUploadMendsADamagedModule(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	r.stop()
	stored, err := filepath.Glob(filepath.Join(r.config.StateDirectory, "modules", "*.wasm"))
	if err != nil || len(stored) != 1 {
		t.Fatalf("stored modules: got %v, %v", stored, err)
	}
	if err := os.WriteFile(stored[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	if p, err := r.Policies.Get(t.Context(), "cpu-boost"); err != nil || p.State == api.PolicyActive {
		t.Fatalf("with a damaged module: got %v, %v", p.State, err)
	}
	if result := r.upload("01-cpu-boost"); !result.Activated || result.Unchanged {
		t.Errorf("upload: got %+v, want it activated", result)
	}
}

func TestTwoAgentsCantShareAStateFolder(t *testing.T) {
	r := newRig(t)
	_, err := Open(t.Context(), r.config, Options{})
	if err == nil {
		t.Fatal("the second agent started")
	}
	if errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
