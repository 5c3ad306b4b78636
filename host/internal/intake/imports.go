package intake

import (
	"fmt"
	"slices"

	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// hostFunctions are those of the ABI.
var hostFunctions = map[string]wasm.FuncType{
	wasmabi.ImportCall:   signature("iiiiii", "I"),
	wasmabi.ImportLog:    signature("iii", ""),
	wasmabi.ImportNow:    signature("", "I"),
	wasmabi.ImportRandom: signature("ii", ""),
	wasmabi.ImportMetric: signature("iI", ""),
}

// wasiFunctions are all of WASI preview 1. Ten of them do something: those that a guest of Go needs. The others are
// what standard libraries import and seldom call; the host answers them with an error number.
var wasiFunctions = map[string]wasm.FuncType{
	"sched_yield": signature("", "i"), "proc_exit": signature("i", ""), "args_get": signature("ii", "i"),
	"args_sizes_get": signature("ii", "i"), "environ_get": signature("ii", "i"), "environ_sizes_get": signature("ii", "i"),
	"clock_time_get": signature("iIi", "i"), "fd_write": signature("iiii", "i"), "random_get": signature("ii", "i"),
	"poll_oneoff": signature("iiii", "i"),

	"clock_res_get": signature("ii", "i"), "fd_advise": signature("iIIi", "i"), "fd_allocate": signature("iII", "i"),
	"fd_close": signature("i", "i"), "fd_datasync": signature("i", "i"), "fd_fdstat_get": signature("ii", "i"),
	"fd_fdstat_set_flags": signature("ii", "i"), "fd_fdstat_set_rights": signature("iII", "i"),
	"fd_filestat_get": signature("ii", "i"), "fd_filestat_set_size": signature("iI", "i"),
	"fd_filestat_set_times": signature("iIIi", "i"), "fd_pread": signature("iiiIi", "i"),
	"fd_prestat_dir_name": signature("iii", "i"), "fd_prestat_get": signature("ii", "i"),
	"fd_pwrite": signature("iiiIi", "i"), "fd_read": signature("iiii", "i"), "fd_readdir": signature("iiiIi", "i"),
	"fd_renumber": signature("ii", "i"), "fd_seek": signature("iIii", "i"), "fd_sync": signature("i", "i"),
	"fd_tell": signature("ii", "i"), "path_create_directory": signature("iii", "i"),
	"path_filestat_get": signature("iiiii", "i"), "path_filestat_set_times": signature("iiiiIIi", "i"),
	"path_link": signature("iiiiiii", "i"), "path_open": signature("iiiiiIIii", "i"),
	"path_readlink": signature("iiiiii", "i"), "path_remove_directory": signature("iii", "i"),
	"path_rename": signature("iiiiii", "i"), "path_symlink": signature("iiiii", "i"),
	"path_unlink_file": signature("iii", "i"), "proc_raise": signature("i", "i"), "sock_accept": signature("iii", "i"),
	"sock_recv": signature("iiiiii", "i"), "sock_send": signature("iiiii", "i"), "sock_shutdown": signature("ii", "i"),
}

// signature reads i as i32 and I as i64.
func signature(params, results string) wasm.FuncType {
	return wasm.FuncType{Params: letters(params), Results: letters(results)}
}

func letters(s string) (ts []wasm.ValueType) {
	for _, c := range s {
		if c == 'i' {
			ts = append(ts, wasm.I32)
		} else {
			ts = append(ts, wasm.I64)
		}
	}
	return ts
}

func checkImports(m *wasm.Module, s *Summary) error {
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
		want, granted := grantedImport(im)
		if !granted {
			return notGranted(im)
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

func grantedImport(im *wasm.Import) (t wasm.FuncType, ok bool) {
	if im.Kind != wasm.KindFunction {
		return t, false
	}
	switch im.Module {
	case wasmabi.ModuleHost:
		t, ok = hostFunctions[im.Name]
	case wasmabi.ModuleWASI:
		t, ok = wasiFunctions[im.Name]
	}
	return t, ok
}

func notGranted(im *wasm.Import) *Refusal {
	return &Refusal{
		Code: CodeImport,
		What: fmt.Sprintf("it imports the %s %q.%q", im.Kind, shorten(im.Module), shorten(im.Name)),
		Why:  "guests get the functions of " + wasmabi.ModuleHost + " and of WASI preview 1, nothing else",
		Hint: "find what the guest links that needs it; capabilities are asked for in the manifest, not imported",
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
