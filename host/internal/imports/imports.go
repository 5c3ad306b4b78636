// Package imports lists the functions that a guest may import, with their types.
// It does not define what they do: package guest does.
package imports

import (
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// Of returns the functions of a module by their names, and nothing for a module that the host does not have. The map is not
// the caller's to change. yield, which the host adds to a guest's imports itself, is not among them.
func Of(module string) map[string]wasm.FuncType {
	switch module {
	case wasmabi.ModuleHost:
		return host
	case wasmabi.ModuleWASI:
		return wasi
	case Kernel:
		return kernel
	}
	return nil
}

// Kernel is the module that Extism plugins import instead of the ABI's.
const Kernel = "extism:host/env"

// kernel is everything that the Extism project's SDKs offer in it.
var kernel = map[string]wasm.FuncType{
	"alloc": signature("I", "I"), "free": signature("I", ""), "length": signature("I", "I"), "length_unsafe": signature("I", "I"),
	"load_u8": signature("I", "i"), "load_u64": signature("I", "I"), "store_u8": signature("Ii", ""), "store_u64": signature("II", ""),
	"input_set": signature("II", ""), "input_length": signature("", "I"), "input_offset": signature("", "I"),
	"input_load_u8": signature("I", "i"), "input_load_u64": signature("I", "I"),
	"output_set": signature("II", ""), "output_length": signature("", "I"), "output_offset": signature("", "I"),
	"error_set": signature("I", ""), "error_get": signature("", "I"), "reset": signature("", ""), "memory_bytes": signature("", "I"),
	"config_get": signature("I", "I"), "var_get": signature("I", "I"), "var_set": signature("II", ""),
	"http_request": signature("II", "I"), "http_status_code": signature("", "i"), "http_headers": signature("", "I"),
	"get_log_level": signature("", "i"), "log_trace": signature("I", ""), "log_debug": signature("I", ""),
	"log_info": signature("I", ""), "log_warn": signature("I", ""), "log_error": signature("I", ""),
}

// host is the module of the ABI.
var host = map[string]wasm.FuncType{
	wasmabi.ImportCall:   signature("iiiiii", "I"),
	wasmabi.ImportLog:    signature("iii", ""),
	wasmabi.ImportNow:    signature("", "I"),
	wasmabi.ImportRandom: signature("ii", ""),
	wasmabi.ImportMetric: signature("iI", ""),
}

// wasi is all of WASI preview 1, as its witx document has it. Ten of the functions do something: those that a guest of Go
// needs. The others are what standard libraries import and seldom call.
var wasi = map[string]wasm.FuncType{
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
