package apiserver_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
)

// everything is a rollout that names each parameter.
var everything = api.RolloutStart{
	Spec: api.RolloutSpec{
		ShadowMS: 60_000, ShadowBudget: 0.1, Canary: 0.05, CanaryMS: 30_000, MaxStep: 0.2, SettleMS: 1000, PatienceMS: 2000, Passes: 7,
		Gates: []string{"app.latency_p99<=50ms", `avg(a{b="c"})>1`}, GateSamples: 2, Goal: "higher app.rate within 10%",
		MaxDivergence: 0.5, MaxFuelRatio: 3, MaxLatencyRatio: 4, MaxLatencyUS: 5000, MaxFaults: 6, HoldDownMS: 8000, Strikes: 9,
	},
	Supersede: true, Force: true,
}

// TestRolloutParametersArrive sends each of them and reads them from the rollout that began.
func TestRolloutParametersArrive(t *testing.T) {
	s, ctx := serve(t), t.Context()
	upload(t, s, "a", "1.0.0")
	result, err := s.client.UploadPolicy(ctx, module(t, "a", "1.1.0"), api.UploadOptions{Rollout: &everything})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result.Rollout.Spec, everything.Spec); diff != "" {
		t.Error(diff)
	}
	if result.Activated || result.Rollout.Phase != api.RolloutShadow {
		t.Errorf("%+v", result)
	}
}

func TestWatchRollouts(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	upload(t, s, "a", "1.0.0")
	start := &api.RolloutStart{Spec: api.RolloutSpec{Canary: 0.5, CanaryMS: 60_000}}
	if _, err := s.client.UploadPolicy(ctx, module(t, "a", "1.1.0"), api.UploadOptions{Rollout: start}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for change, err := range s.client.WatchRollouts(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case change.Type == api.ChangeListed:
			s.client.SteerRollout(ctx, "a", api.RolloutOrder{Verb: api.RolloutPause, Why: "lunch"})
		case change.Item.Paused:
			got = append(got, "paused: "+change.Item.History[len(change.Item.History)-1].Why)
			s.client.SteerRollout(ctx, "a", api.RolloutOrder{Verb: api.RolloutAbort})
		default:
			got = append(got, change.Type+" "+string(change.Item.Phase))
			if change.Item.Over {
				cancel()
			}
		}
	}
	if diff := cmp.Diff(got, []string{"present canary", "paused: lunch", "changed retired"}); diff != "" {
		t.Error(diff)
	}
}

func TestSteeringRefuses(t *testing.T) {
	s, ctx := serveTLS(t), t.Context()
	upload(t, s.served, "a", "1.0.0")
	_, err := s.client.SteerRollout(ctx, "a", api.RolloutOrder{Verb: api.RolloutPause})
	expectCode(t, err, "rollout.over")
	_, err = s.client.SteerRollout(ctx, "b", api.RolloutOrder{Verb: api.RolloutPause})
	expectCode(t, err, "policy.not-found")
	_, err = s.client.SteerRollout(ctx, "a", api.RolloutOrder{Verb: "explode"})
	expectCode(t, err, "api.invalid")
	_, err = s.client.SteerRollout(ctx, "a", api.RolloutOrder{Verb: api.RolloutAbort, Why: strings.Repeat("x", 1000)})
	expectCode(t, err, "api.invalid")
	_, err = s.client.Rollout(ctx, "a")
	expectCode(t, err, "rollout.not-found")
	_, err = s.dialAs(t, s.secrets[api.RoleViewer]).SteerRollout(ctx, "a", api.RolloutOrder{Verb: api.RolloutAbort})
	expectCode(t, err, "api.forbidden")
}

// TestBodiesThatWouldNotCount posts to operations that take no body, and to the one that takes a version.
func TestBodiesThatWouldNotCount(t *testing.T) {
	s := serve(t)
	for _, v := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		upload(t, s, "a", v)
	}
	client := s.raw(t)
	client.Timeout = 10 * time.Second
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/v1/policies/a/disable", `{"force":true}`, http.StatusBadRequest},
		{"/v1/policies/a/disable", "", http.StatusOK},
		{"/v1/policies/a/rollout/abort", `{"why":"x"}`, http.StatusBadRequest},
		{"/v1/policies/a/rollback", `{"version":"1.0.0"}`, http.StatusOK},
		{"/v1/policies/a/rollback?version=1.2.0", `{"version":"1.0.0"}`, http.StatusUnprocessableEntity},
		{"/v1/policies/a/rollback", `{"versoin":"1.0.0"}`, http.StatusUnprocessableEntity},
		{"/v1/policies?shadow=soon", "\x00asm", http.StatusUnprocessableEntity},
		{"/v1/policies?canary=200%25", "\x00asm", http.StatusUnprocessableEntity},
		{"/v1/policies?reference=oci://host/a:1", "\x00asm", http.StatusUnprocessableEntity},
		{"/v1/policies", "", http.StatusBadRequest},
	} {
		media := "application/json"
		if strings.HasPrefix(c.body, "\x00") {
			media = "application/wasm"
		}
		response, err := client.Post("http://edgehold"+c.path, media, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s with %q: %d, want %d", c.path, c.body, response.StatusCode, c.status)
		}
	}
	if p, err := s.client.Policy(t.Context(), "a"); err != nil || p.ActiveVersion != "1.0.0" {
		t.Errorf("version %s is active, %v", p.ActiveVersion, err)
	}
}
