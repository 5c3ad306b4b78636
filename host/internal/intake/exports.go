package intake

import (
	"fmt"

	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// export is a function that a guest exports.
type export struct {
	name     string
	typ      wasm.FuncType
	optional bool
}

// abiExports are the functions that a guest exports. _initialize is optional.
var abiExports = []export{
	{wasmabi.ExportMarker, wasm.FuncType{}, false},
	{wasmabi.ExportWindow, wasm.FuncType{Results: []wasm.ValueType{wasm.I32}}, false},
	{wasmabi.ExportCall, wasm.FuncType{Params: []wasm.ValueType{wasm.I32, wasm.I32}, Results: []wasm.ValueType{wasm.I64}}, false},
	{wasmabi.ExportInitialize, wasm.FuncType{}, true},
}

func checkExports(m *wasm.Module, d door) error {
	for _, e := range m.Exports {
		if reserved(e.Name) {
			return &Refusal{
				Code: CodeReserved,
				What: fmt.Sprintf("it exports %q", shorten(e.Name)),
				Why:  "names of that form are what the host adds to a module",
				Hint: "rename the export; names of the ABI are written with an underscore",
			}
		}
	}
	if err := checkMemory(m); err != nil {
		return err
	}
	for _, want := range d.exports {
		e, ok := m.Export(want.name)
		if !ok && want.optional {
			continue
		}
		if !ok {
			return missing("function " + want.name)
		}
		if e.Kind != wasm.KindFunction {
			return wrongExport(want.name, e.Kind.String(), "function "+want.typ.String())
		}
		if got, ok := m.Signature(e.Index); !ok || !got.Equal(want.typ) {
			return wrongExport(want.name, "function "+got.String(), "function "+want.typ.String())
		}
	}
	return nil
}

func checkMemory(m *wasm.Module) error {
	e, ok := m.Export(wasmabi.ExportMemory)
	if !ok || len(m.Memories) == 0 {
		return missing("memory " + wasmabi.ExportMemory)
	}
	if e.Kind != wasm.KindMemory || e.Index != 0 {
		return wrongExport(wasmabi.ExportMemory, e.Kind.String(), "the module's one memory")
	}
	return nil
}

func missing(what string) *Refusal {
	return &Refusal{
		Code: CodeExport,
		What: "it does not export the " + what,
		Why:  "the host talks to a guest through the exports of its ABI alone",
		Hint: hintABI,
	}
}

func wrongExport(name, got, want string) *Refusal {
	return &Refusal{
		Code: CodeExportType,
		What: fmt.Sprintf("it exports %s as %s, the ABI has %s", name, got, want),
		Why:  "an export has to have exactly the type that the ABI gives it",
		Hint: hintABI,
	}
}
