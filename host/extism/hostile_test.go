package extism_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

// TestHostilePolicy has a policy do what it must not. Each is told apart, recorded, and the same in a replay.
func TestHostilePolicy(t *testing.T) {
	manifest := boostManifest()
	manifest.Parameters = []wasmabi.Parameter{{Name: "how", Max: 100}}
	r := newRuntime(t, host.Config{Limits: host.Limits{Fuel: 200_000_000, Deadline: 30 * time.Second}})
	m, err := r.Prepare(t.Context(), pack(t, pluginstest.Extism(t, "./hostile"), manifest))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		how        float64
		op         wasmabi.Op
		code, says string
	}{
		{"no JSON", 1, wasmabi.OpAnalyze, "guest.answer", "not the JSON document"},
		{"a metric of others", 2, wasmabi.OpAnalyze, "guest.answer", `"of somebody else"`},
		{"a code", 3, wasmabi.OpAnalyze, "guest.returned", "analyze returned 3 without an error"},
		{"an error", 4, wasmabi.OpAnalyze, "call.guest", "I do not feel like it"},
		{"a long answer", 5, wasmabi.OpAnalyze, "call.output", "the limit is 65536"},
		{"a variable that can't be kept", 6, wasmabi.OpSnapshot, "guest.context", "longer name than the 64 bytes"},
		{"variables beyond the limit", 7, wasmabi.OpAnalyze, "call.memory", "more than 65536 bytes"},
		{"a request", 8, wasmabi.OpAnalyze, "call.trap", "it was granted none"},
		{"an exit", 9, wasmabi.OpAnalyze, "call.trap", "exited instead of returning"},
		{"an exit with a code", 10, wasmabi.OpAnalyze, "call.trap", "exited with code 4"},
		{"no answer", 11, wasmabi.OpAnalyze, "guest.answer", "it is empty"},
		{"a long reason", 12, wasmabi.OpAnalyze, "", ""},
		{"output that it did not allocate", 13, wasmabi.OpAnalyze, "guest.answer", "it is empty"},
		{"somebody else's block", 14, wasmabi.OpAnalyze, "", ""},
		{"a knob of others", 0, wasmabi.OpPlan, "guest.answer", `knob "of somebody else", which was not granted`},
	} {
		t.Run(c.name, func(t *testing.T) {
			recorder := record.NewRecorder(1 << 20)
			err := misbehave(t, m, c.how, recorder)
			e, _ := errors.AsType[*host.CallError](err)
			switch {
			case c.code == "" && err != nil, c.code != "" && e == nil:
				t.Fatalf("got %v", err)
			case e != nil && (e.Op != c.op || e.Code != c.code || !strings.Contains(e.Message, c.says)):
				t.Errorf("got %s %s: %s; want %s %s: %s", e.Op, e.Code, e.Message, c.op, c.code, c.says)
			}
			report, err := record.Replay(t.Context(), m, recorder.Episode())
			if err != nil || !report.Same() {
				t.Errorf("replay: %+v, %v", report, err)
			}
		})
	}
}

// misbehave runs one pass and returns its first error. Plan is only asked of the policy that does well until then.
func misbehave(t *testing.T, m *host.Module, how float64, recorder host.Recorder) error {
	t.Helper()
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1_800_000_000, 0), Recorder: recorder})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	i := wasmabi.NewInit(m.Manifest())
	i.Parameters[0] = how
	if _, err := s.Call(t.Context(), wasmabi.OpInit, wasmabi.AppendInit(nil, i)); err != nil {
		t.Fatal(err)
	}
	ops := []wasmabi.Op{wasmabi.OpAnalyze, wasmabi.OpSnapshot}
	if how == 0 {
		ops = []wasmabi.Op{wasmabi.OpPlan}
	}
	for _, op := range ops {
		var request []byte
		if op != wasmabi.OpSnapshot {
			request = wasmabi.AppendObservation(nil, &wasmabi.Observation{Seq: 1})
		}
		if _, err := s.Call(t.Context(), op, request); err != nil {
			return err
		}
	}
	return nil
}

// TestMessages sends a policy what is no message, and contexts of others.
func TestMessages(t *testing.T) {
	m, err := newRuntime(t, host.Config{}).Prepare(t.Context(), pack(t, goPlugin(t), boostManifest()))
	if err != nil {
		t.Fatal(err)
	}
	number := wasmabi.AppendContext(nil, []wasmabi.Entry{{Key: "n", Kind: wasmabi.EntryInt, Int: 1}})
	for _, c := range []struct {
		name    string
		op      wasmabi.Op
		request []byte
		code    string
	}{
		{"no Init", wasmabi.OpInit, []byte{0xff}, "call.request"},
		{"no Observation", wasmabi.OpAnalyze, []byte{0xff}, "call.request"},
		{"no Migrate", wasmabi.OpMigrate, []byte{0xff}, "call.request"},
		{"the context of a policy of our SDK", wasmabi.OpInit, boostInit(number), "guest.context"},
		{"a damaged context", wasmabi.OpInit, boostInit([]byte{0xa1, 0x61}), "guest.context"},
		{"migrate without the export", wasmabi.OpMigrate, wasmabi.AppendMigrate(nil, &wasmabi.Migrate{FromSchema: 1}), "call.unsupported"},
		{"an operation of adapters", wasmabi.OpApply, nil, "call.unsupported"},
		{"health without the export", wasmabi.OpHealth, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := m.Begin(t.Context(), host.SessionConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, err = s.Call(t.Context(), c.op, c.request)
			e, _ := errors.AsType[*host.CallError](err)
			if c.code == "" && err != nil || c.code != "" && (e == nil || e.Code != c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

// TestRefused prepares what this door does not offer.
func TestRefused(t *testing.T) {
	r := newRuntime(t, host.Config{})
	for _, c := range []struct {
		name, file, code string
		manifest         extism.Manifest
	}{
		{"functions of one host's own", "host.wasm", "intake.import-not-granted", extism.Manifest{}},
		{"a linked module", "main.wasm", "intake.import-not-granted", extism.Manifest{}},
		{"folders", "hello.wasm", "extism.not-offered", extism.Manifest{AllowedPaths: map[string]string{"/tmp": "/"}}},
		{"more memory than there is", "hello.wasm", "intake.limits", extism.Manifest{Memory: extism.Memory{MaxPages: 60_000}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := extism.Prepare(t.Context(), r, corpus(t, c.file), c.manifest, extism.Options{})
			coded, ok := errors.AsType[interface {
				error
				ErrorCode() string
			}](err)
			if !ok || coded.ErrorCode() != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
	t.Run("reads its configuration too early", func(t *testing.T) {
		_, err := extism.Prepare(t.Context(), r, pluginstest.Extism(t, "./early"), extism.Manifest{}, extism.Options{})
		if err == nil || !strings.Contains(err.Error(), "config_get while it was initialised") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a plugin without the door in its manifest", func(t *testing.T) {
		m := boostManifest()
		m.Door = wasmabi.DoorNative
		_, err := r.Prepare(t.Context(), pack(t, corpus(t, "hello.wasm"), m))
		refusal, ok := errors.AsType[*host.Refusal](err)
		if !ok || !strings.Contains(refusal.Hint, "door: extism") {
			t.Errorf("got %v", err)
		}
	})
}
