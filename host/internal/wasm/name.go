package wasm

// NameSection is the name of the custom section with names for stack traces.
const NameSection = "name"

// Name gives a name to an index.
type Name struct {
	Index uint32
	Name  string
}

// Subsections of the name section that are understood here.
const (
	nameOfModule     = 0
	namesOfFunctions = 1
	namesOfLocals    = 2
	namesOfLabels    = 3
)

// RenumberNames rewrites the contents of a name section after functions moved: renumber maps an old function index to
// its new one and keeps the order; added, sorted by index, names functions that were not there before.
//
// A section with counts or lengths that its bytes do not bear out is an error: engines reserve memory for what they
// claim.
func RenumberNames(section []byte, renumber func(uint32) uint32, added []Name) ([]byte, error) {
	c := cursor{buf: section}
	out := make([]byte, 0, len(section)+64)
	for c.err == nil && c.left() > 0 {
		id := c.byte()
		s := c.sub(c.u32())
		body := s.buf
		switch id {
		case nameOfModule:
			body = AppendName(nil, s.name())
		case namesOfFunctions:
			body = renumberFunctions(&s, renumber, added)
		case namesOfLocals, namesOfLabels:
			body = renumberIndirect(&s, renumber)
		}
		if s.err == nil && id <= namesOfLabels && s.left() > 0 {
			s.fail("subsection size mismatch")
		}
		if c.err == nil {
			c.err = s.err
		}
		out = AppendUnsigned(append(out, id), uint64(len(body)))
		out = append(out, body...)
	}
	return out, c.err
}

func renumberFunctions(c *cursor, renumber func(uint32) uint32, added []Name) []byte {
	n := c.count("names", 2, len(c.buf))
	b := AppendUnsigned(make([]byte, 0, len(c.buf)+64), uint64(n+len(added)))
	for ; n > 0 && c.err == nil; n-- {
		index, name := renumber(c.u32()), c.name()
		for len(added) > 0 && added[0].Index < index {
			b = AppendName(appendIndex(b, added[0].Index), added[0].Name)
			added = added[1:]
		}
		b = AppendName(appendIndex(b, index), name)
	}
	for _, a := range added {
		b = AppendName(appendIndex(b, a.Index), a.Name)
	}
	return b
}

func renumberIndirect(c *cursor, renumber func(uint32) uint32) []byte {
	n := c.count("names", 2, len(c.buf))
	b := AppendUnsigned(make([]byte, 0, len(c.buf)+64), uint64(n))
	for ; n > 0 && c.err == nil; n-- {
		b = appendIndex(b, renumber(c.u32()))
		start := c.pos
		for inner := c.count("names", 2, len(c.buf)); inner > 0 && c.err == nil; inner-- {
			c.u32()
			c.bytes(c.u32())
		}
		b = append(b, c.buf[start:c.pos]...)
	}
	return b
}
