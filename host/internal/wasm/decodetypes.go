package wasm

import "slices"

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
