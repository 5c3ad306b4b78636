package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
)

// TestHostileAnswers: whatever a policy answers, the agent goes on, the decision says what was wrong, and can be read,
// explained and replayed.
func TestHostileAnswers(t *testing.T) {
	r := newRig(t)
	raw := module(t, "../agents/node/testdata/hostile")
	for mode := range 21 {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			_, err := r.Policies.Upload(t.Context(), raw, api.UploadOptions{Parameters: map[string]float64{"mode": float64(mode)}}, api.DaemonActor)
			if coded := (*Error)(nil); mode == 2 && errors.As(err, &coded) && coded.Code == "policy.does-not-start" {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 12 {
				d, err := r.engine.Trigger(t.Context(), key("hostile"), "test")
				if err != nil {
					t.Fatal(err)
				}
				if d.Failure != nil && d.Failure.Code == "" || strings.Contains(fmt.Sprint(d.Failure), "panic") {
					t.Errorf("failure without a code: %+v", d.Failure)
				}
				t.Log(d.Outcome, d.Reason, d.Failure)
				r.readable(t, &d)
				if d.Outcome == agents.Failed {
					break
				}
			}
			if r.Policies.find("hostile").bound() && mode == 1 {
				if d, err := r.engine.Trigger(t.Context(), key("hostile"), "test"); err != nil || d.Failure != nil && d.Failure.Phase == "begin" {
					t.Errorf("it can't begin any more: %+v, %v", d.Failure, err)
				}
			}
			if err := r.Policies.Delete(t.Context(), "hostile", api.DaemonActor); err != nil {
				t.Fatal(err)
			}
		})
	}
	if got := r.limit(); got != fast {
		t.Errorf("after all: got %d kHz, want the old value %d", got, fast)
	}
}

func (r *rig) readable(t *testing.T, d *agents.Decision) {
	t.Helper()
	one, err := r.Decisions.Get(t.Context(), d.ID)
	if err != nil {
		t.Errorf("get: %v", err)
		return
	}
	text, err := json.Marshal(one)
	if err != nil || !utf8.Valid(text) {
		t.Errorf("as JSON: %v", err)
	}
	if _, err := r.Decisions.Explain(t.Context(), d.ID); err != nil {
		t.Errorf("explain: %v", err)
	}
	if !one.Replayable {
		return
	}
	report, err := r.Decisions.Replay(t.Context(), d.ID, api.ReplayRequest{})
	if err != nil || !report.SameBytes || !report.SameFuel {
		t.Errorf("replay: %+v, %v", report, err)
	}
}
