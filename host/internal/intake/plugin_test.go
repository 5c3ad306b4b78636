package intake_test

import (
	"errors"
	"testing"

	"github.com/edgehold/edgehold/host/internal/imports"
	"github.com/edgehold/edgehold/host/internal/intake"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

// TestDoors checks that a module is offered what its door has, and nothing of the other one.
func TestDoors(t *testing.T) {
	i32, i64 := []wasm.ValueType{wasm.I32}, []wasm.ValueType{wasm.I64}
	importing := func(module, name string, params, results []wasm.ValueType) []byte {
		g := wasmtest.Guest{}
		g.Import(module, name, wasm.FuncType{Params: params, Results: results})
		return g.Module()
	}
	bare := func(change func(*wasm.Module)) []byte { // what a plugin looks like: a memory and exports of its own
		m := (&wasmtest.Guest{}).Build()
		for i := range m.Exports {
			if m.Exports[i].Kind == wasm.KindFunction {
				m.Exports[i].Name = "own-" + m.Exports[i].Name
			}
		}
		change(m)
		return m.Encode()
	}
	for _, c := range []struct {
		name              string
		module            []byte
		asGuest, asPlugin string // codes
	}{
		{"kernel function", importing(imports.Kernel, "alloc", i64, i64), intake.CodeImport, ""},
		{"kernel function of another type", importing(imports.Kernel, "alloc", i32, i64), intake.CodeImport, intake.CodeImportType},
		{"unknown kernel function", importing(imports.Kernel, "alloc_all", i64, i64), intake.CodeImport, intake.CodeImport},
		{"host function of the ABI", importing(wasmabi.ModuleHost, wasmabi.ImportNow, nil, i64), "", intake.CodeImport},
		{"yield", importing(wasmabi.ModuleHost, wasmabi.ImportYield, nil, nil), intake.CodeReserved, intake.CodeReserved},
		{"WASI", importing(wasmabi.ModuleWASI, "sched_yield", nil, i32), "", ""},
		{"function of a host's own", importing("extism:host/user", "f", nil, nil), intake.CodeImport, intake.CodeImport},
		{"kits before 1.0", importing("env", "extism_alloc", i64, i64), intake.CodeImport, intake.CodeImport},
		{"own exports", bare(func(*wasm.Module) {}), intake.CodeExport, ""},
		{"no memory", bare(func(m *wasm.Module) { m.Exports[0].Name = "other" }), intake.CodeExport, intake.CodeExport},
		{"reserved name", wasmtest.ReservedExport("edgehold.fuel"), intake.CodeReserved, intake.CodeReserved},
		{"many branches", wasmtest.BranchBomb(200 << 10), intake.CodeTooComplex, intake.CodeTooComplex},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := intake.Check(c.module, intake.DefaultCaps())
			wantCode(t, "as a guest", err, c.asGuest)
			_, err = intake.CheckPlugin(c.module, intake.DefaultCaps())
			wantCode(t, "as a plugin", err, c.asPlugin)
		})
	}
}

func wantCode(t *testing.T, as string, err error, code string) {
	t.Helper()
	r, _ := errors.AsType[*intake.Refusal](err)
	if code == "" && err != nil || code != "" && (r == nil || r.Code != code) {
		t.Errorf("%s: got %v, want %q", as, err, code)
	}
}
