package wasm

// CodeSpan is where the instructions of a function lie, in bytes from the beginning of the code section's contents, as
// DWARF counts. It leaves the function's size and its locals out.
type CodeSpan struct{ Start, End uint32 }

// CodeSpans returns the spans of all functions that a module defines, in their order. The module is one that Decode
// accepts; the spans of another one mean nothing.
func CodeSpans(module []byte) []CodeSpan {
	c := cursor{buf: module, pos: min(8, len(module))}
	for c.err == nil && c.left() > 0 {
		id := c.byte()
		s := c.sub(c.u32())
		if id == secCode && c.err == nil {
			return codeSpans(&s)
		}
	}
	return nil
}

func codeSpans(c *cursor) []CodeSpan {
	var spans []CodeSpan
	for n := c.u32(); n > 0 && c.err == nil; n-- {
		size := c.u32()
		if c.err != nil || uint64(size) > uint64(c.left()) {
			break
		}
		end := c.pos + int(size)
		for groups := c.u32(); groups > 0 && c.err == nil; groups-- {
			c.u32()
			c.byte()
		}
		spans = append(spans, CodeSpan{uint32(c.pos), uint32(end)})
		c.pos = end
	}
	return spans
}
