package rewrite_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// The benchmarks compare a guest as it is with the same guest instrumented.

// loopsModule exports spin (an empty loop), mix (a generator that writes memory), fib (recursion), indirect (calls
// through a table in a loop) and calls (direct calls in a loop).
func loopsModule() []byte {
	i32, i64 := []wasm.ValueType{wasm.I32}, []wasm.ValueType{wasm.I64}
	unary := wasm.FuncType{Params: i32, Results: i32}
	long := wasm.FuncType{Params: i32, Results: i64}
	g := wasmtest.Guest{}
	g.TypeIndex(unary)
	first := g.FirstFunc()
	again := func(c wasmtest.Code) wasmtest.Code {
		return c.Index(wasm.OpLocalGet, 0).I32(1).Op(wasm.OpI32Sub).Index(wasm.OpLocalTee, 0).Index(wasm.OpBrIf, 0).End()
	}
	step := func(c wasmtest.Code, shift wasm.Op, by int64) wasmtest.Code {
		return c.Index(wasm.OpLocalGet, 1).Index(wasm.OpLocalGet, 1).I64(by).Op(shift, wasm.OpI64Xor).Index(wasm.OpLocalSet, 1)
	}
	loop := wasmtest.Code{}.Loop(wasm.BlockEmpty)
	mix := append(wasmtest.Code{}.I64(88172645463325252).Index(wasm.OpLocalSet, 1), loop...)
	mix = step(step(step(mix, wasm.OpI64Shl, 13), wasm.OpI64ShrU, 7), wasm.OpI64Shl, 17)
	mix = mix.Index(wasm.OpLocalGet, 1).Op(wasm.OpI32WrapI64).I32(0x7ff8).Op(wasm.OpI32And).
		Index(wasm.OpLocalGet, 1).Access(wasm.OpI64Store, 0)
	less := func(n int32) wasmtest.Code {
		return wasmtest.Code{}.Index(wasm.OpLocalGet, 0).I32(n).Op(wasm.OpI32Sub).Index(wasm.OpCall, first+2)
	}
	fib := wasmtest.Code{}.Index(wasm.OpLocalGet, 0).I32(2).Op(wasm.OpI32LtU).If(wasm.BlockEmpty).
		Index(wasm.OpLocalGet, 0).Op(wasm.OpReturn).End()
	fib = append(append(fib, less(1)...), less(2)...).Op(wasm.OpI32Add).End()
	call := append(wasmtest.Code{}, loop...).Index(wasm.OpLocalGet, 0).Index(wasm.OpCall, first+5).Op(wasm.OpDrop)
	indirect := append(wasmtest.Code{}, loop...).Index(wasm.OpLocalGet, 0).I32(0).
		Index(wasm.OpCallIndirect, g.TypeIndex(unary), 0).Op(wasm.OpDrop)
	g.Funcs = []wasmtest.Func{
		{Export: "spin", Type: unary, Code: again(append(wasmtest.Code{}, loop...)).Index(wasm.OpLocalGet, 0).End()},
		{Export: "mix", Type: long, Locals: []wasm.Locals{{Count: 1, Type: wasm.I64}}, Code: again(mix).Index(wasm.OpLocalGet, 1).End()},
		{Export: "fib", Type: unary, Code: fib},
		{Export: "calls", Type: unary, Code: again(call).Index(wasm.OpLocalGet, 0).End()},
		{Export: "indirect", Type: unary, Code: again(indirect).Index(wasm.OpLocalGet, 0).End()},
		{Type: unary, Code: wasmtest.Code{}.Index(wasm.OpLocalGet, 0).I32(3).Op(wasm.OpI32Mul).End()},
	}
	g.Table = []uint32{first + 5}
	return g.Module()
}

func BenchmarkLoops(b *testing.B) {
	module := loopsModule()
	for _, c := range []struct {
		name string
		arg  uint64
	}{{"spin", 50_000}, {"mix", 20_000}, {"fib", 18}, {"calls", 20_000}, {"indirect", 20_000}} {
		b.Run(c.name, func(b *testing.B) { sideBySide(b, module, c.name, c.arg, 1) })
	}
}

// BenchmarkGoPolicy runs a guest built by the Go compiler: decoding a columnar observation of 36 metrics and
// answering, sorting, and counting in maps.
func BenchmarkGoPolicy(b *testing.B) {
	module := goGuest(b)
	for _, name := range []string{"columns", "sort", "maps"} {
		b.Run(name, func(b *testing.B) { sideBySide(b, module, name, 0, 50) })
	}
}

func BenchmarkInstrument(b *testing.B) {
	module := goGuest(b)
	b.SetBytes(int64(len(module)))
	for b.Loop() {
		if _, err := rewrite.Instrument(module, rewrite.Options{MemoryMaxPages: 1024}); err != nil {
			b.Fatal(err)
		}
	}
}

// topUp does what a host does before each call.
func topUp(m api.Module) {
	if g := m.ExportedGlobal(rewrite.FuelGlobal); g != nil {
		g.(api.MutableGlobal).Set(250_000)
	}
}

// sideBySide takes turns between the guest as it is and the guest instrumented, so that both meet the same machine,
// and reports the fastest turn of each and their ratio.
func sideBySide(b *testing.B, module []byte, export string, arg uint64, calls int) {
	metered, err := rewrite.Instrument(module, rewrite.Options{MemoryMaxPages: 1024})
	if err != nil {
		b.Fatal(err)
	}
	guests := [2]api.Module{
		instance(b, wazero.NewRuntimeConfig(), module), instance(b, wazero.NewRuntimeConfig(), metered),
	}
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for b.Loop() {
		for i, m := range guests {
			best[i] = min(best[i], turn(b, m, export, arg, calls))
		}
	}
	b.ReportMetric(float64(best[0])/float64(calls), "plain-ns")
	b.ReportMetric(float64(best[1])/float64(calls), "metered-ns")
	b.ReportMetric(float64(best[1])/float64(best[0]), "ratio")
}

func turn(b *testing.B, m api.Module, export string, arg uint64, calls int) time.Duration {
	f := m.ExportedFunction(export)
	var stack [1]uint64
	begin := time.Now()
	for range calls {
		stack[0] = arg
		topUp(m)
		if err := f.CallWithStack(context.Background(), stack[:]); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin)
}

// instance starts a module with everything that it may import, and initialises it.
func instance(t testing.TB, config wazero.RuntimeConfig, module []byte) api.Module {
	t.Helper()
	return instantiate(t, config, module, "_initialize")
}

func instantiate(t testing.TB, config wazero.RuntimeConfig, module []byte, starts ...string) api.Module {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { _ = rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	if _, err := rt.NewHostModuleBuilder(rewrite.YieldModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(refill), nil, nil).Export(rewrite.YieldName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := rt.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStartFunctions(starts...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// goGuest is testdata/guest, built by the Go compiler as a policy is.
func goGuest(t testing.TB) []byte {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector makes compiling a Go guest take half a minute, and there is one goroutine")
	}
	return pluginstest.Module(t, "./testdata/guest")
}
