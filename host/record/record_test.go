package record

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	host.RunChild()
	goleak.VerifyTestMain(m)
}

var _ host.Recorder = (*Recorder)(nil)

func newRuntime(t testing.TB, c host.Config) *host.Runtime {
	t.Helper()
	c.Limits.Deadline = 2 * time.Minute // none of these tests is about time
	r, err := host.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func prepare(t testing.TB, r *host.Runtime, module []byte, metrics ...string) *host.Module {
	t.Helper()
	manifest := wasmabi.Manifest{Name: "recorded", Version: "1.0.0", Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode,
		Scope: wasmabi.ScopeNode, ABI: wasmabi.Version}
	for _, name := range metrics {
		manifest.Metrics = append(manifest.Metrics, wasmabi.MetricRequest{Name: name})
	}
	module, err := wasmabi.AppendManifest(module, &manifest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Prepare(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type request struct {
	op   wasmabi.Op
	data []byte
}

// run records a session of the requests.
func run(t testing.TB, m *host.Module, handles []host.Handle, requests ...request) *Episode {
	t.Helper()
	r := NewRecorder(1 << 20)
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(9, 9).UTC(), Seed: 3, Handles: handles, Recorder: r})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, q := range requests {
		if _, err := s.Call(t.Context(), q.op, q.data); err != nil {
			t.Log(err)
		}
	}
	return r.Episode()
}

func replayed(t testing.TB, m *host.Module, e *Episode) Report {
	t.Helper()
	r, err := Replay(t.Context(), m, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReplayOnTheOtherEngine(t *testing.T) {
	for name, module := range map[string][]byte{
		"counter": wasmtest.Counter(),
		"clock":   wasmtest.Clock(),
		"trap":    wasmtest.TrapIn(wasmabi.OpPlan),
		"loop":    wasmtest.EndlessLoop(),
	} {
		t.Run(name, func(t *testing.T) {
			limits := host.Limits{Fuel: 100_000}
			one := prepare(t, newRuntime(t, host.Config{Limits: limits}), module)
			other := prepare(t, newRuntime(t, host.Config{Limits: limits, Engine: host.Interpreter}), module)
			e := run(t, one, nil, request{wasmabi.OpAnalyze, []byte("a")}, request{wasmabi.OpPlan, []byte("bc")})
			if len(e.Calls) == 0 || e.Calls[0].Fuel == 0 {
				t.Fatalf("recorded %+v", e)
			}
			b, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			read, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*host.Module{one, other} {
				if r := replayed(t, m, read); !r.Same() || r.Calls != len(e.Calls) {
					t.Errorf("%d of %d calls, %v, %s", r.Calls, len(e.Calls), r.Difference, r.Undetermined)
				}
			}
		})
	}
}

func TestReplayTellsTheFirstDifference(t *testing.T) {
	m := prepare(t, newRuntime(t, host.Config{}), wasmtest.Counter())
	record := func() *Episode {
		return run(t, m, nil, request{wasmabi.OpAnalyze, nil}, request{wasmabi.OpAnalyze, nil})
	}
	for _, test := range []struct {
		field  string
		call   int
		change func(*Episode)
	}{
		{"response", 1, func(e *Episode) { e.Calls[1].Response[0]++ }},
		{"fuel", 0, func(e *Episode) { e.Calls[0].Fuel++ }},
		{"error", 1, func(e *Episode) { e.Calls[1].Error = "call.trap" }},
		{"image", 0, func(e *Episode) { e.Image = e.Module }},
	} {
		e := record()
		test.change(e)
		r := replayed(t, m, e)
		if d := r.Difference; d == nil || d.Field != test.field || d.Call != test.call || d.Got == d.Want {
			t.Errorf("%s: got %v", test.field, d)
		}
	}
	e := record()
	e.Calls[0].Error = codeDeadline
	if r := replayed(t, m, e); r.Undetermined == "" {
		t.Error("a call that wall time ended was compared")
	}
}

func TestReplayRefuses(t *testing.T) {
	m := prepare(t, newRuntime(t, host.Config{}), wasmtest.Counter())
	for code, change := range map[string]func(*Episode){
		"record.truncated":    func(e *Episode) { e.Truncated = true },
		"record.other-module": func(e *Episode) { e.Module = e.Image },
	} {
		e := run(t, m, nil, request{wasmabi.OpAnalyze, nil})
		change(e)
		_, err := Replay(t.Context(), m, e)
		if failed, ok := errors.AsType[*Error](err); !ok || failed.ErrorCode() != code || failed.ErrorHint() == "" {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}

type handleFunc func(op uint32, in, dst []byte) ([]byte, error)

func (f handleFunc) Call(_ context.Context, op uint32, in, dst []byte) ([]byte, error) {
	return f(op, in, dst)
}

func TestHostCallsAreAnsweredFromTheRecord(t *testing.T) {
	for name, answer := range map[string]handleFunc{
		"answer":    func(op uint32, in, dst []byte) ([]byte, error) { return fmt.Appendf(dst, "%d:%s", op, in), nil },
		"failure":   func(uint32, []byte, []byte) ([]byte, error) { return nil, errors.New("on fire") },
		"denied":    func(uint32, []byte, []byte) ([]byte, error) { return nil, fmt.Errorf("you: %w", host.ErrDenied) },
		"invalid":   func(uint32, []byte, []byte) ([]byte, error) { return nil, host.ErrInvalid },
		"too large": func(uint32, []byte, []byte) ([]byte, error) { return make([]byte, 1<<20), nil },
		"kept":      func(_ uint32, _, dst []byte) ([]byte, error) { return append(dst, make([]byte, 20<<10)...), nil },
	} {
		t.Run(name, func(t *testing.T) {
			m := prepare(t, newRuntime(t, host.Config{}), wasmtest.HostCaller(0, 5))
			effects := 0
			count := handleFunc(func(op uint32, in, dst []byte) ([]byte, error) {
				effects++
				return answer(op, in, dst)
			})
			e := run(t, m, []host.Handle{count}, request{wasmabi.OpApply, []byte("x")}, request{wasmabi.OpApply, []byte("y")})
			if n := len(e.Calls); n == 0 || len(e.Calls[0].HostCalls) != 1 {
				t.Fatalf("recorded %+v", e)
			}
			before := effects
			if r := replayed(t, m, e); !r.Same() {
				t.Errorf("%v, %s", r.Difference, r.Undetermined)
			}
			if effects != before {
				t.Error("the replay had an effect")
			}
			e.Calls[0].HostCalls[0].Request = []byte("z")
			if r := replayed(t, m, e); r.Difference == nil || r.Difference.Field != "host call" {
				t.Errorf("asked for something else: %v", r.Difference)
			}
		})
	}
}

func TestRecorderIsBounded(t *testing.T) {
	m := prepare(t, newRuntime(t, host.Config{}), wasmtest.Echo())
	r := NewRecorder(100)
	s, err := m.Begin(t.Context(), host.SessionConfig{Recorder: r})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 10 {
		if _, err := s.Call(t.Context(), wasmabi.OpAnalyze, make([]byte, 20)); err != nil {
			t.Fatal(err)
		}
	}
	if e := r.Episode(); !e.Truncated || len(e.Calls) != 2 {
		t.Errorf("%d calls, truncated %v", len(e.Calls), e.Truncated)
	}
}

// planner is a guest that answers analyze with a positive analysis, and plan with a plan that sets knob 1 to value.
func planner(value float64) []byte {
	analysis := wasmabi.AppendAnalysis(nil, &wasmabi.Analysis{Plan: true})
	plan := wasmabi.AppendPlan(nil, &wasmabi.Plan{Mechanisms: []uint32{0}, Verbs: []uint32{wasmabi.VerbSet}, Knobs: []uint32{1},
		Values: []float64{value}, LeaseMS: []uint32{0}})
	return answers(map[wasmabi.Op][]byte{wasmabi.OpAnalyze: analysis, wasmabi.OpPlan: plan})
}

// answers is a guest that answers each operation with its bytes, and the others with nothing.
func answers(responses map[wasmabi.Op][]byte) []byte {
	const first, apart = 50 << 10, 1 << 10
	var code wasmtest.Code
	var data []wasm.Data
	for op, b := range responses {
		at := first + uint64(len(data))*apart
		data = append(data, wasm.Data{Offset: wasm.ConstExpr{Op: wasm.OpI32Const, Bits: [2]uint64{at}}, Bytes: b})
		code = code.Index(wasm.OpLocalGet, wasmtest.LocalOp).I32(int32(op)).Op(wasm.OpI32Sub, wasm.OpI32Eqz).If(wasm.BlockEmpty).
			I32(wasmtest.ResponseAddress).I32(int32(at)).I32(int32(len(b))).Memory(wasm.OpMemoryCopy, 2).
			I64(int64(len(b))).Op(wasm.OpReturn).End()
	}
	g := wasmtest.Guest{Call: code.I64(0).End()}
	m := g.Build()
	m.Data = append(m.Data, data...)
	return m.Encode()
}

func TestCounterfactual(t *testing.T) {
	r := newRuntime(t, host.Config{})
	two, three := prepare(t, r, planner(2), "load"), prepare(t, r, planner(3), "load")
	init := wasmabi.AppendInit(nil, &wasmabi.Init{Metrics: []wasmabi.MetricInfo{{Name: "load"}}})
	observation := wasmabi.AppendObservation(nil, &wasmabi.Observation{Seq: 1})
	e := run(t, two, nil, request{wasmabi.OpInit, init}, request{wasmabi.OpAnalyze, observation}, request{wasmabi.OpPlan, observation})

	same, err := Counterfactual(t.Context(), two, e)
	if err != nil || !same.Same() {
		t.Errorf("the same module: %+v, %v", same, err)
	}
	c, err := Counterfactual(t.Context(), three, e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Changes, []Change{{Mechanism: 0, Knob: 1, Recorded: 2, Other: 3}}); diff != "" {
		t.Error(diff)
	}
	e.Calls = e.Calls[:2] // an episode without a plan: the other makes one on the observation of the analysis
	if c, err = Counterfactual(t.Context(), three, e); err != nil {
		t.Fatal(err)
	}
	if len(c.Changes) != 1 || !math.IsNaN(c.Changes[0].Recorded) || c.Changes[0].Other != 3 {
		t.Errorf("got %+v", c.Changes)
	}
	_, err = Counterfactual(t.Context(), prepare(t, r, planner(3), "temperature"), e)
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Code != "record.other-inputs" {
		t.Errorf("a module with other metrics: %v", err)
	}
}

func sample() *Episode {
	digest := digestText(make([]byte, maxDigest))
	return &Episode{Module: digest, Image: digest, Time: time.Unix(1, 2).UTC(), Seed: math.MaxUint64, Handles: 1, Calls: []Call{
		{Op: wasmabi.OpPlan, Request: []byte{1}, Response: []byte{2, 3}, Status: wasmabi.StatusGuest, Fuel: 4, Error: "guest.x", Message: "y",
			HostCalls: []HostCall{{Handle: 1, Op: 2, Request: []byte{5}, Response: []byte{6}, Status: wasmabi.StatusMore}}},
	}}
}

func TestEncodeDecode(t *testing.T) {
	b, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, sample()); diff != "" {
		t.Error(diff)
	}
	for n := range b {
		if _, err := Decode(b[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatalf("what was decoded can not be encoded: %v", err)
		}
		read, err := Decode(again)
		if err != nil || !reflect.DeepEqual(read, e) {
			t.Fatalf("got %+v, %v, want %+v", read, err, e)
		}
	})
}
