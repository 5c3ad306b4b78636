package wasm

import "slices"

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
