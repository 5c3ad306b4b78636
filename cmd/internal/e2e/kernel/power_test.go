//go:build linux

package kernel_test

import (
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
)

// The plug is pulled the moment after the daemon has promised something. What its kernel had not written by then is gone, so
// this tests what the daemon synchronises, which killing it does not.
func TestPowerLoss(t *testing.T) {
	files := nodeFiles(t, kernel.AMD64, "/disk/state")
	policy := boostPolicy(t)
	disk := filepath.Join(shortDir(t), "disk")
	if err := kernel.MakeDisk(t.Context(), disk, 128<<20); err != nil {
		skipOrFail(t, err)
	}
	powerOn := func(t *testing.T) (*kernel.Machine, *node) {
		m, dir := bootX86With(t, disk, files...)
		return m, startNode(t, m, dir)
	}
	var decision string

	step(t, "after a policy was accepted", func(t *testing.T) {
		m, n := powerOn(t)
		n.edgehold(t, "policy", "upload", policy)
		m.PullPlug()
	})
	step(t, "after a decision was acted on", func(t *testing.T) {
		m, n := powerOn(t)
		wantVersion(t, n, "1.0.0")
		eventually(t, m, "a decision is acted on", func() bool {
			page, err := n.api.Decisions(t.Context(), api.DecisionFilter{
				Policy: "boost", Outcomes: []api.DecisionOutcome{api.DecisionApplied, api.DecisionClamped},
			})
			if err != nil || len(page.Items) == 0 {
				return false
			}
			decision = page.Items[0].ID
			return true
		})
		m.PullPlug()
	})
	step(t, "nothing promised is lost", func(t *testing.T) {
		_, n := powerOn(t)
		wantVersion(t, n, "1.0.0")
		if _, err := n.api.Decision(t.Context(), decision); err != nil {
			t.Errorf("the decision that was acted on: %v", err)
		}
		if v, err := n.api.VerifyAudit(t.Context()); err != nil || !v.Whole {
			t.Errorf("the audit is not whole: %+v, %v", v, err)
		}
	})
}

func wantVersion(t *testing.T, n *node, version string) {
	t.Helper()
	p, err := n.api.Policy(t.Context(), "boost")
	if err != nil || p.ActiveVersion != version {
		t.Fatalf("version %q is active, want %s: %v", p.ActiveVersion, version, err)
	}
}
