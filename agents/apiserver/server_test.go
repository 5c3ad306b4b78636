package apiserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/wasmabi"
)

func dialUnix(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}

func TestPolicyLife(t *testing.T) {
	s, ctx := serve(t), t.Context()
	first, err := s.client.UploadPolicy(ctx, module(t, "load-follower", "1.0.0"), api.UploadOptions{})
	if err != nil || !first.Activated || first.Replaced != "" {
		t.Fatalf("first upload: %+v, %v", first, err)
	}
	second, err := s.client.UploadPolicy(ctx, module(t, "load-follower", "1.1.0"), api.UploadOptions{Allow: []string{"PowerCap", "CPUFrequency"}})
	if err != nil || second.Replaced != "1.0.0" || !second.Grants[0].Granted() {
		t.Fatalf("second upload: %+v, %v", second, err)
	}
	back, err := s.client.RollbackPolicy(ctx, "load-follower", "")
	if err != nil || back.ActiveVersion != "1.0.0" || back.StandbyVersion != "1.1.0" {
		t.Fatalf("rollback: %+v, %v", back, err)
	}
	if off, err := s.client.DisablePolicy(ctx, "load-follower"); err != nil || off.State != api.PolicyDisabled {
		t.Fatalf("disable: %+v, %v", off, err)
	}
	if on, err := s.client.EnablePolicy(ctx, "load-follower"); err != nil || on.State != api.PolicyActive {
		t.Fatalf("enable: %+v, %v", on, err)
	}
	if versions, err := s.client.PolicyVersions(ctx, "load-follower"); err != nil || len(versions) != 2 {
		t.Fatalf("versions: %+v, %v", versions, err)
	}
	if err := s.client.DeletePolicy(ctx, "load-follower"); err != nil {
		t.Fatal(err)
	}
	if left, err := s.client.Policies(ctx); err != nil || left == nil || len(left) != 0 {
		t.Fatalf("after delete: %#v, %v", left, err)
	}
	who := s.agent.Audit()[0].Actor
	if want := "unix:uid="; !strings.HasPrefix(who, want) {
		t.Errorf("the audit names %q, want the kernel's %s...", who, want)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	s := serve(t)
	result, err := s.client.UploadPolicy(t.Context(), module(t, "p", "1.0.0"), api.UploadOptions{DryRun: true, Parameters: map[string]float64{"target": 0.7}})
	if err != nil || !result.Accepted || !result.DryRun || result.Activated {
		t.Fatalf("%+v, %v", result, err)
	}
	if left, _ := s.client.Policies(t.Context()); len(left) != 0 {
		t.Errorf("stored %+v", left)
	}
}

func TestModeSuspendsLearningPolicies(t *testing.T) {
	s, ctx := serve(t), t.Context()
	learning := func(m *wasmabi.Manifest) { m.UsesML = true }
	if _, err := s.client.UploadPolicy(ctx, module(t, "ml", "1.0.0", learning), api.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	if m, err := s.client.Mode(ctx); err != nil || !cmp.Equal(m.Suspended, []string{"ml"}) {
		t.Errorf("mode: %+v, %v", m, err)
	}
	if m, err := s.client.SetMode(ctx, api.ModeML); err != nil || m.Suspended != nil {
		t.Errorf("set mode: %+v, %v", m, err)
	}
}

func TestMechanisms(t *testing.T) {
	s, ctx := serve(t), t.Context()
	setting, err := api.ParseSetting("policy0/max_frequency=1.9GHz")
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.client.ApplyMechanism(ctx, "CPUFrequency", api.MechanismCommand{Settings: []api.Setting{setting}, LeaseMS: 1000})
	if err != nil || result.Outcome != api.OutcomeClamped || *result.Changes[0].Effective.Number != 1.8e9 {
		t.Fatalf("apply: %+v, %v", result, err)
	}
	state, err := s.client.MechanismState(ctx, "CPUFrequency")
	if err != nil || state.Items[0].Lease == nil || state.Items[0].Table != nil {
		t.Fatalf("state: %+v, %v", state, err)
	}
	options, err := s.client.MechanismOptions(ctx, "CPUFrequency")
	if err != nil || options.Items[0].Lease != nil || len(options.Items[0].Table) != 4 {
		t.Fatalf("options: %+v, %v", options, err)
	}
	legacy := api.MechanismCommand{D33: map[string]any{"command": "set", "cpu": "all", "frequency": "1200 MHz"}}
	if result, err := s.client.ApplyMechanism(ctx, "CPUFrequency", legacy); err != nil || *result.Changes[0].Effective.Number != 1.2e9 {
		t.Fatalf("D3.3: %+v, %v", result, err)
	}
	if result, err := s.client.RevertMechanism(ctx, "CPUFrequency", nil); err != nil || result.Outcome != api.OutcomeApplied {
		t.Fatalf("revert: %+v, %v", result, err)
	}
	if all, err := s.client.Mechanisms(ctx); err != nil || len(all) != 2 || all[1].Available {
		t.Fatalf("list: %+v, %v", all, err)
	}
}

func TestDecisions(t *testing.T) {
	s, ctx := serve(t), t.Context()
	for _, id := range []string{"d1", "d2", "d3"} {
		s.agent.Record(decision(id))
	}
	page, err := s.client.Decisions(ctx, api.DecisionFilter{Policy: "load-follower", Limit: 2})
	if err != nil || len(page.Items) != 2 || page.Items[0].ID != "d3" || page.Next == "" {
		t.Fatalf("first page: %+v, %v", page, err)
	}
	page, err = s.client.Decisions(ctx, api.DecisionFilter{Policy: "load-follower", Limit: 2, Cursor: page.Next})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "d1" || page.Next != "" {
		t.Fatalf("second page: %+v, %v", page, err)
	}
	if none, err := s.client.Decisions(ctx, api.DecisionFilter{Outcomes: []api.DecisionOutcome{api.DecisionFailed}}); err != nil || len(none.Items) != 0 {
		t.Fatalf("filtered: %+v, %v", none, err)
	}
	either := api.DecisionFilter{Outcomes: []api.DecisionOutcome{api.DecisionFailed, api.DecisionApplied}}
	if all, err := s.client.Decisions(ctx, either); err != nil || len(all.Items) != 3 {
		t.Fatalf("either outcome: %+v, %v", all, err)
	}
	d, err := s.client.Decision(ctx, "d1")
	if diff := cmp.Diff(decision("d1"), d); err != nil || diff != "" {
		t.Fatalf("get: %v\n%s", err, diff)
	}
	if e, err := s.client.ExplainDecision(ctx, "d1"); err != nil || len(e.Sections) != 1 {
		t.Fatalf("explain: %+v, %v", e, err)
	}
	if r, err := s.client.ReplayDecision(ctx, "d1", api.ReplayRequest{}); err != nil || !r.SameBytes {
		t.Fatalf("replay: %+v, %v", r, err)
	}
	if r, err := s.client.ReplayDecision(ctx, "d1", api.ReplayRequest{Module: make([]byte, apiserver.MaxModuleBytes)}); err != nil || !r.Counterfactual {
		t.Fatalf("replay with a module: %+v, %v", r, err)
	}
}

func decision(id string) api.Decision {
	return api.Decision{
		DecisionSummary: api.DecisionSummary{ID: id, At: then, Policy: "load-follower", Version: "1.0.0", Asset: "node", Trigger: "wake",
			Outcome: api.DecisionApplied, Why: "load is high", DurationUS: 900},
		Mode:         api.ModeHeuristic,
		Observations: []api.Observation{{Metric: "node_load1", Value: 3.5, AgeMS: 12}},
		Plan:         []api.PlannedChange{{Mechanism: "CPUFrequency", Verb: api.VerbSet, Knob: "policy0/max_frequency", Unit: "Hz", Value: api.NumberValue(1.8e9)}},
		Replayable:   true,
	}
}

func TestMetrics(t *testing.T) {
	s, ctx := serve(t), t.Context()
	s.agent.SetSample("node_load1", 1.5)
	result, err := s.client.Query(ctx, "node_load1", then)
	if err != nil || result.Type != "vector" || float64(result.Series[0].Points[0].Value) != 1.5 {
		t.Fatalf("query: %+v, %v", result, err)
	}
	result, err = s.client.QueryRange(ctx, "node_load1", api.MetricRange{Start: then, End: then.Add(10e9), Step: 1e9})
	if err != nil || len(result.Series[0].Points) != 11 {
		t.Fatalf("range: %+v, %v", result, err)
	}
	if names, err := s.client.MetricNames(ctx, "node_"); err != nil || len(names) != 1 {
		t.Fatalf("names: %+v, %v", names, err)
	}
}

func TestAgent(t *testing.T) {
	s, ctx := serve(t), t.Context()
	if v, err := s.client.Version(ctx); err != nil || v.Version != "1.2.3" {
		t.Errorf("version: %+v, %v", v, err)
	}
	if r, err := s.client.Doctor(ctx); err != nil || r.Status != api.CheckOK {
		t.Errorf("doctor: %+v, %v", r, err)
	}
	s.client.SetMode(ctx, api.ModeML)
	if page, err := s.client.Audit(ctx, api.AuditFilter{Action: "mode.set"}); err != nil || len(page.Items) != 1 {
		t.Errorf("audit: %+v, %v", page, err)
	}
	if v, err := s.client.VerifyAudit(ctx); err != nil || !v.Whole || v.Entries != 1 {
		t.Errorf("verify: %+v, %v", v, err)
	}
}

func TestUploadAsForm(t *testing.T) {
	s := serve(t)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("note", "ignored")
	part, _ := form.CreateFormFile("module", "p.wasm")
	part.Write(module(t, "p", "1.0.0"))
	form.Close()
	response, err := s.raw(t).Post("http://edgehold/v1/policies", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Errorf("%d: %s", response.StatusCode, text)
	}
}

func TestStopRemovesTheSocket(t *testing.T) {
	s := serve(t)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(s.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	_, err := s.client.Version(context.Background())
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) || coded.ErrorCode() != "client.unreachable" {
		t.Errorf("after the stop: %v", err)
	}
}
