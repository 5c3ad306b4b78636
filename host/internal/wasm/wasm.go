// Package wasm reads and writes core WebAssembly binaries, exactly and within bounds.
// It is not a validator: operand types are left to the engine that will run the module.
//
// Accepted is what a release compiler emits today: WebAssembly 1.0 with sign extension, saturating conversion,
// multi-value, bulk memory, reference types and 128-bit SIMD. Threads, tail calls, exceptions, 64-bit and multiple
// memories, garbage collection and relaxed SIMD are refused by name.
//
// A decoded Module aliases the bytes that it was decoded from. Nothing is allocated that the input did not pay for
// byte by byte, so hostile counts cost nothing.
package wasm

import "slices"

// ValueType is a type of operand, in its binary form.
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// IsReference reports whether t is funcref or externref.
func (t ValueType) IsReference() bool { return t == FuncRef || t == ExternRef }

// IsNumber reports whether t is one of the four scalar number types.
func (t ValueType) IsNumber() bool { return t >= F64 && t <= I32 }

func (t ValueType) valid() bool { return t >= V128 && t <= I32 || t.IsReference() }

// String returns the name that the text format gives to t.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "invalid"
}

// FuncType is the signature of a function.
type FuncType struct {
	Params, Results []ValueType
}

// Equal reports whether both signatures are the same.
func (t FuncType) Equal(o FuncType) bool {
	return slices.Equal(t.Params, o.Params) && slices.Equal(t.Results, o.Results)
}

// String returns the signature as "(i32 i32) -> (i64)".
func (t FuncType) String() string { return typeList(t.Params) + " -> " + typeList(t.Results) }

func typeList(ts []ValueType) string {
	s := "("
	for i, t := range ts {
		if i > 0 {
			s += " "
		}
		s += t.String()
	}
	return s + ")"
}

// Limits is the size range of a table (entries) or a memory (pages of 64 KiB).
type Limits struct {
	Min, Max uint32
	HasMax   bool
}

// TableType is the type of a table.
type TableType struct {
	Element ValueType
	Limits
}

// GlobalType is the type of a global.
type GlobalType struct {
	Type    ValueType
	Mutable bool
}

// Kind says what an import or export is.
type Kind byte

// The kinds of imports and exports.
const (
	KindFunction Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

// String returns the name that the text format gives to k.
func (k Kind) String() string {
	switch k {
	case KindFunction:
		return "function"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	}
	return "invalid"
}

// Import is one import; Kind says which of the last four fields counts.
type Import struct {
	Module, Name string
	Kind         Kind
	Function     uint32 // index of its type
	Table        TableType
	Memory       Limits
	Global       GlobalType
}

// Global is a global that the module defines.
type Global struct {
	GlobalType
	Init ConstExpr
}

// Export is one export.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// ConstExpr is a constant expression of one instruction. Index is used by OpGlobalGet, OpRefFunc and OpRefNull (the
// value type), Bits by the number constants (two words for v128, little end first).
type ConstExpr struct {
	Op    Op
	Index uint32
	Bits  [2]uint64
}

// SegmentMode says when an element or data segment is copied.
type SegmentMode byte

// The modes of segments.
const (
	Active SegmentMode = iota
	Passive
	Declarative
)

// Element is an element segment. Either Functions or Exprs is used, as ByExpr says; both forms are kept as they came.
type Element struct {
	Mode      SegmentMode
	Table     uint32
	Offset    ConstExpr
	Type      ValueType
	ByExpr    bool
	Explicit  bool // active, with its table index and type written out
	Functions []uint32
	Exprs     []ConstExpr
}

// Len returns the number of entries.
func (e *Element) Len() int { return len(e.Functions) + len(e.Exprs) }

// Data is a data segment.
type Data struct {
	Mode   SegmentMode
	Offset ConstExpr
	Bytes  []byte
}

// Locals is a run of locals of one type.
type Locals struct {
	Count uint32
	Type  ValueType
}

// Body is the code of one function: its declared locals, and its instructions up to the last end inclusive.
type Body struct {
	Locals []Locals
	Code   []byte
}

// Custom is a custom section.
type Custom struct {
	Name  string
	Bytes []byte
}

// Module is a decoded module. Index spaces count imports first, as in the specification.
type Module struct {
	Types     []FuncType
	Imports   []Import
	Functions []uint32 // type of each function that the module defines
	Tables    []TableType
	Memories  []Limits
	Globals   []Global
	Exports   []Export
	Start     uint32
	HasStart  bool
	Elements  []Element
	DataCount bool // the section that bulk instructions need is there
	Bodies    []Body
	Data      []Data
	Customs   []Custom

	imported [4]int
}

// Imported returns the number of imports of a kind, which is the index of the first definition of that kind.
func (m *Module) Imported(k Kind) int { return m.imported[k] }

// CountImports makes Imported agree with Imports after these were changed.
func (m *Module) CountImports() {
	m.imported = [4]int{}
	for i := range m.Imports {
		m.imported[m.Imports[i].Kind]++
	}
}

// FunctionType returns the type index of function i, counted over imports and definitions.
func (m *Module) FunctionType(i uint32) (typeIndex uint32, ok bool) {
	n := uint32(m.imported[KindFunction])
	if i >= n {
		i -= n
		if i >= uint32(len(m.Functions)) {
			return 0, false
		}
		return m.Functions[i], true
	}
	for j := range m.Imports {
		if m.Imports[j].Kind != KindFunction {
			continue
		}
		if i == 0 {
			return m.Imports[j].Function, true
		}
		i--
	}
	return 0, false
}

// Signature returns the signature of function i, counted over imports and definitions.
func (m *Module) Signature(i uint32) (FuncType, bool) {
	t, ok := m.FunctionType(i)
	if !ok || t >= uint32(len(m.Types)) {
		return FuncType{}, false
	}
	return m.Types[t], true
}

// Export returns the export of that name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// Custom returns the contents of the first custom section of that name.
func (m *Module) Custom(name string) ([]byte, bool) {
	for _, c := range m.Customs {
		if c.Name == name {
			return c.Bytes, true
		}
	}
	return nil, false
}
