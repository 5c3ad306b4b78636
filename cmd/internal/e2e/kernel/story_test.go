//go:build linux

package kernel_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
)

// story is the main job from outside: a policy is uploaded, a real load wakes it, it turns a real driver's knob, and when
// the daemon is killed the knob goes back.
func story(t *testing.T, m *kernel.Machine, dir string, policy string, hw hardware) {
	n := startNode(t, m, dir)
	before := knobFiles(t, m)
	var stop func(*testing.T) // ends the load
	var decision string

	step(t, "a policy is uploaded while the daemon runs", func(t *testing.T) {
		begun := time.Now()
		n.edgehold(t, "policy", "upload", policy)
		t.Logf("taken in after %v", time.Since(begun).Round(time.Millisecond))
		p, err := n.api.Policy(t.Context(), "boost")
		if err != nil || p.State != api.PolicyActive {
			t.Fatalf("the policy is %s: %s, %v", p.State, p.StateReason, err)
		}
	})
	step(t, "a calm machine is slowed down", func(t *testing.T) {
		eventually(t, m, "the limit is at its lowest", func() bool { return readOne(t, m, "policy0/scaling_max_freq") == hw.slow })
		eventually(t, m, "every processor is slow", func() bool { return hw.evidence(t, hw.slow) })
	})
	step(t, "a load speeds it up", func(t *testing.T) {
		begun := time.Now()
		stop = burn(t, m)
		eventually(t, m, "every processor is fast", func() bool { return hw.evidence(t, hw.fast) })
		t.Logf("fast %v after the load began", time.Since(begun).Round(time.Millisecond))
	})
	step(t, "the decision is explained and replayed", func(t *testing.T) { decision = explain(t, n) })
	step(t, "a clock that jumps takes nothing away", func(t *testing.T) { jumpNode(t, n, hw, decision) })
	step(t, "without the load it is slow again", func(t *testing.T) {
		stop(t)
		eventually(t, m, "the limit is at its lowest", func() bool { return readOne(t, m, "policy0/scaling_max_freq") == hw.slow })
	})
	step(t, "a killed daemon leaves nothing behind", func(t *testing.T) {
		n.kill(t)
		begun := time.Now()
		eventually(t, m, "the knobs are back", func() bool { return cmp.Equal(before, knobFiles(t, m)) })
		t.Logf("every knob was back %v after the kill", time.Since(begun).Round(10*time.Millisecond))
	})
	step(t, "the next daemon goes on", func(t *testing.T) {
		n.start(t)
		wantVersion(t, n, "1.0.0")
	})
}

// explain asks why the knob was turned last, and has the decision made again.
func explain(t *testing.T, n *node) (decision string) {
	var newest api.DecisionSummary
	eventually(t, n.m, "the decision is finished", func() bool {
		page, err := n.api.Decisions(t.Context(), api.DecisionFilter{
			Policy: "boost", Outcomes: []api.DecisionOutcome{api.DecisionApplied, api.DecisionClamped},
		})
		if err != nil || len(page.Items) == 0 {
			return false
		}
		newest = page.Items[0]
		return newest.Why == "busy"
	})
	if text := n.edgehold(t, "decision", "explain", newest.ID); !strings.Contains(text, "busy") {
		t.Errorf("explained without the policy's own reason:\n%s", text)
	}
	r, err := n.api.ReplayDecision(t.Context(), newest.ID, api.ReplayRequest{})
	if err != nil || !r.SameBytes || !r.SameFuel || !r.SamePlan {
		t.Errorf("replayed %+v, %v", r, err)
	}
	return newest.ID
}

// jumpNode sets the clock ahead and back; the policy must be running and its decisions be there after each.
func jumpNode(t *testing.T, n *node, hw hardware, decision string) {
	for _, to := range []time.Time{time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if err := n.m.SetClock(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		p, err := n.api.Policy(t.Context(), "boost")
		if err != nil || p.State != api.PolicyActive {
			t.Fatalf("at %v the policy is %s (%s), %v", to, p.State, p.StateReason, err)
		}
		calls := p.Health.Calls
		eventually(t, n.m, "the policy is called after the jump", func() bool {
			p, err := n.api.Policy(t.Context(), "boost")
			return err == nil && p.Health.Calls > calls
		})
		if got := readOne(t, n.m, "policy0/scaling_max_freq"); got != hw.fast {
			t.Errorf("at %v the limit is %s, want %s still", to, got, hw.fast)
		}
		if _, err := n.api.Decision(t.Context(), decision); err != nil {
			t.Errorf("at %v: %v", to, err)
		}
	}
}

func number(kHz string) int {
	n, _ := strconv.Atoi(kHz)
	return n
}
