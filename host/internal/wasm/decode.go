package wasm

import "slices"

// Section identifiers.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

// rank is the place of each section in a module. The data count stands between elements and code.
var rank = [...]int{
	secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7, secStart: 8,
	secElement: 9, secDataCount: 10, secCode: 11, secData: 12,
}

// Caps bounds what Decode accepts. All counts are for the whole module unless the name says otherwise.
type Caps struct {
	Types, Imports, Functions, Tables, Memories, Globals, Exports int
	Elements, ElementEntries, Data, Customs                       int
	Params, Results                                               int // of one signature
	Locals                                                        int // of one function, parameters not counted
	BodyBytes                                                     int // of one function
	BranchTargets                                                 int // of one br_table
}

// MaxCaps is beyond what any engine accepts; the input's size is then the only bound.
func MaxCaps() Caps {
	const most = 1 << 24
	return Caps{
		Types: most, Imports: most, Functions: most, Tables: most, Memories: most, Globals: most, Exports: most,
		Elements: most, ElementEntries: most, Data: most, Customs: most, Params: 1000, Results: 1000, Locals: 50_000,
		BodyBytes: 1 << 30, BranchTargets: most,
	}
}

// decoder holds what the sections share.
type decoder struct {
	m          *Module
	caps       Caps
	entries    int // element entries so far
	dataCount  uint32
	exportName map[string]struct{}
}

// Decode reads a module. The result aliases module, which must not change afterwards. Instructions are not looked at
// except in constant expressions: use NewCode for them.
func Decode(module []byte, caps Caps) (*Module, error) {
	c := cursor{buf: module}
	if len(module) < 8 || string(module[:4]) != "\x00asm" {
		c.fail("magic header not detected")
		return nil, c.err
	}
	if string(module[4:8]) != "\x01\x00\x00\x00" {
		c.pos = 4
		if string(module[4:8]) == "\x0d\x00\x01\x00" {
			c.unsupported("component model")
		}
		c.fail("unknown binary version")
		return nil, c.err
	}
	c.pos = 8
	d := decoder{m: &Module{}, caps: caps}
	last := 0
	for c.err == nil && c.left() > 0 {
		d.section(&c, &last)
	}
	if c.err == nil {
		d.finish(&c)
	}
	if c.err != nil {
		return nil, c.err
	}
	d.m.CountImports()
	return d.m, nil
}

func (d *decoder) section(c *cursor, last *int) {
	id := c.byte()
	if id == secTag {
		c.unsupported("exception handling")
		return
	}
	if int(id) >= len(rank) {
		c.pos--
		c.fail("malformed section id")
		return
	}
	s := c.sub(c.u32())
	if s.err != nil {
		c.err = s.err
		return
	}
	if id != secCustom {
		if rank[id] <= *last {
			s.fail("unexpected content after last section")
		}
		*last = rank[id]
	}
	d.contents(&s, id)
	if s.err == nil && s.left() > 0 {
		s.fail("section size mismatch")
	}
	c.err = s.err
}

func (d *decoder) contents(c *cursor, id byte) {
	switch id {
	case secCustom:
		d.custom(c)
	case secType:
		d.types(c)
	case secImport:
		d.imports(c)
	case secFunction:
		d.functions(c)
	case secTable:
		d.tables(c)
	case secMemory:
		d.memories(c)
	case secGlobal:
		d.globals(c)
	case secExport:
		d.exports(c)
	case secStart:
		d.m.Start, d.m.HasStart = c.u32(), true
	case secElement:
		d.elements(c)
	case secDataCount:
		d.dataCount, d.m.DataCount = c.u32(), true
	case secCode:
		d.code(c)
	case secData:
		d.data(c)
	}
}

func (d *decoder) finish(c *cursor) {
	if len(d.m.Bodies) != len(d.m.Functions) {
		c.fail("function and code section have inconsistent lengths")
	}
	if d.m.DataCount && uint64(d.dataCount) != uint64(len(d.m.Data)) {
		c.fail("data count and data section have inconsistent lengths")
	}
}

func (d *decoder) custom(c *cursor) {
	name := c.name()
	if len(d.m.Customs) >= d.caps.Customs {
		c.fail("too many custom sections")
		return
	}
	d.m.Customs = append(d.m.Customs, Custom{Name: name, Bytes: c.bytes(uint32(c.left()))})
}

func (d *decoder) types(c *cursor) {
	n := c.count("types", 3, d.caps.Types)
	d.m.Types = slices.Grow(d.m.Types, n)
	for ; n > 0 && c.err == nil; n-- {
		switch form := c.byte(); form {
		case 0x60:
		case 0x50, 0x5f, 0x5e, 0x4e, 0x4f:
			c.unsupported("garbage collection")
		default:
			c.fail("malformed type form")
		}
		d.m.Types = append(d.m.Types, FuncType{
			Params:  valueTypes(c, "parameters of a signature", d.caps.Params),
			Results: valueTypes(c, "results of a signature", d.caps.Results),
		})
	}
}

func valueTypes(c *cursor, what string, most int) []ValueType {
	n := c.count(what, 1, most)
	if n == 0 {
		return nil
	}
	ts := make([]ValueType, n)
	for i := range ts {
		ts[i] = c.valueType()
	}
	return ts
}

func (d *decoder) imports(c *cursor) {
	n := c.count("imports", 4, d.caps.Imports)
	for ; n > 0 && c.err == nil; n-- {
		im := Import{Module: c.name(), Name: c.name(), Kind: Kind(c.byte())}
		switch im.Kind {
		case KindFunction:
			im.Function = c.u32()
		case KindTable:
			im.Table = tableType(c)
		case KindMemory:
			im.Memory = memoryType(c)
		case KindGlobal:
			im.Global = globalType(c)
		default:
			c.fail("malformed import kind")
			return
		}
		d.m.Imports = append(d.m.Imports, im)
	}
}

func tableType(c *cursor) TableType {
	return TableType{Element: c.referenceType(), Limits: limits(c)}
}

func memoryType(c *cursor) Limits { return limits(c) }

func limits(c *cursor) (l Limits) {
	switch flag := c.byte(); flag {
	case 0:
		l.Min = c.u32()
	case 1:
		l.Min, l.Max, l.HasMax = c.u32(), c.u32(), true
	case 2, 3:
		c.unsupported("threads (shared memory)")
	case 4, 5, 6, 7:
		c.unsupported("64-bit memory")
	default:
		c.fail("malformed limits")
	}
	return l
}

func globalType(c *cursor) GlobalType {
	t := c.valueType()
	m := c.byte()
	if m > 1 {
		c.fail("malformed mutability")
	}
	return GlobalType{Type: t, Mutable: m == 1}
}

func (d *decoder) functions(c *cursor) {
	n := c.count("functions", 1, d.caps.Functions)
	d.m.Functions = slices.Grow(d.m.Functions, n)
	for ; n > 0; n-- {
		d.m.Functions = append(d.m.Functions, c.u32())
	}
}

func (d *decoder) tables(c *cursor) {
	n := c.count("tables", 3, d.caps.Tables)
	for ; n > 0 && c.err == nil; n-- {
		d.m.Tables = append(d.m.Tables, tableType(c))
	}
}

func (d *decoder) memories(c *cursor) {
	n := c.count("memories", 2, d.caps.Memories)
	for ; n > 0 && c.err == nil; n-- {
		d.m.Memories = append(d.m.Memories, memoryType(c))
	}
}

func (d *decoder) globals(c *cursor) {
	n := c.count("globals", 4, d.caps.Globals)
	for ; n > 0 && c.err == nil; n-- {
		d.m.Globals = append(d.m.Globals, Global{GlobalType: globalType(c), Init: constExpr(c)})
	}
}

func (d *decoder) exports(c *cursor) {
	n := c.count("exports", 3, d.caps.Exports)
	d.exportName = make(map[string]struct{}, n)
	for ; n > 0 && c.err == nil; n-- {
		e := Export{Name: c.name(), Kind: Kind(c.byte()), Index: c.u32()}
		if e.Kind > KindGlobal {
			c.fail("malformed export kind")
		}
		if _, twice := d.exportName[e.Name]; twice {
			c.fail("duplicate export name")
		}
		d.exportName[e.Name] = struct{}{}
		d.m.Exports = append(d.m.Exports, e)
	}
}

// constExpr reads one constant instruction and its end.
func constExpr(c *cursor) ConstExpr {
	if c.err != nil {
		return ConstExpr{}
	}
	k := Code{c: cursor{buf: c.buf, pos: c.pos, base: c.base}}
	var in Instruction
	if !k.Next(&in) {
		return badExpr(c, &k, "constant expression required")
	}
	switch in.Op {
	case OpI32Const, OpI64Const, OpF32Const, OpF64Const, OpV128Const, OpGlobalGet, OpRefNull, OpRefFunc:
	default:
		return badExpr(c, &k, "constant expression required")
	}
	e := ConstExpr{Op: in.Op}
	switch in.Op {
	case OpGlobalGet, OpRefNull, OpRefFunc:
		e.Index = in.A
	default:
		e.Bits = in.Bits
	}
	if !k.Next(&in) || in.Op != OpEnd {
		return badExpr(c, &k, "constant expression of one instruction required")
	}
	c.pos = k.c.pos
	return e
}

func badExpr(c *cursor, k *Code, what string) ConstExpr {
	c.pos = k.c.pos
	if k.c.err != nil {
		c.err = k.c.err
	}
	c.fail(what)
	return ConstExpr{}
}

func (d *decoder) elements(c *cursor) {
	n := c.count("element segments", 2, d.caps.Elements)
	for ; n > 0 && c.err == nil; n-- {
		d.m.Elements = append(d.m.Elements, d.element(c))
	}
}

// element reads a segment. Bit 0 of its flag says passive or declarative, bit 1 that a table index is written (active)
// or that it is declarative, bit 2 that the entries are expressions.
func (d *decoder) element(c *cursor) Element {
	flag := c.u32()
	if flag > 7 {
		c.fail("malformed elements segment kind")
		return Element{}
	}
	e := Element{Type: FuncRef, ByExpr: flag&4 != 0}
	switch flag & 3 {
	case 1:
		e.Mode = Passive
	case 2:
		e.Explicit, e.Table = true, c.u32()
	case 3:
		e.Mode = Declarative
	}
	if e.Mode == Active {
		e.Offset = constExpr(c)
	}
	if flag&3 != 0 {
		e.Type = elementKind(c, e.ByExpr)
	}
	n := c.count("element entries", 1, d.caps.ElementEntries-d.entries)
	d.entries += n
	if e.ByExpr {
		for ; n > 0 && c.err == nil; n-- {
			e.Exprs = append(e.Exprs, constExpr(c))
		}
		return e
	}
	e.Functions = make([]uint32, n)
	for i := range e.Functions {
		e.Functions[i] = c.u32()
	}
	return e
}

func elementKind(c *cursor, byExpr bool) ValueType {
	if byExpr {
		return c.referenceType()
	}
	if c.byte() != 0 {
		c.fail("malformed element kind")
	}
	return FuncRef
}

func (d *decoder) code(c *cursor) {
	n := c.count("function bodies", 2, d.caps.Functions)
	d.m.Bodies = slices.Grow(d.m.Bodies, n)
	for ; n > 0 && c.err == nil; n-- {
		size := c.u32()
		if c.err == nil && uint64(size) > uint64(d.caps.BodyBytes) {
			c.err = &LimitError{
				Offset: c.base + c.pos, What: "bytes of code in one function", Got: uint64(size), Max: uint64(d.caps.BodyBytes),
			}
			return
		}
		s := c.sub(size)
		d.m.Bodies = append(d.m.Bodies, d.body(&s))
		c.err = s.err
	}
}

func (d *decoder) body(c *cursor) Body {
	var b Body
	total := uint64(0)
	for n := c.count("runs of locals", 2, 1<<20); n > 0 && c.err == nil; n-- {
		l := Locals{Count: c.u32(), Type: c.valueType()}
		if total += uint64(l.Count); total > uint64(d.caps.Locals) && c.err == nil {
			c.err = &LimitError{
				Offset: c.base + c.pos, What: "locals of one function", Got: total, Max: uint64(d.caps.Locals),
			}
			return b
		}
		b.Locals = append(b.Locals, l)
	}
	b.Code = c.buf[min(c.pos, len(c.buf)):]
	if c.err == nil && (len(b.Code) == 0 || b.Code[len(b.Code)-1] != byte(OpEnd)) {
		c.fail("end of function expected")
	}
	return b
}

func (d *decoder) data(c *cursor) {
	n := c.count("data segments", 2, d.caps.Data)
	for ; n > 0 && c.err == nil; n-- {
		d.m.Data = append(d.m.Data, dataSegment(c))
	}
}

func dataSegment(c *cursor) (s Data) {
	switch flag := c.u32(); flag {
	case 0:
		s.Offset = constExpr(c)
	case 1:
		s.Mode = Passive
	case 2:
		if c.u32() != 0 {
			c.unsupported("multiple memories")
		}
		s.Offset = constExpr(c)
	default:
		c.fail("malformed data segment flag")
	}
	s.Bytes = c.bytes(c.u32())
	return s
}
