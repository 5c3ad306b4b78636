package intake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host/internal/intake"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestCheckAcceptsGuestsThatOnlyMisbehaveLater(t *testing.T) {
	for name, module := range map[string][]byte{
		"idle":               wasmtest.Idle(),
		"echo":               wasmtest.Echo(),
		"clock":              wasmtest.Clock(),
		"host caller":        wasmtest.HostCaller(1, 2),
		"endless loop":       wasmtest.EndlessLoop(),
		"endless recursion":  wasmtest.EndlessRecursion(),
		"indirect recursion": wasmtest.EndlessIndirectRecursion(),
		"memory growth":      wasmtest.MemoryGrowth(),
		"deep stack":         wasmtest.DeepStack(1000),
		"trap in start":      wasmtest.TrapInStart(),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := intake.Check(module, intake.DefaultCaps()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	build := func(change func(*wasm.Module)) []byte {
		m := (&wasmtest.Guest{}).Build()
		change(m)
		m.CountImports()
		return m.Encode()
	}
	code := func(c wasmtest.Code) []byte { return (&wasmtest.Guest{Call: c.I64(0).End()}).Module() }
	dropExport := func(name string) []byte {
		return build(func(m *wasm.Module) {
			for i := range m.Exports {
				if m.Exports[i].Name == name {
					m.Exports[i].Name = "other"
				}
			}
		})
	}
	for _, c := range []struct {
		name, code string
		module     []byte
	}{
		{"nothing", intake.CodeMalformed, nil},
		{"a script", intake.CodeMalformed, []byte("#!/bin/sh\necho hello")},
		{"another version", intake.CodeMalformed, []byte("\x00asm\x02\x00\x00\x00")},
		{"a component", intake.CodeUnsupported, []byte("\x00asm\x0d\x00\x01\x00")},
		{"cut off", intake.CodeMalformed, wasmtest.Echo()[:80]},
		{"bytes claimed but absent", intake.CodeMalformed, []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\x0f")},
		{"count claimed but absent", intake.CodeMalformed, []byte("\x00asm\x01\x00\x00\x00\x03\x02\xe8\x07")},
		{"overlong number", intake.CodeMalformed, []byte("\x00asm\x01\x00\x00\x00\x01\x87\x80\x80\x80\x80\x00\x00")},
		{"sections out of order", intake.CodeMalformed, []byte("\x00asm\x01\x00\x00\x00\x03\x01\x00\x01\x01\x00")},
		{"section twice", intake.CodeMalformed, []byte("\x00asm\x01\x00\x00\x00\x01\x01\x00\x01\x01\x00")},
		{"unknown section", intake.CodeMalformed, []byte("\x00asm\x01\x00\x00\x00\x0e\x00")},
		{"more than 4 MiB", intake.CodeTooLarge, make([]byte, 4<<20+1)},

		{"shared memory", intake.CodeUnsupported, []byte("\x00asm\x01\x00\x00\x00\x05\x04\x01\x03\x01\x02")},
		{"64-bit memory", intake.CodeUnsupported, []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x04\x01")},
		{"two memories", intake.CodeLimit, []byte("\x00asm\x01\x00\x00\x00\x05\x05\x02\x00\x01\x00\x01")},
		{"atomics", intake.CodeUnsupported, code(wasmtest.Code{0xfe, 0x03, 0x00})},
		{"tail call", intake.CodeUnsupported, code(wasmtest.Code{0x12, 0x00})},
		{"exceptions", intake.CodeUnsupported, code(wasmtest.Code{0x08, 0x00})},
		{"relaxed SIMD", intake.CodeUnsupported, code(wasmtest.Code{0xfd, 0x80, 0x02})},
		{"illegal opcode", intake.CodeMalformed, code(wasmtest.Code{0x27})},

		{"import from elsewhere", intake.CodeImport, wasmtest.UngrantedImport()},
		{"unknown WASI function", intake.CodeImport, wasmtest.UngrantedWASI()},
		{"import of a memory", intake.CodeImport, build(func(m *wasm.Module) {
			m.Imports = []wasm.Import{{Module: "env", Name: "memory", Kind: wasm.KindMemory}}
		})},
		{"import of yield", intake.CodeReserved, wasmtest.ImportsYield()},
		{"import under another type", intake.CodeImportType, wasmtest.WrongSignature()},
		{"reserved export", intake.CodeReserved, wasmtest.ReservedExport("edgehold.fuel")},

		{"no memory exported", intake.CodeExport, dropExport(wasmabi.ExportMemory)},
		{"no marker", intake.CodeExport, dropExport(wasmabi.ExportMarker)},
		{"no window", intake.CodeExport, dropExport(wasmabi.ExportWindow)},
		{"no call", intake.CodeExport, dropExport(wasmabi.ExportCall)},
		{"call of another type", intake.CodeExportType, build(func(m *wasm.Module) { m.Functions[2] = m.Functions[0] })},
		{"memory that is a function", intake.CodeExportType, build(func(m *wasm.Module) { m.Exports[0].Kind = wasm.KindFunction })},

		{"unknown function", intake.CodeMalformed, code(wasmtest.Code{}.Index(wasm.OpCall, 99))},
		{"unknown local", intake.CodeMalformed, code(wasmtest.Code{}.Index(wasm.OpLocalGet, 2))},
		{"unknown global", intake.CodeMalformed, code(wasmtest.Code{}.Index(wasm.OpGlobalGet, 0))},
		{"unknown label", intake.CodeMalformed, code(wasmtest.Code{}.Index(wasm.OpBr, 5))},
		{"unknown table", intake.CodeMalformed, code(wasmtest.Code{}.Index(wasm.OpCallIndirect, 0, 0))},
		{"data without count", intake.CodeMalformed, code(wasmtest.Code{}.Index(wasm.OpDataDrop, 0))},
		{"else without if", intake.CodeMalformed, code(wasmtest.Code{}.Op(wasm.OpElse))},
		{"code after the end", intake.CodeMalformed, code(wasmtest.Code{}.End())},

		{"much initial memory", intake.CodeLimit, wasmtest.LargeInitialMemory(2000)},
		{"large table", intake.CodeLimit, wasmtest.TableBomb(100_000)},
		{"one huge function", intake.CodeLimit, wasmtest.BranchBomb(300 << 10)},
		{"many branches", intake.CodeTooComplex, wasmtest.BranchBomb(200 << 10)},
		{"many branches, spread", intake.CodeTooComplex, wasmtest.BranchBombs(90, 3500)},
		{"long branch table", intake.CodeLimit, wasmtest.BranchTableBomb(100_000)},
		{"tables of branches", intake.CodeTooComplex, wasmtest.BranchTablesBomb(200)},
		{"many locals", intake.CodeLimit, wasmtest.LocalsBomb(50_000)},
		{"many joins", intake.CodeTooComplex, wasmtest.JoinBomb(3900, 500)},
		{"globals to load after calls", intake.CodeTooComplex, wasmtest.GlobalsBomb(900, 20_000)},
		{"nested loops", intake.CodeTooComplex, wasmtest.LoopBomb(950, 100)},
		{"nested loops with many locals", intake.CodeTooComplex, wasmtest.LoopBomb(64, 1500)},
		{"many fills", intake.CodeTooComplex, wasmtest.FillBomb(20_000)},
		{"deep nesting", intake.CodeTooComplex, wasmtest.NestingBomb(3000)},
		{"many types", intake.CodeLimit, wasmtest.TypesBomb(5000)},
		{"many results", intake.CodeLimit, wasmtest.ResultsBomb(500, 1000)},
		{"many functions", intake.CodeLimit, wasmtest.FunctionsBomb(100_000)},
		{"many exports", intake.CodeLimit, wasmtest.ExportsBomb(5000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := intake.Check(c.module, intake.DefaultCaps())
			refusal, ok := errors.AsType[*intake.Refusal](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if refusal.Code != c.code {
				t.Errorf("code %s, want %s: %v", refusal.Code, c.code, err)
			}
			if refusal.What == "" || refusal.Why == "" || refusal.Hint == "" {
				t.Errorf("refusal lacks a part: %+v", refusal)
			}
		})
	}
}

func TestBombsAreRefusedAtOnce(t *testing.T) {
	for name, module := range map[string][]byte{
		"one function of 351 KiB": wasmtest.BranchBomb(351 << 10),
		"4 MiB in one function":   wasmtest.BranchBomb(4<<20 - 100),
		"4 MiB in many functions": wasmtest.BranchBombs(1000, 380),
		"4 MiB of types":          wasmtest.TypesBomb(190_000),
		"branch table":            wasmtest.BranchTableBomb(4<<20 - 100),
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			if _, err := intake.Check(module, intake.DefaultCaps()); err == nil {
				t.Fatal("not refused")
			}
			// Far above what a busy machine takes, far below the minutes of a pass that is not linear; the benchmarks
			// hold the figure.
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("refused after %v", took)
			}
		})
	}
}

func TestCheckAcceptsGoPolicy(t *testing.T) {
	module := pluginstest.Module(t, "../../../examples/01-cpu-boost")
	begin := time.Now()
	s, err := intake.Check(module, intake.DefaultCaps())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes in %v: %d functions, %d control instructions, compiling about %v, work %d",
		len(module), time.Since(begin), s.Functions, s.ControlInstructions, s.CompileTime, s.Work)
	if !s.WASI || !s.HasInitialize || s.Unfreezable != "" {
		t.Errorf("summary of a Go policy: %+v", s)
	}
}

func TestSummary(t *testing.T) {
	g := wasmtest.Guest{Pages: 3, MaxPages: 5, Manifest: []byte("m"), Start: &wasmtest.Func{Code: wasmtest.Code{}.End()}}
	g.ImportHost(wasmabi.ImportNow)
	s, err := intake.Check(g.Module(), intake.DefaultCaps())
	if err != nil {
		t.Fatal(err)
	}
	if s.MemoryMinPages != 3 || s.MemoryMaxPages != 5 || !s.MemoryHasMax || !s.HasStart || string(s.Manifest) != "m" ||
		len(s.HostImports) != 1 || s.HostImports[0] != wasmabi.ImportNow || s.WASI || s.Functions != 4 {
		t.Errorf("summary %+v", s)
	}
}

func TestSummarySaysWhatCannotBeFrozen(t *testing.T) {
	g := wasmtest.Guest{Table: []uint32{0}}
	g.Call = append(wasmtest.Code{}.I32(0).Index(wasm.OpRefNull, uint32(wasm.FuncRef)), wasmtest.Code{}.
		Index(wasm.OpTableSet, 0).I64(0).End()...)
	s, err := intake.Check(g.Module(), intake.DefaultCaps())
	if err != nil {
		t.Fatal(err)
	}
	if s.Unfreezable == "" {
		t.Error("a guest that sets a table was called freezable")
	}
}
