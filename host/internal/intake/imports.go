package intake

import (
	"fmt"
	"slices"

	"github.com/edgehold/edgehold/host/internal/imports"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

func checkImports(m *wasm.Module, d door, s *Summary) error {
	for i := range m.Imports {
		im := &m.Imports[i]
		if im.Module == wasmabi.ModuleHost && im.Name == wasmabi.ImportYield {
			return &Refusal{
				Code: CodeReserved,
				What: fmt.Sprintf("it imports %s.%s", im.Module, im.Name),
				Why:  "that import is the host's own; it adds it to each module so that it can interrupt it",
				Hint: "upload the module as the compiler made it, not one that a host has prepared",
			}
		}
		want, granted := grantedImport(im, d)
		if !granted {
			return notGranted(im, d)
		}
		if got, ok := typeAt(m, im.Function); !ok || !got.Equal(want) {
			return &Refusal{
				Code: CodeImportType,
				What: fmt.Sprintf("it imports %s.%s as %s, the host has %s", im.Module, im.Name, got, want),
				Why:  "an import has to have exactly the type that the ABI gives it",
				Hint: "build the guest with an SDK of this version of the ABI",
			}
		}
		s.note(im)
	}
	return nil
}

func (s *Summary) note(im *wasm.Import) {
	switch {
	case im.Module == wasmabi.ModuleWASI:
		s.WASI = true
	case !slices.Contains(s.HostImports, im.Name):
		s.HostImports = append(s.HostImports, im.Name)
	}
}

func grantedImport(im *wasm.Import, d door) (t wasm.FuncType, ok bool) {
	if im.Kind != wasm.KindFunction || !slices.Contains(d.modules, im.Module) {
		return t, false
	}
	t, ok = imports.Of(im.Module)[im.Name]
	return t, ok
}

func notGranted(im *wasm.Import, d door) *Refusal {
	return &Refusal{
		Code: CodeImport,
		What: fmt.Sprintf("it imports the %s %q.%q", im.Kind, shorten(im.Module), shorten(im.Name)),
		Why:  d.gets,
		Hint: d.hint,
	}
}

// shorten keeps a name that an uploader chose from filling a log.
func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

func typeAt(m *wasm.Module, i uint32) (wasm.FuncType, bool) {
	if i >= uint32(len(m.Types)) {
		return wasm.FuncType{}, false
	}
	return m.Types[i], true
}
