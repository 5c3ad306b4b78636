package extism_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/wasmabi"
)

const busy = "node_cpu_utilisation_ratio"

func boostManifest() *wasmabi.Manifest {
	return &wasmabi.Manifest{
		Name: "cpu-boost", Version: "1.0.0", Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode,
		ABI: wasmabi.Version, Door: wasmabi.DoorExtism,
		Metrics:    []wasmabi.MetricRequest{{Name: busy, Unit: "ratio"}},
		Mechanisms: []wasmabi.MechanismRequest{{Name: "CPUFrequency", Verbs: []string{wasmabi.VerbNameSet}, Reason: "speed"}},
		Parameters: []wasmabi.Parameter{{Name: "high", Default: 0.8, Min: 0, Max: 1}},
	}
}

// pack gives a plugin a manifest; its code stays as it was.
func pack(t testing.TB, module []byte, m *wasmabi.Manifest) []byte {
	t.Helper()
	packed, err := wasmabi.AppendManifest(module, m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func boostInit(context []byte) []byte {
	i := wasmabi.NewInit(boostManifest())
	i.Asset, i.Mechanisms = "node-1", []string{"CPUFrequency"}
	i.Knobs = []wasmabi.KnobInfo{{Name: "policy0/max_frequency", Unit: "Hz", Kind: wasmabi.KnobNumber, Min: 8e8, Max: 3e9, Step: math.NaN()}}
	i.Context = context
	return wasmabi.AppendInit(nil, i)
}

func boostObservation(load, limit float64) []byte {
	return wasmabi.AppendObservation(nil, &wasmabi.Observation{
		Seq: 7, TimeNS: 1_800_000_000_000_000_000, Trigger: wasmabi.TriggerWake,
		IDs: []uint32{0}, Values: []float64{load}, AgesMS: []uint32{20}, KnobIDs: []uint32{0}, KnobValues: []float64{limit},
	})
}

// episode runs one pass as the engine does, and returns what was decided, the context, and the recording.
func episode(t testing.TB, m *host.Module, context []byte, load, limit float64) (a wasmabi.Analysis, p wasmabi.Plan, kept []byte, e *record.Episode) {
	t.Helper()
	recorder := record.NewRecorder(1 << 20)
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1_800_000_000, 0), Seed: 1, Recorder: recorder})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call := func(op wasmabi.Op, request []byte) []byte {
		response, err := s.Call(t.Context(), op, request)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		return append([]byte(nil), response...)
	}
	call(wasmabi.OpInit, boostInit(context))
	if err := wasmabi.DecodeAnalysis(call(wasmabi.OpAnalyze, boostObservation(load, limit)), &a); err != nil {
		t.Fatal(err)
	}
	if a.Plan {
		if err := wasmabi.DecodePlan(call(wasmabi.OpPlan, boostObservation(load, limit)), &p); err != nil {
			t.Fatal(err)
		}
	}
	kept = call(wasmabi.OpSnapshot, nil)
	return a, p, kept, recorder.Episode()
}

// TestPolicy has an Extism plugin, built with the Extism project's kit, decide, carry its variables on, and be replayed.
func TestPolicy(t *testing.T) {
	for name, plugin := range map[string]func(testing.TB) []byte{"Go": goPlugin, "TinyGo": tinyGoPlugin, "Rust": rustPlugin} {
		t.Run(name, func(t *testing.T) {
			module := pack(t, plugin(t), boostManifest())
			m, err := newRuntime(t, host.Config{}).Prepare(t.Context(), module)
			if err != nil {
				t.Fatal(err)
			}
			decides(t, m)
		})
	}
}

func decides(t *testing.T, m *host.Module) {
	calm, _, context, _ := episode(t, m, nil, 0.5, 8e8)
	want := wasmabi.Analysis{Seq: 7, Why: "utilisation 0.5, high 0.8", BoundIDs: []uint32{0}, Above: []float64{0.8}, Below: []float64{0.8}}
	if diff := cmp.Diff(calm, want, cmp.Comparer(sameFloat)); diff != "" {
		t.Error(diff)
	}
	if len(context) > 0 {
		t.Errorf("a policy without variables has context %x", context)
	}
	_, first, context, _ := episode(t, m, context, 0.9, 8e8)
	wantPlan := wasmabi.Plan{Seq: 7, Why: "plan 1", Mechanisms: []uint32{0}, Verbs: []uint32{wasmabi.VerbSet},
		Knobs: []uint32{0}, Values: []float64{3e9}, LeaseMS: []uint32{0}}
	if diff := cmp.Diff(first, wantPlan); diff != "" {
		t.Error(diff)
	}
	_, second, _, recorded := episode(t, m, context, 0.9, 8e8)
	if second.Why != "plan 2" {
		t.Errorf("the variables were lost: %q", second.Why)
	}
	replays(t, m, recorded)
}

func sameFloat(a, b float64) bool { return a == b || a != a && b != b }

// replays plays an episode again, also after a trip through its encoding, and on the other engine: the same bytes, the same fuel.
func replays(t *testing.T, m *host.Module, e *record.Episode) {
	t.Helper()
	for _, c := range e.Calls[:3] {
		if c.Op != wasmabi.OpInit && c.Fuel == 0 {
			t.Errorf("%s cost nothing", c.Op)
		}
	}
	report, err := record.Replay(t.Context(), m, e)
	if err != nil || !report.Same() || report.Calls != 4 {
		t.Errorf("replay: %+v, %v", report, err)
	}
}

func TestReplayOnOtherEngine(t *testing.T) {
	module := pack(t, goPlugin(t), boostManifest())
	compiled, err := newRuntime(t, host.Config{Engine: host.Compiler}).Prepare(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	interpreted, err := newRuntime(t, host.Config{Engine: host.Interpreter}).Prepare(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, e := episode(t, compiled, nil, 0.9, 8e8)
	replays(t, interpreted, e)
}

func TestPolicyNeedsExports(t *testing.T) {
	m := boostManifest()
	_, err := newRuntime(t, host.Config{}).Prepare(t.Context(), pack(t, corpus(t, "http.wasm"), m))
	if err == nil || !strings.Contains(err.Error(), "lacks analyze and plan") {
		t.Errorf("a plugin without the exports of a policy: %v", err)
	}
}

// TestLimits has a plugin do what it must not. The kinds are those of any guest, and the plugin is well again afterwards.
func TestLimits(t *testing.T) {
	r := newRuntime(t, host.Config{Limits: host.Limits{Fuel: 100_000_000, Deadline: 30 * time.Second, Memory: 32 << 20}})
	p, err := extism.Prepare(t.Context(), r, goPlugin(t), extism.Manifest{}, extism.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		input string
		kind  host.Kind
	}{
		{"loop", host.Fuel}, {"panic", host.Trap}, {"memory", host.Memory}, {"blocks", host.Memory}, {"log", host.HostCalls},
	} {
		t.Run(c.input, func(t *testing.T) {
			_, err := p.Call(t.Context(), "misbehave", []byte(c.input))
			e, ok := err.(*host.CallError)
			if !ok || e.Kind != c.kind {
				t.Errorf("got %v, want kind %v", err, c.kind)
			}
			t.Log(err)
		})
	}
	result, err := p.Call(t.Context(), "misbehave", nil)
	if err != nil || result.Returned != 7 {
		t.Errorf("got %+v, %v", result, err)
	}
}
