package rewrite_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
)

// TestGeneratedModulesBehaveAlike compares random modules as they are with the same instrumented, in compiler and
// interpreter.
func TestGeneratedModulesBehaveAlike(t *testing.T) {
	b := newBench(t)
	rounds := 300
	if testing.Short() || raceDetector {
		rounds = 60
	}
	rng := rand.New(rand.NewPCG(1, 2))
	entropy := make([]byte, 700)
	trapped, calls := 0, 0
	for i := range rounds {
		for j := range entropy {
			entropy[j] = byte(rng.Uint32())
		}
		r := b.compare(t, entropy, i%2 == 0)
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
		trapped += r.trapped
		calls += r.calls
	}
	t.Logf("%d modules, %d calls, %d of them trapped", rounds, calls, trapped)
	if trapped == 0 || trapped == calls {
		t.Error("the generator makes one kind of module only")
	}
}

func FuzzGeneratedModulesBehaveAlike(f *testing.F) {
	b := newBench(f)
	for i := range 4 {
		rng := rand.New(rand.NewPCG(7, uint64(i)))
		entropy := make([]byte, 200)
		for j := range entropy {
			entropy[j] = byte(rng.Uint32())
		}
		f.Add(entropy, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, entropy []byte, bulk bool) { b.compare(t, entropy[:min(len(entropy), 4096)], bulk) })
}

// engines holds one runtime of each kind.
type engines struct {
	compiler, interpreter wazero.Runtime
}

func newBench(t testing.TB) *engines {
	start := func(c wazero.RuntimeConfig) wazero.Runtime {
		ctx := context.Background()
		rt := wazero.NewRuntimeWithConfig(ctx, c)
		t.Cleanup(func() { _ = rt.Close(ctx) })
		if _, err := rt.NewHostModuleBuilder(rewrite.YieldModule).NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(refillLedger), nil, nil).Export(rewrite.YieldName).Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
		return rt
	}
	return &engines{start(wazero.NewRuntimeConfigCompiler()), start(wazero.NewRuntimeConfigInterpreter())}
}

// ledger is the host's side of one call's account.
type ledger struct {
	slice, granted int64
	yields         int
}

type ledgerKey struct{}

func refillLedger(ctx context.Context, m api.Module, _ []uint64) {
	l := ctx.Value(ledgerKey{}).(*ledger)
	if int64(m.ExportedGlobal(rewrite.DepthGlobal).Get()) < 0 {
		panic("stack exhausted")
	}
	fuel := m.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal)
	l.granted += l.slice - int64(fuel.Get())
	l.yields++
	fuel.Set(uint64(l.slice))
}

// call is what can be seen of one call.
type call struct {
	Results []uint64
	Trap    string
	Globals []uint64
	Memory  string
}

type comparison struct{ calls, trapped int }

func (e *engines) compare(t *testing.T, entropy []byte, bulk bool) (c comparison) {
	t.Helper()
	m := generate(entropy, bulk)
	plain := m.Encode()
	metered, err := rewrite.Instrument(plain, rewrite.Options{MemoryMaxPages: 3, TableMaxEntries: 12, StackBytes: 1 << 26})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := runAll(t, e.compiler, m, plain, 0)
	got, fuel := runAll(t, e.compiler, m, metered, 1<<40)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("instrumented module differs (-want +got):\n%s", d)
	}
	got, sliced := runAll(t, e.compiler, m, metered, 20)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("in slices, instrumented module differs (-want +got):\n%s", d)
	}
	got, interpreted := runAll(t, e.interpreter, m, metered, 50)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("instrumented module differs in the interpreter (-want +got):\n%s", d)
	}
	if d := cmp.Diff(fuel, sliced); d != "" {
		t.Errorf("fuel depends on slices (-whole +sliced):\n%s", d)
	}
	if d := cmp.Diff(fuel, interpreted); d != "" {
		t.Errorf("fuel depends on the engine (-compiler +interpreter):\n%s", d)
	}
	if !bulk {
		e.compareWithOracle(t, m, want, fuel)
	}
	for i := range want {
		c.calls++
		if want[i].Trap != "" {
			c.trapped++
		}
	}
	return c
}

// compareWithOracle checks the fuel of calls that end well against a module in which each instruction is charged by
// itself.
func (e *engines) compareWithOracle(t *testing.T, m *wasm.Module, want []call, fuel []int64) {
	t.Helper()
	charged := chargeEach(t, m)
	got, oracle := runAll(t, e.compiler, m, charged, 1<<40)
	for i := range want {
		if want[i].Trap == "" && got[i].Trap == "" && fuel[i] != oracle[i] {
			t.Errorf("function %d took %d units of fuel, its instructions cost %d", i, fuel[i], oracle[i])
		}
	}
}

// chargeEach puts a charge before every instruction.
func chargeEach(t *testing.T, m *wasm.Module) []byte {
	t.Helper()
	out := *m
	fuel := uint32(len(m.Globals))
	out.Globals = append(m.Globals[:fuel:fuel], wasm.Global{
		GlobalType: wasm.GlobalType{Type: wasm.I64, Mutable: true}, Init: wasm.ConstExpr{Op: wasm.OpI64Const},
	})
	out.Exports = append(m.Exports[:len(m.Exports):len(m.Exports)], wasm.Export{
		Name: rewrite.FuelGlobal, Kind: wasm.KindGlobal, Index: fuel,
	})
	out.Bodies = nil
	for _, b := range m.Bodies {
		it := wasm.NewCode(b.Code, 0, len(b.Code))
		var in wasm.Instruction
		var c wasmtest.Code
		for it.Next(&in) {
			if cost := rewrite.CostOf(in.Op); cost > 0 {
				c = c.Index(wasm.OpGlobalGet, fuel).I64(cost).Op(wasm.OpI64Sub).Index(wasm.OpGlobalSet, fuel)
			}
			c = append(c, b.Code[in.Start:in.End]...)
		}
		out.Bodies = append(out.Bodies, wasm.Body{Locals: b.Locals, Code: c})
	}
	return out.Encode()
}

// runAll calls every function of one instance, and returns what could be seen and the fuel of each call.
func runAll(t *testing.T, rt wazero.Runtime, m *wasm.Module, module []byte, slice int64) (calls []call, fuel []int64) {
	t.Helper()
	ctx := context.Background()
	in, err := rt.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatalf("engine refuses a generated module: %v", err)
	}
	defer in.Close(ctx)
	counter, _ := in.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal)
	for i, f := range m.Functions {
		in.ExportedGlobal("g" + strconv.Itoa(budgetGlobal)).(api.MutableGlobal).Set(300)
		l := ledger{slice: slice, granted: slice}
		if counter != nil {
			counter.Set(uint64(slice))
		}
		if depth, ok := in.ExportedGlobal(rewrite.DepthGlobal).(api.MutableGlobal); ok {
			depth.Set(1 << 26)
		}
		var args []uint64
		for j, p := range m.Types[f].Params {
			args = append(args, argument(p, i+j))
		}
		results, err := in.ExportedFunction("f"+strconv.Itoa(i)).Call(context.WithValue(ctx, ledgerKey{}, &l), args...)
		c := observe(in, results, m.Types[f].Results)
		if err != nil {
			c.Trap = firstLine(err)
		}
		calls = append(calls, c)
		if counter != nil {
			fuel = append(fuel, l.granted-int64(counter.Get()))
		}
	}
	return calls, fuel
}

func argument(t wasm.ValueType, n int) uint64 {
	switch t {
	case wasm.F32:
		return api.EncodeF32(float32(n))
	case wasm.F64:
		return api.EncodeF64(float64(n))
	}
	return uint64(n)
}

func observe(in api.Module, results []uint64, types []wasm.ValueType) (c call) {
	for i, v := range results {
		c.Results = append(c.Results, canonical(types[i], v))
	}
	for i, t := range globalTypes {
		c.Globals = append(c.Globals, canonical(t, in.ExportedGlobal("g"+strconv.Itoa(i)).Get()))
	}
	memory, _ := in.Memory().Read(0, in.Memory().Size())
	c.Memory = fmt.Sprintf("%d bytes %x", len(memory), sha256.Sum256(memory))
	return c
}

// canonical makes all NaN one, as which of two operands' NaN survives is up to the engine's choice of registers, and
// clears the half of a slot that a 32-bit value does not use.
func canonical(t wasm.ValueType, v uint64) uint64 {
	switch {
	case t == wasm.F32 && math.IsNaN(float64(api.DecodeF32(v))), t == wasm.F64 && math.IsNaN(api.DecodeF64(v)):
		return math.MaxUint64
	case t == wasm.I32, t == wasm.F32:
		return uint64(uint32(v))
	}
	return v
}

func TestGuestsBehaveAlike(t *testing.T) {
	for name, want := range map[string]string{
		"DivideByZero": "integer divide by zero", "LoadOutside": "out of bounds memory access", "IndirectOutside": "invalid table access",
	} {
		t.Run(name, func(t *testing.T) {
			module := map[string][]byte{
				"DivideByZero": wasmtest.DivideByZero(), "LoadOutside": wasmtest.LoadOutside(), "IndirectOutside": wasmtest.IndirectOutside(),
			}[name]
			metered, err := rewrite.Instrument(module, rewrite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = instance(t, wazero.NewRuntimeConfig(), metered).ExportedFunction("edgehold_call").Call(context.Background(), 0, 0)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
