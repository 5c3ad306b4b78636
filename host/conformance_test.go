package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

// patience is a deadline that tests about other limits never meet, however loaded the machine.
const patience = 2 * time.Minute

// variants runs a test on every engine and every kind of image: a guest must not be able to tell them apart.
func variants(t *testing.T, test func(*testing.T, Config)) {
	for name, c := range map[string]Config{
		"compiler":            {Engine: Compiler},
		"compiler, copied":    {Engine: Compiler, copyImages: true},
		"interpreter":         {Engine: Interpreter},
		"interpreter, copied": {Engine: Interpreter, copyImages: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.Engine == Compiler && !compilerSupported() {
				t.Skip("there is no compiler for this processor")
			}
			c.CacheDir = testCache(t)
			test(t, c)
		})
	}
}

// small wraps a hand-written guest in a manifest.
func small(t testing.TB, module []byte) []byte {
	t.Helper()
	m := referenceManifest
	m.Name = "small"
	module, err := wasmabi.AppendManifest(module, &m)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func begin(t testing.TB, m *Module, c SessionConfig) *Session {
	t.Helper()
	s, err := m.Begin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func call(t testing.TB, s *Session, op wasmabi.Op, request []byte) []byte {
	t.Helper()
	response, err := s.Call(t.Context(), op, request)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return bytes.Clone(response)
}

// once runs one call in a session of its own.
func once(t testing.TB, m *Module, c SessionConfig, op wasmabi.Op, request []byte) ([]byte, error) {
	t.Helper()
	s, err := m.Begin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	response, err := s.Call(t.Context(), op, request)
	return bytes.Clone(response), err
}

func wantKind(t testing.TB, err error, want Kind) *CallError {
	t.Helper()
	e, ok := errors.AsType[*CallError](err)
	if !ok || e.Kind != want {
		t.Fatalf("got %+v, want an error of kind %s", err, want)
	}
	if e.ErrorCode() == "" || e.ErrorWhy() == "" || e.ErrorHint() == "" {
		t.Errorf("code %q, why %q, hint %q: none may be empty", e.ErrorCode(), e.ErrorWhy(), e.ErrorHint())
	}
	return e
}

func TestEchoWholeWindow(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		m := prepare(t, newRuntime(t, c), small(t, wasmtest.Echo()))
		s := begin(t, m, SessionConfig{})
		for _, n := range []int{0, 1, 1000, wasmtest.RequestBytes} {
			request := bytes.Repeat([]byte{0xa5}, n)
			if got := call(t, s, wasmabi.OpAnalyze, request); !bytes.Equal(got, request) {
				t.Errorf("%d bytes came back as %d", n, len(got))
			}
		}
		_, err := s.Call(t.Context(), wasmabi.OpAnalyze, make([]byte, wasmtest.RequestBytes+1))
		wantKind(t, err, Request)
		if got := call(t, s, wasmabi.OpAnalyze, []byte("still here")); string(got) != "still here" {
			t.Errorf("got %q after a request that was too long", got)
		}
	})
}

func TestEverySessionStartsFromTheImage(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		c.MaxInstances = 1
		m := prepare(t, newRuntime(t, c), small(t, wasmtest.Counter()))
		for range 3 {
			s := begin(t, m, SessionConfig{})
			for n := range uint32(3) {
				got := call(t, s, wasmabi.OpAnalyze, nil)
				want := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n+1), n+1)
				if !bytes.Equal(got, want) {
					t.Errorf("got %x, want %x", got, want)
				}
			}
			s.Close()
		}
	})
}

func TestWarmSessionsKeepState(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		c.MaxInstances = 1
		m := prepare(t, newRuntime(t, c), small(t, wasmtest.Counter()))
		for n := range byte(3) {
			got, err := once(t, m, SessionConfig{Warm: true}, wasmabi.OpAnalyze, nil)
			if err != nil || got[0] != n+1 {
				t.Errorf("got %x, %v", got, err)
			}
		}
		if got, err := once(t, m, SessionConfig{}, wasmabi.OpAnalyze, nil); err != nil || got[0] != 1 {
			t.Errorf("a fresh session after warm ones got %x, %v", got, err)
		}
	})
}

func TestGoGuest(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		m := prepare(t, newRuntime(t, c), reference(t))
		at := time.Unix(1_800_000_000, 0)
		s := begin(t, m, SessionConfig{Time: at, Seed: 7})
		call(t, s, wasmabi.OpInit, []byte("context"))
		if got := call(t, s, wasmabi.OpSnapshot, nil); string(got) != "context" {
			t.Errorf("snapshot: got %q", got)
		}
		if got := call(t, s, opGoroutines, nil); got[0] != 28 {
			t.Errorf("goroutines: got %d", got[0])
		}
		clock := call(t, s, opClock, nil)
		real := time.Unix(0, int64(binary.LittleEndian.Uint64(clock)))
		if d := real.Sub(at); d < 0 || d > time.Second {
			t.Errorf("the clock is %v away from the session's time", d)
		}
		if slept := time.Duration(binary.LittleEndian.Uint64(call(t, s, opSleep, nil))); slept < time.Hour {
			t.Errorf("slept %v of virtual time", slept)
		}
		call(t, s, opCollect, nil)
		_, err := s.Call(t.Context(), opGuestError, nil)
		if e := wantKind(t, err, Guest); e.Code != "guest.reference.sulks" || e.Message != "it does not want to" {
			t.Errorf("got %q: %q", e.Code, e.Message)
		}
		_, err = s.Call(t.Context(), wasmabi.OpRevert, nil)
		wantKind(t, err, Unsupported)
		_, err = s.Call(t.Context(), wasmabi.OpAnalyze, []byte("not CBOR"))
		wantKind(t, err, Request)
		call(t, s, wasmabi.OpHealth, nil) // answers do not end a session
	})
}

func TestGoGuestThatFails(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		c.Limits.Memory = 4 << 20
		m := prepare(t, newRuntime(t, c), reference(t))
		for _, test := range []struct {
			name  string
			op    wasmabi.Op
			kind  Kind
			says  string
			stack string
		}{
			{"panic", opPanic, Trap, "index out of range", "main.misbehave"},
			{"deadlock", opDeadlock, Trap, "deadlock", ""},
			{"exit", opExit, Trap, "code 7", "os.Exit"},
			{"loop", opLoop, Fuel, "fuel", "main.misbehave"},
			{"recursion", opRecurse, Stack, "nest", "main.recurse"},
			{"allocation", opAllocate, Memory, "memory", "runtime"},
			{"flood", opFlood, Fuel, "fuel", "fd_write"},
		} {
			t.Run(test.name, func(t *testing.T) {
				s := begin(t, m, SessionConfig{})
				_, err := s.Call(t.Context(), test.op, nil)
				e := wantKind(t, err, test.kind)
				if !strings.Contains(e.Message, test.says) {
					t.Errorf("message %q does not say %q", e.Message, test.says)
				}
				if stack := strings.Join(e.Stack, "\n"); !strings.Contains(stack, test.stack) {
					t.Errorf("stack does not name %q:\n%s", test.stack, stack)
				}
				if _, err := s.Call(t.Context(), wasmabi.OpHealth, nil); !errors.Is(err, ErrSessionOver) {
					t.Errorf("a call after a failure: %v", err)
				}
				s.Close()
				if _, err := once(t, m, SessionConfig{}, wasmabi.OpHealth, nil); err != nil {
					t.Errorf("the next session: %v", err)
				}
			})
		}
	})
}

func TestHostileGuests(t *testing.T) {
	few := Limits{Fuel: 300_000}
	variants(t, func(t *testing.T, c Config) {
		for _, test := range []struct {
			name   string
			module []byte
			limits Limits
			kind   Kind
		}{
			{"endless loop, fuel", wasmtest.EndlessLoop(), few, Fuel},
			{"endless loop, deadline", wasmtest.EndlessLoop(), Limits{Fuel: maxFuel, Deadline: 5 * time.Millisecond}, Deadline},
			{"recursion", wasmtest.EndlessRecursion(), Limits{}, Stack},
			{"indirect recursion", wasmtest.EndlessIndirectRecursion(), Limits{}, Stack},
			{"mutual recursion", wasmtest.EndlessMutualRecursion(5), Limits{}, Stack},
			{"large frames", wasmtest.DeepStack(400), Limits{}, Stack},
			{"call tree, fuel", wasmtest.CallTree(40), few, Fuel},
			{"call tree, deadline", wasmtest.CallTree(40), Limits{Fuel: maxFuel, Deadline: 5 * time.Millisecond}, Deadline},
			{"memory fill", wasmtest.MemoryFill(16), few, Fuel},
			{"response longer than its window", wasmtest.HugeOutput(wasmtest.ResponseBytes + 1), Limits{}, Output},
			{"response of 4 GiB", wasmtest.HugeOutput(1<<32 - 1), Limits{}, Output},
			{"response over the limit", wasmtest.HugeOutput(101), Limits{ResponseBytes: 100}, Output},
			{"host calls", wasmtest.HostCallFlood(), Limits{}, HostCalls},
			{"log", wasmtest.LogFlood(1000), Limits{}, HostCalls},
			{"random", wasmtest.RandomFlood(1000), Limits{}, HostCalls},
			{"metrics", wasmtest.MetricFlood(), Limits{}, HostCalls},
			{"host pointer outside", wasmtest.HostPointerOutside(), Limits{}, Trap},
			{"division by zero", wasmtest.DivideByZero(), Limits{}, Trap},
			{"load outside", wasmtest.LoadOutside(), Limits{}, Trap},
			{"call outside its table", wasmtest.IndirectOutside(), Limits{}, Trap},
			{"trap in init", wasmtest.TrapIn(wasmabi.OpInit), Limits{}, Trap},
			{"unknown status", wasmtest.ConstantResponse(99, nil), Limits{}, Trap},
			{"error that is not one", wasmtest.ConstantResponse(wasmabi.StatusGuest, []byte("?")), Limits{}, Guest},
		} {
			t.Run(test.name, func(t *testing.T) {
				c.Limits, c.MaxInstances = test.limits, 1
				m := prepare(t, newRuntime(t, c), small(t, test.module))
				for range 2 { // the second call runs on what the first left
					_, err := once(t, m, SessionConfig{}, wasmabi.OpInit, make([]byte, 200))
					wantKind(t, err, test.kind)
				}
				if n := m.Stats().Errors[test.kind]; n != 2 {
					t.Errorf("%d errors were counted, want 2", n)
				}
			})
		}
	})
}

func TestTrapInOneOperationLeavesTheOthers(t *testing.T) {
	ops := []wasmabi.Op{wasmabi.OpInit, wasmabi.OpAnalyze, wasmabi.OpPlan, wasmabi.OpSnapshot, wasmabi.OpMigrate, wasmabi.OpHealth}
	variants(t, func(t *testing.T, c Config) {
		r := newRuntime(t, c)
		for _, bad := range ops {
			m := prepare(t, r, small(t, wasmtest.TrapIn(bad)))
			for _, op := range ops {
				_, err := once(t, m, SessionConfig{}, op, nil)
				if (op == bad) != (err != nil) {
					t.Errorf("trap in %s: %s gave %v", bad, op, err)
				}
			}
		}
	})
}

func TestMemoryLimit(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		c.Limits.Memory = 1 << 20
		r := newRuntime(t, c)
		m := prepare(t, r, small(t, wasmtest.MemoryGrowth()))
		for range 2 {
			if _, err := once(t, m, SessionConfig{}, wasmabi.OpAnalyze, nil); err != nil {
				t.Fatal(err)
			}
		}
		s := m.Stats()
		if s.MemoryBytes != 1<<20 {
			t.Errorf("memory grew to %d bytes, the limit is %d", s.MemoryBytes, 1<<20)
		}
		if s.Discards != 2 {
			t.Errorf("%d instances with a larger memory were given up, want 2", s.Discards)
		}
	})
}

// refusals maps modules that must not get in to the code they are refused with.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name   string
		module []byte
		code   string // prefix
	}{
		{"nothing", nil, "intake."},
		{"not WebAssembly", []byte("#!/bin/sh\n"), "intake."},
		{"trap while initialised", small(t, wasmtest.TrapInInitialize()), "intake.initialize-trap"},
		{"initialisation that never ends", small(t, wasmtest.EndlessInitialize()), "intake.initialize-fuel"},
		{"start that traps", small(t, wasmtest.TrapInStart()), "intake.initialize-trap"},
		{"start that never ends", small(t, wasmtest.EndlessStart()), "intake.initialize-fuel"},
		{"trap when asked for windows", small(t, wasmtest.TrapInWindow()), "intake.initialize-trap"},
		{"window outside", small(t, wasmtest.WindowOutside()), "intake.initialize"},
		{"window record outside", small(t, wasmtest.WindowRecordOutside()), "intake.initialize"},
		{"more memory than there is", small(t, wasmtest.LargeInitialMemory(300)), "intake.initialize-memory"},
		{"import that is not granted", small(t, wasmtest.UngrantedImport()), "intake."},
		{"import of yield", small(t, wasmtest.ImportsYield()), "intake."},
		{"import with another signature", small(t, wasmtest.WrongSignature()), "intake."},
		{"no manifest", wasmtest.Echo(), "manifest.missing"},
		{"asks for too much", asking(t, wasmabi.Limits{Fuel: 1 << 62}), "intake.limits"},
		{"wrong vector", promising(t, []byte("x"), []byte("y")), "intake.vector"},
	} {
		for _, inProcess := range []bool{true, false} {
			name := test.name + ", in a child"
			if inProcess {
				name = test.name
			}
			t.Run(name, func(t *testing.T) {
				r := newRuntime(t, Config{InProcess: inProcess, Limits: Limits{Fuel: 100_000}})
				_, err := r.Prepare(t.Context(), test.module)
				refused, ok := errors.AsType[*Refusal](err)
				if !ok {
					t.Fatalf("got %v, want a refusal", err)
				}
				if !strings.HasPrefix(refused.Code, test.code) {
					t.Errorf("code %q (%v), want %q", refused.Code, err, test.code)
				}
				if refused.Why == "" || refused.Hint == "" {
					t.Errorf("%s: why %q, hint %q", refused.Code, refused.Why, refused.Hint)
				}
			})
		}
	}
}

func asking(t testing.TB, l wasmabi.Limits) []byte {
	m := referenceManifest
	m.Limits = l
	return manifested(t, wasmtest.Echo(), m)
}

func promising(t testing.TB, request, response []byte) []byte {
	m := referenceManifest
	m.Vectors = []wasmabi.Vector{{Op: wasmabi.OpHealth, Request: request, Response: response}}
	return manifested(t, wasmtest.Echo(), m)
}

func manifested(t testing.TB, module []byte, m wasmabi.Manifest) []byte {
	t.Helper()
	module, err := wasmabi.AppendManifest(module, &m)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestGoldenVectorsRunInOrder(t *testing.T) {
	m := referenceManifest
	m.Vectors = []wasmabi.Vector{
		{Op: wasmabi.OpAnalyze, Response: []byte{1, 0, 0, 0, 1, 0, 0, 0}},
		{Op: wasmabi.OpAnalyze, Response: []byte{2, 0, 0, 0, 2, 0, 0, 0}},
	}
	prepare(t, newRuntime(t, Config{}), manifested(t, wasmtest.Counter(), m))
}

func TestFuelAndBytesAreTheSameEverywhere(t *testing.T) {
	type result struct {
		fuel     uint64
		response string
	}
	runs := map[string][]result{}
	variants(t, func(t *testing.T, c Config) {
		m := prepare(t, newRuntime(t, c), reference(t))
		s := begin(t, m, SessionConfig{Time: time.Unix(5, 0), Seed: 42})
		for _, op := range []wasmabi.Op{wasmabi.OpInit, opClock, opRandom, opGoroutines, opSleep, opCollect, opCount} {
			runs[t.Name()] = append(runs[t.Name()], result{response: string(call(t, s, op, []byte("in"))), fuel: s.Fuel()})
		}
		runs[t.Name()] = append(runs[t.Name()], result{response: m.Image()})
	})
	var first []result
	for name, r := range runs {
		if first == nil {
			first = r
		}
		for n := range r {
			if r[n] != first[n] {
				t.Errorf("%s: call %d gave %x for %d, elsewhere %x for %d", name, n, r[n].response, r[n].fuel, first[n].response, first[n].fuel)
			}
		}
	}
}

func TestSeedAndTimeAreAllThatDiffers(t *testing.T) {
	m := prepare(t, newRuntime(t, Config{}), small(t, wasmtest.Clock()))
	at := time.Unix(77, 0)
	a, _ := once(t, m, SessionConfig{Time: at, Seed: 1}, wasmabi.OpAnalyze, nil)
	b, _ := once(t, m, SessionConfig{Time: at, Seed: 1}, wasmabi.OpAnalyze, nil)
	c, _ := once(t, m, SessionConfig{Time: at, Seed: 2}, wasmabi.OpAnalyze, nil)
	if !bytes.Equal(a, b) {
		t.Errorf("the same session gave %x and %x", a, b)
	}
	if bytes.Equal(a[8:], c[8:]) || !bytes.Equal(a[:8], c[:8]) {
		t.Errorf("another seed gave %x after %x", c, a)
	}
	if got := binary.LittleEndian.Uint64(a); got != uint64(at.UnixNano()) {
		t.Errorf("the time is %d", got)
	}
}

func TestLogIsBoundedAndPassedOn(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	m := prepare(t, newRuntime(t, Config{Logger: logger, Limits: Limits{LogBytes: 8}, CacheDir: testCache(t)}), reference(t))
	if _, err := once(t, m, SessionConfig{}, opLog, []byte("hello, world")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `text="hello, w"`) || !strings.Contains(got, "policy=reference") {
		t.Errorf("got %q", got)
	}
	if n := m.Stats().LogDropped; n != 4 {
		t.Errorf("%d bytes were dropped, want 4", n)
	}
}

func TestCancelledCallerEndsTheCall(t *testing.T) {
	m := prepare(t, newRuntime(t, Config{Limits: Limits{Fuel: maxFuel, Deadline: time.Hour}}), small(t, wasmtest.EndlessLoop()))
	s := begin(t, m, SessionConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := s.Call(ctx, wasmabi.OpAnalyze, nil)
	wantKind(t, err, Deadline)
}
