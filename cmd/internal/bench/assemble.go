package main

import (
	"encoding/binary"
	"slices"

	"github.com/edgehold/edgehold/wasmabi"
)

// A few functions that write WebAssembly binaries: the guests here are small enough to be written by hand, and
// no tool has to be installed to measure.

// Value types and opcodes that the guests use.
const (
	i32 = 0x7f
	i64 = 0x7e

	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opCall        = 0x10
	opDrop        = 0x1a
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opI64Load     = 0x29
	opI64Store    = 0x37
	opI32Const    = 0x41
	opI64Const    = 0x42
	opI32Add      = 0x6a
	opI32Sub      = 0x6b
	opI64Add      = 0x7c
	opI64Mul      = 0x7e
	opI64Xor      = 0x85
	opEqz         = 0x45
	opI64GeU      = 0x5a
	opI32WrapI64  = 0xa7
	opExtendI32U  = 0xad
	noResult      = 0x40
)

var memoryCopy = []byte{0xfc, 10, 0, 0}

// signature is a function type.
type signature struct{ params, results []byte }

// fn is a function of a guest: imported if it has a module, else with a body.
type fn struct {
	module, name string // name is the export, or the import's name
	signature
	locals []byte // one type each
	body   []byte // without its end
}

// module writes a binary with one memory of a page. Imports come first in fns.
func module(fns []fn, data map[uint32][]byte) []byte {
	var types, imports, functions, exports, code, segments [][]byte
	exports = append(exports, slices.Concat(name("memory"), []byte{2, 0}))
	for n, f := range fns {
		types = append(types, slices.Concat([]byte{0x60}, vector(f.params), vector(f.results)))
		if f.module != "" {
			imports = append(imports, slices.Concat(name(f.module), name(f.name), []byte{0}, unsigned(n)))
			continue
		}
		functions = append(functions, unsigned(n))
		if f.name != "" {
			exports = append(exports, slices.Concat(name(f.name), []byte{0}, unsigned(n)))
		}
		code = append(code, sized(f.code()))
	}
	for at, b := range data {
		segments = append(segments, slices.Concat([]byte{0}, i32c(int32(at)), []byte{opEnd}, vector(b)))
	}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), section(1, types), section(2, imports), section(3, functions),
		section(5, [][]byte{{0, 1}}), section(7, exports), section(10, code), section(11, segments))
}

func (f fn) code() []byte {
	b := unsigned(len(f.locals))
	for _, t := range f.locals {
		b = append(b, 1, t)
	}
	return append(append(b, f.body...), opEnd)
}

func section(id byte, items [][]byte) []byte {
	if len(items) == 0 {
		return nil
	}
	return append([]byte{id}, sized(append(unsigned(len(items)), slices.Concat(items...)...))...)
}

func unsigned(n int) []byte      { return binary.AppendUvarint(nil, uint64(n)) }
func sized(b []byte) []byte      { return append(unsigned(len(b)), b...) }
func vector(b []byte) []byte     { return sized(b) }
func name(s string) []byte       { return sized([]byte(s)) }
func get(local byte) []byte      { return []byte{opLocalGet, local} }
func set(local byte) []byte      { return []byte{opLocalSet, local} }
func call(function byte) []byte  { return []byte{opCall, function} }
func i32c(v int32) []byte        { return append([]byte{opI32Const}, signed(int64(v))...) }
func i64c(v int64) []byte        { return append([]byte{opI64Const}, signed(v)...) }
func load(offset int) []byte     { return append([]byte{opI64Load, 3}, unsigned(offset)...) }
func store(offset int) []byte    { return append([]byte{opI64Store, 3}, unsigned(offset)...) }
func asm(parts ...[]byte) []byte { return slices.Concat(parts...) }

func signed(v int64) (b []byte) {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// Where the hand-written guests keep their windows.
const (
	recordAt   = 16
	requestAt  = 1 << 10
	responseAt = 32 << 10
	windowSize = 16 << 10
)

// guestModule writes a guest of our ABI, with its manifest, around the body of edgehold_call.
func guestModule(imports []fn, locals, body []byte) []byte {
	return guestModuleWith(imports, locals, body, nil)
}

// guestModuleWith adds functions after the ABI's three.
func guestModuleWith(imports []fn, locals, body []byte, more []fn) []byte {
	var record []byte
	for _, v := range []uint32{requestAt, windowSize, responseAt, windowSize} {
		record = binary.LittleEndian.AppendUint32(record, v)
	}
	abi := []fn{
		{name: wasmabi.ExportMarker},
		{name: wasmabi.ExportWindow, signature: signature{nil, []byte{i32}}, body: i32c(recordAt)},
		{name: wasmabi.ExportCall, signature: signature{[]byte{i32, i32}, []byte{i64}}, locals: locals, body: body},
	}
	m := module(slices.Concat(imports, abi, more), map[uint32][]byte{recordAt: record})
	return withManifest(m, "bench")
}

func withManifest(module []byte, name string) []byte {
	m, err := wasmabi.AppendManifest(module, &wasmabi.Manifest{Name: name, Version: "1.0.0", Kind: wasmabi.KindPolicy,
		Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: wasmabi.Version})
	if err != nil {
		panic(err) // the manifest is a constant, and the module was made above or by a compiler
	}
	return m
}
