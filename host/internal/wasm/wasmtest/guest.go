// Package wasmtest builds guests for tests: well-behaved ones, and one hostile guest for each thing that a host must
// survive. It is not a compiler; it writes the few instructions that a test needs.
package wasmtest

import (
	"encoding/binary"
	"slices"

	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// Where a Guest keeps its windows, and how large they are.
const (
	RecordAddress   = 16
	RequestAddress  = 1 << 10
	RequestBytes    = 16 << 10
	ResponseAddress = 32 << 10
	ResponseBytes   = 16 << 10
)

// Parameters of edgehold_call as locals.
const (
	LocalOp            = 0
	LocalRequestLength = 1
)

var (
	i32 = wasm.I32
	i64 = wasm.I64

	typeMarker = wasm.FuncType{}
	typeWindow = wasm.FuncType{Results: []wasm.ValueType{i32}}
	typeCall   = wasm.FuncType{Params: []wasm.ValueType{i32, i32}, Results: []wasm.ValueType{i64}}
)

// Func is a function beyond those of the ABI.
type Func struct {
	Type   wasm.FuncType
	Locals []wasm.Locals
	Code   Code // with its End
	Export string
}

// Guest describes a module that speaks the ABI. The zero value is valid: it answers every call with StatusOK and an
// empty response.
type Guest struct {
	Imports    []wasm.Import // of functions; their types are added by HostImport
	Types      []wasm.FuncType
	Pages      uint32        // initial memory, default 1
	MaxPages   uint32        // declared maximum, default none
	Call       Code          // of edgehold_call, with its End
	CallLocals []wasm.Locals // beyond the two parameters
	Window     Code          // of edgehold_window, with its End
	Funcs      []Func        // function indices begin at FirstFunc
	Globals    []wasm.Global
	Table      []uint32 // functions in table 0; no table if nil
	Start      *Func
	Manifest   []byte
	Record     *[4]uint32 // instead of the true window record
}

// FirstFunc is the index of the guest's first own function: imports, marker, window and call come before.
func (g *Guest) FirstFunc() uint32 { return uint32(len(g.Imports)) + 3 }

// CallFunc is the index of edgehold_call.
func (g *Guest) CallFunc() uint32 { return uint32(len(g.Imports)) + 2 }

// Import adds an import and returns its function index.
func (g *Guest) Import(module, name string, t wasm.FuncType) uint32 {
	g.Imports = append(g.Imports, wasm.Import{
		Module: module, Name: name, Kind: wasm.KindFunction, Function: g.TypeIndex(t),
	})
	return uint32(len(g.Imports) - 1)
}

// TypeIndex returns the index of a signature, adding it if need be.
func (g *Guest) TypeIndex(t wasm.FuncType) uint32 {
	if i := slices.IndexFunc(g.Types, t.Equal); i >= 0 {
		return uint32(i)
	}
	g.Types = append(g.Types, t)
	return uint32(len(g.Types) - 1)
}

// Module returns the binary.
func (g *Guest) Module() []byte { return g.Build().Encode() }

// Build returns the module for tests that change it further.
func (g *Guest) Build() *wasm.Module {
	m := &wasm.Module{Imports: g.Imports, Globals: g.Globals}
	m.CountImports()
	m.Memories = []wasm.Limits{{Min: max(g.Pages, 1), Max: g.MaxPages, HasMax: g.MaxPages > 0}}
	m.Exports = []wasm.Export{{Name: wasmabi.ExportMemory, Kind: wasm.KindMemory}}
	add := func(f Func) {
		if f.Export != "" {
			index := uint32(len(g.Imports) + len(m.Functions))
			m.Exports = append(m.Exports, wasm.Export{Name: f.Export, Kind: wasm.KindFunction, Index: index})
		}
		m.Functions = append(m.Functions, g.TypeIndex(f.Type))
		m.Bodies = append(m.Bodies, wasm.Body{Locals: f.Locals, Code: f.Code})
	}
	add(Func{Type: typeMarker, Code: Code{}.End(), Export: wasmabi.ExportMarker})
	add(Func{Type: typeWindow, Code: orElse(g.Window, Code{}.I32(RecordAddress).End()), Export: wasmabi.ExportWindow})
	add(Func{Type: typeCall, Locals: g.CallLocals, Code: orElse(g.Call, Code{}.I64(0).End()), Export: wasmabi.ExportCall})
	for _, f := range g.Funcs {
		add(f)
	}
	if g.Start != nil {
		m.Start, m.HasStart = uint32(len(g.Imports)+len(m.Functions)), true
		add(*g.Start)
	}
	if g.Table != nil {
		n := uint32(len(g.Table))
		m.Tables = []wasm.TableType{{Element: wasm.FuncRef, Limits: wasm.Limits{Min: n, Max: n, HasMax: true}}}
		m.Elements = []wasm.Element{{Type: wasm.FuncRef, Offset: wasm.ConstExpr{Op: wasm.OpI32Const}, Functions: g.Table}}
	}
	m.Types = g.Types
	m.Data = []wasm.Data{{Offset: wasm.ConstExpr{Op: wasm.OpI32Const, Bits: [2]uint64{RecordAddress}}, Bytes: g.record()}}
	if g.Manifest != nil {
		m.Customs = []wasm.Custom{{Name: wasmabi.ManifestSection, Bytes: g.Manifest}}
	}
	return m
}

func orElse(c, d Code) Code {
	if c == nil {
		return d
	}
	return c
}

func (g *Guest) record() []byte {
	words := [4]uint32{RequestAddress, RequestBytes, ResponseAddress, ResponseBytes}
	if g.Record != nil {
		words = *g.Record
	}
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// HostTypes are the signatures of the functions of the host's module.
func HostTypes() map[string]wasm.FuncType {
	return map[string]wasm.FuncType{
		wasmabi.ImportCall:   {Params: []wasm.ValueType{i32, i32, i32, i32, i32, i32}, Results: []wasm.ValueType{i64}},
		wasmabi.ImportLog:    {Params: []wasm.ValueType{i32, i32, i32}},
		wasmabi.ImportNow:    {Results: []wasm.ValueType{i64}},
		wasmabi.ImportRandom: {Params: []wasm.ValueType{i32, i32}},
		wasmabi.ImportMetric: {Params: []wasm.ValueType{i32, i64}},
	}
}

// ImportHost imports one of the host's functions and returns its index.
func (g *Guest) ImportHost(name string) uint32 {
	return g.Import(wasmabi.ModuleHost, name, HostTypes()[name])
}
