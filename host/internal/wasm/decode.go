package wasm

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
