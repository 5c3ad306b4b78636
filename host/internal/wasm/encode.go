package wasm

import (
	"encoding/binary"
	"math"
)

// AppendUnsigned appends v as unsigned LEB128 in its shortest form.
func AppendUnsigned(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendSigned appends v as signed LEB128 in its shortest form.
func AppendSigned(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// AppendOp appends an instruction's code, prefix included.
func AppendOp(b []byte, op Op) []byte {
	if op <= math.MaxUint8 {
		return append(b, byte(op))
	}
	return AppendUnsigned(append(b, byte(op>>8)), uint64(op&0xff))
}

// AppendName appends s with its length.
func AppendName(b []byte, s string) []byte {
	return append(AppendUnsigned(b, uint64(len(s))), s...)
}

func appendIndex(b []byte, v uint32) []byte { return AppendUnsigned(b, uint64(v)) }

// Encode returns the module's binary form. Custom sections come last.
func (m *Module) Encode() []byte {
	e := encoder{out: append(make([]byte, 0, m.sizeHint()), "\x00asm\x01\x00\x00\x00"...)}
	section(&e, secType, m.Types, appendFuncType)
	section(&e, secImport, m.Imports, appendImport)
	section(&e, secFunction, m.Functions, func(b []byte, t *uint32) []byte { return appendIndex(b, *t) })
	section(&e, secTable, m.Tables, appendTable)
	section(&e, secMemory, m.Memories, appendLimits)
	section(&e, secGlobal, m.Globals, appendGlobal)
	section(&e, secExport, m.Exports, appendExport)
	if m.HasStart {
		e.raw(secStart, appendIndex(nil, m.Start))
	}
	section(&e, secElement, m.Elements, appendElement)
	if m.DataCount {
		e.raw(secDataCount, appendIndex(nil, uint32(len(m.Data))))
	}
	section(&e, secCode, m.Bodies, appendBody)
	section(&e, secData, m.Data, appendData)
	for i := range m.Customs {
		e.raw(secCustom, append(AppendName(nil, m.Customs[i].Name), m.Customs[i].Bytes...))
	}
	return e.out
}

func (m *Module) sizeHint() int {
	n := 4096
	for i := range m.Bodies {
		n += len(m.Bodies[i].Code) + 16
	}
	for i := range m.Data {
		n += len(m.Data[i].Bytes) + 16
	}
	for i := range m.Elements {
		n += m.Elements[i].Len()*3 + 16
	}
	for i := range m.Customs {
		n += len(m.Customs[i].Bytes) + 32
	}
	return n
}

type encoder struct {
	out, scratch []byte
}

func (e *encoder) raw(id byte, body []byte) {
	e.out = append(e.out, id)
	e.out = AppendUnsigned(e.out, uint64(len(body)))
	e.out = append(e.out, body...)
}

// section writes a section that is a vector of items, and nothing if there are none.
func section[T any](e *encoder, id byte, items []T, item func([]byte, *T) []byte) {
	if len(items) == 0 {
		return
	}
	b := AppendUnsigned(e.scratch[:0], uint64(len(items)))
	for i := range items {
		b = item(b, &items[i])
	}
	e.scratch = b
	e.raw(id, b)
}

func appendFuncType(b []byte, t *FuncType) []byte {
	return appendTypes(appendTypes(append(b, 0x60), t.Params), t.Results)
}

func appendTypes(b []byte, ts []ValueType) []byte {
	b = AppendUnsigned(b, uint64(len(ts)))
	for _, t := range ts {
		b = append(b, byte(t))
	}
	return b
}

func appendImport(b []byte, im *Import) []byte {
	b = AppendName(AppendName(b, im.Module), im.Name)
	b = append(b, byte(im.Kind))
	switch im.Kind {
	case KindFunction:
		return appendIndex(b, im.Function)
	case KindTable:
		return appendTable(b, &im.Table)
	case KindMemory:
		return appendLimits(b, &im.Memory)
	}
	return appendGlobalType(b, im.Global)
}

func appendTable(b []byte, t *TableType) []byte {
	return appendLimits(append(b, byte(t.Element)), &t.Limits)
}

func appendLimits(b []byte, l *Limits) []byte {
	if !l.HasMax {
		return appendIndex(append(b, 0), l.Min)
	}
	return appendIndex(appendIndex(append(b, 1), l.Min), l.Max)
}

func appendGlobalType(b []byte, g GlobalType) []byte {
	if g.Mutable {
		return append(b, byte(g.Type), 1)
	}
	return append(b, byte(g.Type), 0)
}

func appendGlobal(b []byte, g *Global) []byte {
	return appendExpr(appendGlobalType(b, g.GlobalType), &g.Init)
}

func appendExport(b []byte, x *Export) []byte {
	return appendIndex(append(AppendName(b, x.Name), byte(x.Kind)), x.Index)
}

func appendExpr(b []byte, x *ConstExpr) []byte {
	b = AppendOp(b, x.Op)
	switch x.Op {
	case OpI32Const:
		b = AppendSigned(b, int64(int32(x.Bits[0])))
	case OpI64Const:
		b = AppendSigned(b, int64(x.Bits[0]))
	case OpF32Const:
		b = binary.LittleEndian.AppendUint32(b, uint32(x.Bits[0]))
	case OpF64Const:
		b = binary.LittleEndian.AppendUint64(b, x.Bits[0])
	case OpV128Const:
		b = binary.LittleEndian.AppendUint64(b, x.Bits[0])
		b = binary.LittleEndian.AppendUint64(b, x.Bits[1])
	case OpRefNull:
		b = append(b, byte(x.Index))
	default:
		b = appendIndex(b, x.Index)
	}
	return append(b, byte(OpEnd))
}

func (s *Element) flag() byte {
	flag := byte(0)
	switch {
	case s.Mode == Passive:
		flag = 1
	case s.Mode == Declarative:
		flag = 3
	case s.Explicit || s.Table != 0:
		flag = 2
	}
	if s.ByExpr {
		flag |= 4
	}
	return flag
}

func appendElement(b []byte, s *Element) []byte {
	flag := s.flag()
	b = append(b, flag)
	if flag&3 == 2 {
		b = appendIndex(b, s.Table)
	}
	if s.Mode == Active {
		b = appendExpr(b, &s.Offset)
	}
	if flag&3 != 0 {
		if s.ByExpr {
			b = append(b, byte(s.Type))
		} else {
			b = append(b, 0)
		}
	}
	b = AppendUnsigned(b, uint64(s.Len()))
	for _, f := range s.Functions {
		b = appendIndex(b, f)
	}
	for i := range s.Exprs {
		b = appendExpr(b, &s.Exprs[i])
	}
	return b
}

func appendBody(b []byte, f *Body) []byte {
	var head [64]byte
	locals := AppendUnsigned(head[:0], uint64(len(f.Locals)))
	for _, l := range f.Locals {
		locals = append(appendIndex(locals, l.Count), byte(l.Type))
	}
	b = AppendUnsigned(b, uint64(len(locals)+len(f.Code)))
	b = append(b, locals...)
	return append(b, f.Code...)
}

func appendData(b []byte, s *Data) []byte {
	if s.Mode == Passive {
		b = append(b, 1)
	} else {
		b = appendExpr(append(b, 0), &s.Offset)
	}
	b = AppendUnsigned(b, uint64(len(s.Bytes)))
	return append(b, s.Bytes...)
}
