package rewrite_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

func instrument(t testing.TB, module []byte, o rewrite.Options) []byte {
	t.Helper()
	out, err := rewrite.Instrument(module, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stopAfter returns a host's yield that refills until units of fuel are used or the stack is.
func stopAfter(units int64, report func(m api.Module)) api.GoModuleFunc {
	const slice = 10_000
	return func(_ context.Context, m api.Module, _ []uint64) {
		if int64(m.ExportedGlobal(rewrite.DepthGlobal).Get()) < 0 {
			if report != nil {
				report(m)
			}
			panic("out of stack")
		}
		if units -= slice; units < 0 {
			panic("out of fuel")
		}
		m.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal).Set(slice)
	}
}

// guest starts a module with the given yield and nothing else of the host's but functions that do nothing.
func guest(t testing.TB, config wazero.RuntimeConfig, module []byte, yield api.GoModuleFunc) api.Module {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { _ = rt.Close(ctx) })
	b := rt.NewHostModuleBuilder(rewrite.YieldModule)
	b.NewFunctionBuilder().WithGoModuleFunction(yield, nil, nil).Export(rewrite.YieldName)
	for name, typ := range wasmtest.HostTypes() {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if len(stack) > 0 {
				stack[0] = 0
			}
		}), engineTypes(typ.Params), engineTypes(typ.Results)).Export(name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := rt.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func engineTypes(ts []wasm.ValueType) (out []api.ValueType) {
	for _, t := range ts {
		out = append(out, api.ValueType(t))
	}
	return out
}

func TestHostileGuestsAreStopped(t *testing.T) {
	for _, c := range []struct {
		name   string
		module []byte
		export string
		want   string
	}{
		{"endless loop", wasmtest.EndlessLoop(), wasmabi.ExportCall, "out of fuel"},
		{"endless recursion", wasmtest.EndlessRecursion(), wasmabi.ExportCall, "out of stack"},
		{"endless recursion of the smallest frames", smallestFrames(), wasmabi.ExportInitialize, "out of stack"},
		{"endless indirect recursion", wasmtest.EndlessIndirectRecursion(), wasmabi.ExportCall, "out of stack"},
		{"endless mutual recursion", wasmtest.EndlessMutualRecursion(30), wasmabi.ExportCall, "out of stack"},
		{"exponential tree of calls", wasmtest.CallTree(60), wasmabi.ExportCall, "out of fuel"},
		{"frames in one page", wasmtest.DeepStack(500), wasmabi.ExportCall, "out of stack"},
		{"memory fill", wasmtest.MemoryFill(2), wasmabi.ExportCall, "out of fuel"},
		{"host calls", wasmtest.HostCallFlood(), wasmabi.ExportCall, "out of fuel"},
		{"logs", wasmtest.LogFlood(64), wasmabi.ExportCall, "out of fuel"},
		{"start", wasmtest.EndlessStart(), rewrite.StartExport, "out of fuel"},
		{"initialize", wasmtest.EndlessInitialize(), wasmabi.ExportInitialize, "out of fuel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			metered := instrument(t, c.module, rewrite.Options{})
			for engine, config := range map[string]wazero.RuntimeConfig{
				"compiler": wazero.NewRuntimeConfig(), "interpreter": wazero.NewRuntimeConfigInterpreter(),
			} {
				m := guest(t, config, metered, stopAfter(2_000_000, nil))
				f := m.ExportedFunction(c.export)
				_, err := f.Call(context.Background(), make([]uint64, len(f.Definition().ParamTypes()))...)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: got %v, want %s", engine, err, c.want)
				}
			}
		})
	}
}

// smallestFrames recurses with frames that hold nothing, so that as many as possible fit.
func smallestFrames() []byte {
	g := wasmtest.Guest{}
	g.Funcs = []wasmtest.Func{{Code: wasmtest.Code{}.Index(wasm.OpCall, g.FirstFunc()).End(), Export: wasmabi.ExportInitialize}}
	return g.Module()
}

// TestStackStaysSmall bounds the engine's real stack for guests that make frames as large as they can.
func TestStackStaysSmall(t *testing.T) {
	const bound = 8 << 20
	for _, values := range []int{1, 10, 100, 1000, 10_000} {
		metered := instrument(t, wasmtest.DeepStack(values), rewrite.Options{})
		var before, after runtime.MemStats
		m := guest(t, wazero.NewRuntimeConfig(), metered, stopAfter(1<<40, func(api.Module) {
			runtime.GC()
			runtime.ReadMemStats(&after)
		}))
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := m.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0)
		if err == nil || !strings.Contains(err.Error(), "out of stack") {
			t.Errorf("%d values: got %v", values, err)
		}
		if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > bound {
			t.Errorf("%d values: the engine's stack took %d KiB, want at most %d", values, used>>10, bound>>10)
		}
	}
}

func TestStackIsGivenBack(t *testing.T) {
	metered := instrument(t, loopsModule(), rewrite.Options{})
	m := guest(t, wazero.NewRuntimeConfig(), metered, stopAfter(1<<40, nil))
	before := m.ExportedGlobal(rewrite.DepthGlobal).Get()
	for _, name := range []string{"fib", "calls", "indirect"} {
		if _, err := m.ExportedFunction(name).Call(context.Background(), 10); err != nil {
			t.Fatal(err)
		}
		if after := m.ExportedGlobal(rewrite.DepthGlobal).Get(); after != before {
			t.Errorf("after %s %d bytes of stack are left, before it were %d", name, after, before)
		}
	}
}

func TestMemoryIsCapped(t *testing.T) {
	m := guest(t, wazero.NewRuntimeConfig(), instrument(t, wasmtest.MemoryGrowth(), rewrite.Options{MemoryMaxPages: 5}), stopAfter(1<<40, nil))
	if _, err := m.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if got := m.Memory().Size(); got != 5<<16 {
		t.Errorf("memory grew to %d bytes, want %d", got, 5<<16)
	}
	_, err := rewrite.Instrument(wasmtest.LargeInitialMemory(6), rewrite.Options{MemoryMaxPages: 5})
	if limit, ok := errors.AsType[*rewrite.LimitError](err); !ok || limit.Got != 6 || limit.Max != 5 {
		t.Errorf("got %v", err)
	}
}

func TestNothingRunsBeforeTheHostIsAsked(t *testing.T) {
	metered := instrument(t, wasmtest.TrapInStart(), rewrite.Options{})
	asked := false
	m := guest(t, wazero.NewRuntimeConfig(), metered, func(context.Context, api.Module, []uint64) { asked = true })
	if _, err := m.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ExportedFunction(rewrite.StartExport).Call(context.Background()); err == nil || asked {
		t.Errorf("start: %v, asked %v; it is brief, so it traps without asking", err, asked)
	}
	m = guest(t, wazero.NewRuntimeConfig(), instrument(t, wasmtest.EndlessLoop(), rewrite.Options{}), stopAfter(0, nil))
	if _, err := m.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0); err == nil {
		t.Error("a guest ran without fuel")
	}
}

func TestNamesStayTrue(t *testing.T) {
	g := wasmtest.Guest{}
	g.Call = wasmtest.Code{}.Index(wasm.OpCall, g.FirstFunc()).I64(0).End()
	g.Funcs = []wasmtest.Func{{Code: wasmtest.Code{}.Op(wasm.OpUnreachable).End()}}
	module := g.Build()
	module.Customs = []wasm.Custom{{Name: wasm.NameSection, Bytes: []byte("\x01\x11\x02\x02\x06caller\x03\x06callee")}, {Name: ".debug_info"}}
	metered := instrument(t, module.Encode(), rewrite.Options{})
	m := guest(t, wazero.NewRuntimeConfig(), metered, stopAfter(1<<40, nil))
	_, err := m.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0)
	if err == nil || !strings.Contains(err.Error(), "callee()") || !strings.Contains(err.Error(), "caller(i32,i32)") {
		t.Errorf("stack trace without names: %v", err)
	}
	out, err := wasm.Decode(metered, wasm.MaxCaps())
	if err != nil || len(out.Customs) != 1 {
		t.Errorf("custom sections %v, %v", out.Customs, err)
	}
}

func TestHostileNamesAreDropped(t *testing.T) {
	module := (&wasmtest.Guest{}).Build()
	module.Customs = []wasm.Custom{{Name: wasm.NameSection, Bytes: []byte("\x01\x05\xff\xff\xff\xff\x0f")}}
	metered := instrument(t, module.Encode(), rewrite.Options{})
	if err := validator(t)(metered); err != nil {
		t.Error(err)
	}
	if out, err := wasm.Decode(metered, wasm.MaxCaps()); err != nil || len(out.Customs) != 0 {
		t.Errorf("custom sections %v, %v", out.Customs, err)
	}
}

// TestGoGuestFuelIsTheSameEverywhere runs the same calls in compiler and interpreter.
func TestGoGuestFuelIsTheSameEverywhere(t *testing.T) {
	metered := instrument(t, goGuest(t), rewrite.Options{MemoryMaxPages: 1024})
	var fuel [2][]int64
	for i, config := range []wazero.RuntimeConfig{wazero.NewRuntimeConfig(), wazero.NewRuntimeConfigInterpreter()} {
		m := instance(t, config, metered)
		counter := m.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal)
		for _, name := range []string{"columns", "sort", "maps", "columns"} {
			counter.Set(1 << 40)
			if _, err := m.ExportedFunction(name).Call(context.Background()); err != nil {
				t.Fatal(err)
			}
			fuel[i] = append(fuel[i], 1<<40-int64(counter.Get()))
		}
	}
	if d := cmp.Diff(fuel[0], fuel[1]); d != "" {
		t.Errorf("fuel differs (-compiler +interpreter):\n%s", d)
	}
	t.Logf("fuel of a call: columns %d, sort %d, maps %d", fuel[0][0], fuel[0][1], fuel[0][2])
}

func TestInstrumentIsDeterministic(t *testing.T) {
	module := loopsModule()
	first, second := instrument(t, module, rewrite.Options{}), instrument(t, module, rewrite.Options{})
	if !bytes.Equal(first, second) {
		t.Error("two runs differ")
	}
}

// freeze takes the state of an instance and returns a function that makes instances of the frozen module.
func freeze(t *testing.T, metered []byte, m api.Module) func() api.Module {
	t.Helper()
	decoded, err := wasm.Decode(metered, wasm.MaxCaps())
	if err != nil {
		t.Fatal(err)
	}
	globals := make([]uint64, len(decoded.Globals))
	for _, e := range decoded.Exports {
		if e.Kind == wasm.KindGlobal {
			globals[e.Index] = m.ExportedGlobal(e.Name).Get()
		}
	}
	image, _ := m.Memory().Read(0, m.Memory().Size())
	image = append([]byte(nil), image...)
	frozen, mutable, err := rewrite.Freeze(metered, globals, uint32(len(image)>>16))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range mutable {
		if g.Name == rewrite.FuelGlobal || g.Name == rewrite.DepthGlobal || g.Value != globals[g.Index] {
			t.Errorf("global to reset: %+v, value was %d", g, globals[g.Index])
		}
	}
	return func() api.Module {
		in := instantiate(t, wazero.NewRuntimeConfig(), frozen)
		if got := in.Memory().Size(); int(got) != len(image) {
			t.Fatalf("frozen memory has %d bytes, want %d", got, len(image))
		}
		in.Memory().Write(0, image)
		return in
	}
}

func TestFreezeKeepsState(t *testing.T) {
	metered := instrument(t, wasmtest.Counter(), rewrite.Options{})
	call := func(m api.Module) uint64 {
		if _, err := m.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0); err != nil {
			t.Fatal(err)
		}
		counts, _ := m.Memory().ReadUint64Le(wasmtest.ResponseAddress)
		return counts
	}
	m := instance(t, wazero.NewRuntimeConfig(), metered)
	call(m)
	call(m)
	start := freeze(t, metered, m)
	for range 2 {
		if got := call(start()); got != 3<<32|3 {
			t.Errorf("a frozen instance counts %#x, want 3 in memory and 3 in the global", got)
		}
	}
}

func TestFreezeGoGuest(t *testing.T) {
	metered := instrument(t, goGuest(t), rewrite.Options{MemoryMaxPages: 1024})
	m := instance(t, wazero.NewRuntimeConfig(), metered) // runs _initialize
	start := freeze(t, metered, m)
	in := start()
	for _, name := range []string{"columns", "sort", "maps"} {
		if _, err := in.ExportedFunction(name).Call(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestFreezeKeepsPassiveSegments(t *testing.T) {
	m := (&wasmtest.Guest{Call: append(wasmtest.Code{}.I32(0).I32(0).I32(2).Index(wasm.OpMemoryInit, 1), 0).I64(0).End()}).Build()
	m.Data = append(m.Data, wasm.Data{Mode: wasm.Passive, Bytes: []byte("ab")})
	m.DataCount = true
	metered := instrument(t, m.Encode(), rewrite.Options{})
	start := freeze(t, metered, instance(t, wazero.NewRuntimeConfig(), metered))
	in := start()
	if _, err := in.ExportedFunction(wasmabi.ExportCall).Call(context.Background(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if b, _ := in.Memory().Read(0, 2); string(b) != "ab" {
		t.Errorf("memory begins with %q", b)
	}
}

func TestFreezeRefuses(t *testing.T) {
	g := wasmtest.Guest{Table: []uint32{0}}
	g.Call = append(wasmtest.Code{}.I32(0).Index(wasm.OpRefNull, uint32(wasm.FuncRef)), wasmtest.Code{}.
		Index(wasm.OpTableSet, 0).I64(0).End()...)
	v := wasmtest.Guest{Globals: []wasm.Global{{
		GlobalType: wasm.GlobalType{Type: wasm.V128, Mutable: true}, Init: wasm.ConstExpr{Op: wasm.OpV128Const},
	}}}
	for name, module := range map[string][]byte{"table.set": g.Module(), "vector global": v.Module()} {
		if _, _, err := rewrite.Freeze(module, make([]uint64, 1), 1); !errors.Is(err, rewrite.ErrUnfreezable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, args := range map[string]struct {
		globals []uint64
		pages   uint32
	}{"too few globals": {nil, 1}, "too few pages": {make([]uint64, 1), 0}} {
		if _, _, err := rewrite.Freeze(wasmtest.Counter(), args.globals, args.pages); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
