package intake

import (
	"github.com/edgehold/edgehold/host/internal/imports"
	"github.com/edgehold/edgehold/wasmabi"
)

// door is one of the ways that a module can fit the host: what it may import and has to export.
type door struct {
	modules []string // of functions
	gets    string   // why others are refused
	hint    string
	exports []export
}

var native = door{
	modules: []string{wasmabi.ModuleHost, wasmabi.ModuleWASI},
	gets:    "guests get the functions of " + wasmabi.ModuleHost + " and of WASI preview 1, nothing else",
	hint: "find what the guest links that needs it; capabilities are asked for in the manifest, not imported; " +
		"an Extism plugin says so in its manifest (door: extism)",
	exports: abiExports,
}

var plugin = door{
	modules: []string{imports.Kernel, wasmabi.ModuleWASI},
	gets:    "an Extism plugin gets the functions of " + imports.Kernel + " and of WASI preview 1, nothing else",
	hint:    "functions of one host's own, and linked modules, are not offered; build the plugin without them",
}
