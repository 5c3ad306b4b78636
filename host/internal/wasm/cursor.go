package wasm

import (
	"encoding/binary"
	"unicode/utf8"
)

// cursor reads a byte slice. The first error sticks and every read after it returns zero, so a decoder may check once
// for each item rather than once for each byte.
type cursor struct {
	buf  []byte
	pos  int
	base int // offset of buf in the module, for messages
	err  error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = &FormatError{Offset: c.base + c.pos, What: what}
	}
}

func (c *cursor) unsupported(feature string) {
	if c.err == nil {
		c.err = &FeatureError{Offset: c.base + c.pos, Feature: feature}
	}
}

func (c *cursor) left() int { return len(c.buf) - c.pos }

func (c *cursor) byte() byte {
	if c.err != nil || c.pos >= len(c.buf) {
		c.fail("unexpected end")
		return 0
	}
	b := c.buf[c.pos]
	c.pos++
	return b
}

// bytes returns the next n bytes, aliasing the input.
func (c *cursor) bytes(n uint32) []byte {
	if c.err != nil || uint64(n) > uint64(c.left()) {
		c.fail("length out of bounds")
		return nil
	}
	b := c.buf[c.pos : c.pos+int(n) : c.pos+int(n)]
	c.pos += int(n)
	return b
}

// sub returns a cursor over the next n bytes and moves past them.
func (c *cursor) sub(n uint32) cursor {
	base := c.base + c.pos
	return cursor{buf: c.bytes(n), base: base, err: c.err}
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (c *cursor) u32() uint32 {
	if c.err == nil && c.pos < len(c.buf) && c.buf[c.pos] < 0x80 {
		b := c.buf[c.pos]
		c.pos++
		return uint32(b)
	}
	return c.longU32()
}

func (c *cursor) longU32() uint32 {
	var v uint32
	for shift := uint(0); shift < 35; shift += 7 {
		b := c.byte()
		if c.err != nil {
			return 0
		}
		if shift == 28 && b > 0x0f {
			if b >= 0x80 {
				c.fail("integer representation too long")
			} else {
				c.fail("integer too large")
			}
			return 0
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	return v
}

// signed reads a signed LEB128 of at most bits bits.
func (c *cursor) signed(bits uint) int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		b := c.byte()
		if c.err != nil {
			return 0
		}
		if left := bits - shift; left < 7 {
			// Bits beyond the width must repeat the sign bit, and no byte may follow.
			top := int8(b<<1) >> left // sign bit and unused bits
			if b >= 0x80 {
				c.fail("integer representation too long")
				return 0
			}
			if top != 0 && top != -1 {
				c.fail("integer too large")
				return 0
			}
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

func (c *cursor) f32() uint32 {
	b := c.bytes(4)
	if c.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func (c *cursor) f64() uint64 {
	b := c.bytes(8)
	if c.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// name reads a UTF-8 string.
func (c *cursor) name() string {
	b := c.bytes(c.u32())
	if !utf8.Valid(b) {
		c.fail("malformed UTF-8 encoding")
		return ""
	}
	return string(b)
}

// count reads a vector's length. Each item takes at least size bytes, so a length that the rest of the input cannot
// hold is refused before anything is allocated for it.
func (c *cursor) count(what string, size int, most int) int {
	n := c.u32()
	if c.err != nil {
		return 0
	}
	if uint64(n) > uint64(most) {
		c.err = &LimitError{Offset: c.base + c.pos, What: what, Got: uint64(n), Max: uint64(most)}
		return 0
	}
	if uint64(n)*uint64(size) > uint64(c.left()) {
		c.fail("length out of bounds: " + what)
		return 0
	}
	return int(n)
}

func (c *cursor) valueType() ValueType {
	t := ValueType(c.byte())
	if c.err == nil && !t.valid() {
		c.pos--
		c.fail("malformed value type")
	}
	return t
}

func (c *cursor) referenceType() ValueType {
	t := ValueType(c.byte())
	if c.err == nil && !t.IsReference() {
		c.pos--
		c.fail("malformed reference type")
	}
	return t
}
