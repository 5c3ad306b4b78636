package wasm

import "encoding/binary"

// BlockType is the type of a block, loop or if: BlockEmpty, the negative code of one result type, or the index of a
// signature.
type BlockType int64

// BlockEmpty is a block without parameters and results.
const BlockEmpty BlockType = -64

// Result returns the one result that b stands for.
func (b BlockType) Result() (ValueType, bool) {
	if b >= 0 || b == BlockEmpty {
		return 0, false
	}
	return ValueType(b & 0x7f), true
}

// Index returns the index of the signature that b stands for.
func (b BlockType) Index() (uint32, bool) { return uint32(b), b >= 0 }

// Instruction is one decoded instruction. A and B are its indices in the order of the binary format; for loads and
// stores A is the alignment's exponent and B the offset. Bits is set for constants only.
type Instruction struct {
	Op         Op
	Start, End int // within the code given to NewCode
	A, B       uint32
	Block      BlockType
	Labels     []uint32 // br_table: targets, the default last; valid until the next call of Next
	Bits       [2]uint64
}

// Code iterates over instructions.
type Code struct {
	c      cursor
	labels []uint32
	most   int
}

// NewCode returns an iterator over code, which begins at byte base of the module (used in messages alone). A br_table
// with more than maxLabels targets is refused.
func NewCode(code []byte, base, maxLabels int) Code {
	return Code{c: cursor{buf: code, base: base}, most: maxLabels}
}

// Next decodes one instruction into in, and reports whether there was one.
func (k *Code) Next(in *Instruction) bool {
	c := &k.c
	if c.err != nil || c.pos >= len(c.buf) {
		return false
	}
	in.Start = c.pos
	b := c.buf[c.pos]
	c.pos++
	in.Op = Op(b)
	imm := plain[b]
	if imm == immPrefixed {
		imm = k.prefixed(in, b)
	}
	switch imm {
	case immNone:
	case immIndex:
		in.A = c.u32()
	default:
		k.immediates(in, imm)
	}
	in.End = c.pos
	return c.err == nil
}

// Err returns what stopped the iteration early.
func (k *Code) Err() error { return k.c.err }

func (k *Code) prefixed(in *Instruction, prefix byte) immediate {
	sub := k.c.u32()
	in.Op = Op(prefix)<<8 | Op(sub&0xff)
	switch {
	case prefix == prefixNumeric && sub < uint32(len(numeric)):
		return numeric[sub]
	case prefix == prefixVector && sub < uint32(len(vector)):
		return vector[sub]
	case prefix == prefixVector && sub < 0x120:
		k.c.unsupported("relaxed SIMD")
	}
	return immIllegal
}

func (k *Code) immediates(in *Instruction, imm immediate) {
	c := &k.c
	switch imm {
	case immBlock:
		in.Block = k.blockType()
	case immIndexPair:
		in.A, in.B = c.u32(), c.u32()
	case immTable:
		k.table(in)
	case immMemory:
		k.memory()
	case immMemoryPair:
		k.memory()
		k.memory()
	case immIndexMemory:
		in.A = c.u32()
		k.memory()
	case immAccess:
		k.access(in)
	case immAccessLane:
		k.access(in)
		c.byte()
	case immLane:
		c.byte()
	case immI32:
		in.Bits[0] = uint64(uint32(c.signed(32)))
	case immI64:
		in.Bits[0] = uint64(c.signed(64))
	case immF32:
		in.Bits[0] = uint64(c.f32())
	case immF64:
		in.Bits[0] = c.f64()
	case immV128:
		k.v128(in)
	case immTypes:
		for n := c.count("select types", 1, 1<<16); n > 0; n-- {
			c.valueType()
		}
	case immRef:
		in.A = uint32(c.referenceType())
	case immIllegal:
		c.pos = in.Start
		c.fail("illegal opcode " + in.Op.String())
	default:
		c.pos = in.Start
		c.unsupported(refusedFeature(imm))
	}
}

func (k *Code) blockType() BlockType {
	v := k.c.signed(33)
	if v >= 0 || v == int64(BlockEmpty) {
		return BlockType(v)
	}
	if v < -64 || !ValueType(v&0x7f).valid() {
		k.c.fail("malformed block type")
	}
	return BlockType(v)
}

func (k *Code) table(in *Instruction) {
	n := k.c.count("branch table targets", 1, k.most)
	k.labels = k.labels[:0]
	for i := 0; i <= n && k.c.err == nil; i++ {
		k.labels = append(k.labels, k.c.u32())
	}
	in.Labels = k.labels
}

func (k *Code) memory() {
	if k.c.byte() != 0 {
		k.c.unsupported("multiple memories")
	}
}

func (k *Code) access(in *Instruction) {
	in.A = k.c.u32()
	if in.A >= 32 {
		if in.A&0x40 != 0 {
			k.c.unsupported("multiple memories")
		}
		k.c.fail("malformed alignment")
	}
	in.B = k.c.u32()
}

func (k *Code) v128(in *Instruction) {
	if b := k.c.bytes(16); b != nil {
		in.Bits = [2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
	}
}
