package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
)

// TestGatesAreReadBeforeAnythingIsStored uploads with gates that can't be, which leaves no trace, and with some that a person
// should know about.
func TestGatesAreReadBeforeAnythingIsStored(t *testing.T) {
	r := newRig(t)
	calm(t, r)
	next := as(t, "01-cpu-boost", "1.1.0")
	upload := func(o api.UploadOptions, change func(*api.RolloutSpec)) (api.UploadResult, error) {
		s := quick()
		change(&s)
		o.Rollout = &api.RolloutStart{Spec: s}
		return r.Policies.Upload(t.Context(), next, o, person)
	}
	for text, want := range map[string]string{"no_such_function(a)<=3": "rollout.bad-gate", "a=3": "rollout.bad-gate"} {
		_, err := upload(api.UploadOptions{}, func(s *api.RolloutSpec) { s.Gates = []string{text} })
		if err == nil || codeOf(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := upload(api.UploadOptions{}, func(s *api.RolloutSpec) { s.Strikes = -1 }); err == nil || codeOf(err) != "rollout.bad-spec" {
		t.Errorf("strikes below zero: %v", err)
	}
	versions, err := r.Policies.Versions(t.Context(), "cpu-boost")
	if err != nil || len(versions) != 1 {
		t.Errorf("%d versions are stored, %v", len(versions), err)
	}
	result, err := upload(api.UploadOptions{DryRun: true}, func(s *api.RolloutSpec) {
		s.Gates, s.Goal = []string{"app.nobody<=3", "node_cpu_utilisation_ratio > 500%"}, "lower app.nobody"
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"app.nobody<=3 has no data yet", "node_cpu_utilisation_ratio>500% does not hold now", "goal lower app.nobody"} {
		if !slices.ContainsFunc(result.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("no warning says %q: %q", want, result.Warnings)
		}
	}
}
