package coap

import "math/bits"

// block is the value of Block1 or Block2 (RFC 7959 section 2.2).
type block struct {
	number   uint32 // at most 2^20-1
	more     bool
	exponent uint8 // SZX, 0 to 6, or bert
}

// maxBlockNumber is the greatest NUM that fits the option.
const maxBlockNumber = 1<<20 - 1

// exponentOf is SZX of a block's size.
func exponentOf(size int) (uint8, bool) {
	if size < 16 || size > 1024 || size&(size-1) != 0 {
		return 0, false
	}
	return uint8(bits.TrailingZeros(uint(size))) - 4, true
}

// bert is the SZX that reliable transports use for several blocks of 1,024 bytes at once (RFC 8323 section 6).
const bert = 7

func (b block) shift() uint8  { return min(b.exponent, bert-1) + 4 }
func (b block) size() int     { return 1 << b.shift() }
func (b block) offset() int64 { return int64(b.number) << b.shift() }

func (b block) value() uint32 {
	v := b.number<<4 | uint32(b.exponent)
	if b.more {
		v |= 8
	}
	return v
}

// at is the block of the same size that begins at offset.
func (b block) at(offset int64) block {
	b.number = uint32(offset >> b.shift())
	return b
}

// smaller is the block at b's offset whose exponent is at most limit.
func (b block) smaller(limit uint8) block {
	if limit >= b.exponent {
		return b
	}
	return block{number: b.number << (b.shift() - min(limit, bert-1) - 4), more: b.more, exponent: limit}
}

// blockOf reads a block option: whether it is there, and whether it is a valid one.
func (m *Message) blockOf(id OptionID) (b block, present, valid bool) {
	value, present := m.Opaque(id)
	if !present {
		return block{}, false, true
	}
	v, ok := m.Uint(id)
	b = block{number: v >> 4, more: v&8 != 0, exponent: uint8(v & 7)}
	return b, true, ok && len(value) <= 3 && b.exponent < bert
}
