package wasm

import "fmt"

// Op is an instruction's code. One-byte codes stand for themselves, prefixed ones are prefix<<8 | code.
type Op uint16

// The instructions that somebody here looks at. All others pass through as they are.
const (
	OpUnreachable  Op = 0x00
	OpNop          Op = 0x01
	OpBlock        Op = 0x02
	OpLoop         Op = 0x03
	OpIf           Op = 0x04
	OpElse         Op = 0x05
	OpEnd          Op = 0x0b
	OpBr           Op = 0x0c
	OpBrIf         Op = 0x0d
	OpBrTable      Op = 0x0e
	OpReturn       Op = 0x0f
	OpCall         Op = 0x10
	OpCallIndirect Op = 0x11
	OpDrop         Op = 0x1a
	OpSelect       Op = 0x1b
	OpSelectTyped  Op = 0x1c
	OpLocalGet     Op = 0x20
	OpLocalSet     Op = 0x21
	OpLocalTee     Op = 0x22
	OpGlobalGet    Op = 0x23
	OpGlobalSet    Op = 0x24
	OpTableGet     Op = 0x25
	OpTableSet     Op = 0x26
	OpI32Load      Op = 0x28
	OpI64Load      Op = 0x29
	OpI32Store     Op = 0x36
	OpI64Store     Op = 0x37
	OpMemorySize   Op = 0x3f
	OpMemoryGrow   Op = 0x40
	OpI32Const     Op = 0x41
	OpI64Const     Op = 0x42
	OpF32Const     Op = 0x43
	OpF64Const     Op = 0x44
	OpI32Eqz       Op = 0x45
	OpI32LtU       Op = 0x49
	OpI32GtU       Op = 0x4b
	OpI64Eqz       Op = 0x50
	OpI64LtS       Op = 0x53
	OpI64GtU       Op = 0x56
	OpI32Add       Op = 0x6a
	OpI32Sub       Op = 0x6b
	OpI32Mul       Op = 0x6c
	OpI32DivS      Op = 0x6d
	OpI32DivU      Op = 0x6e
	OpI32RemS      Op = 0x6f
	OpI32RemU      Op = 0x70
	OpI32And       Op = 0x71
	OpI32Or        Op = 0x72
	OpI32Xor       Op = 0x73
	OpI32Shl       Op = 0x74
	OpI32ShrU      Op = 0x76
	OpI64Add       Op = 0x7c
	OpI64Sub       Op = 0x7d
	OpI64Mul       Op = 0x7e
	OpI64DivS      Op = 0x7f
	OpI64DivU      Op = 0x80
	OpI64RemS      Op = 0x81
	OpI64RemU      Op = 0x82
	OpI64And       Op = 0x83
	OpI64Or        Op = 0x84
	OpI64Xor       Op = 0x85
	OpI64Shl       Op = 0x86
	OpI64ShrU      Op = 0x88
	OpF32Sqrt      Op = 0x91
	OpF32Div       Op = 0x95
	OpF64Sqrt      Op = 0x9f
	OpF64Add       Op = 0xa0
	OpF64Mul       Op = 0xa2
	OpF64Div       Op = 0xa3
	OpI32WrapI64   Op = 0xa7
	OpI64ExtendI32 Op = 0xad // unsigned
	OpRefNull      Op = 0xd0
	OpRefIsNull    Op = 0xd1
	OpRefFunc      Op = 0xd2
	OpMemoryInit   Op = 0xfc08
	OpDataDrop     Op = 0xfc09
	OpMemoryCopy   Op = 0xfc0a
	OpMemoryFill   Op = 0xfc0b
	OpTableInit    Op = 0xfc0c
	OpElemDrop     Op = 0xfc0d
	OpTableCopy    Op = 0xfc0e
	OpTableGrow    Op = 0xfc0f
	OpTableSize    Op = 0xfc10
	OpTableFill    Op = 0xfc11
	OpV128Const    Op = 0xfd0c
)

const (
	prefixNumeric = 0xfc
	prefixVector  = 0xfd
)

// immediate is the shape of what follows an instruction's code.
type immediate byte

const (
	immIllegal immediate = iota
	immNone
	immBlock        // block type
	immIndex        // one index
	immIndexPair    // two indices
	immTable        // vector of labels and a default
	immMemory       // a zero byte: the memory
	immMemoryPair   // two of them
	immIndexMemory  // an index and the memory
	immAccess       // alignment and offset
	immAccessLane   // the same and a lane
	immLane         // a lane
	immI32          // signed constants
	immI64          //
	immF32          // float constants
	immF64          //
	immV128         // 16 bytes
	immTypes        // vector of value types
	immRef          // reference type
	immPrefixed     // another code
	immTailCall     // known and refused, from here on
	immException    //
	immFunctionRefs //
	immGC           //
	immThreads      //
)

// plain has the immediates of one-byte instructions.
var plain = func() (t [256]immediate) {
	set := func(imm immediate, from, to int) {
		for i := from; i <= to; i++ {
			t[i] = imm
		}
	}
	set(immNone, 0x00, 0x01)
	set(immBlock, 0x02, 0x04)
	set(immNone, 0x05, 0x05)
	set(immException, 0x06, 0x0a)
	set(immNone, 0x0b, 0x0b)
	set(immIndex, 0x0c, 0x0d)
	set(immTable, 0x0e, 0x0e)
	set(immNone, 0x0f, 0x0f)
	set(immIndex, 0x10, 0x10)
	set(immIndexPair, 0x11, 0x11)
	set(immTailCall, 0x12, 0x13)
	set(immFunctionRefs, 0x14, 0x15)
	set(immException, 0x18, 0x19)
	set(immNone, 0x1a, 0x1b)
	set(immTypes, 0x1c, 0x1c)
	set(immException, 0x1f, 0x1f)
	set(immIndex, 0x20, 0x26)
	set(immAccess, 0x28, 0x3e)
	set(immMemory, 0x3f, 0x40)
	set(immI32, 0x41, 0x41)
	set(immI64, 0x42, 0x42)
	set(immF32, 0x43, 0x43)
	set(immF64, 0x44, 0x44)
	set(immNone, 0x45, 0xc4)
	set(immRef, 0xd0, 0xd0)
	set(immNone, 0xd1, 0xd1)
	set(immIndex, 0xd2, 0xd2)
	set(immGC, 0xd3, 0xd3)
	set(immFunctionRefs, 0xd4, 0xd6)
	set(immGC, 0xfb, 0xfb)
	set(immPrefixed, prefixNumeric, prefixVector)
	set(immThreads, 0xfe, 0xfe)
	return t
}()

// numeric has the immediates of instructions with prefix 0xfc.
var numeric = [...]immediate{
	immNone, immNone, immNone, immNone, immNone, immNone, immNone, immNone, // saturating conversions
	immIndexMemory, immIndex, immMemoryPair, immMemory, // memory.init, data.drop, memory.copy, memory.fill
	immIndexPair, immIndex, immIndexPair, // table.init, elem.drop, table.copy
	immIndex, immIndex, immIndex, // table.grow, table.size, table.fill
}

// vector has the immediates of instructions with prefix 0xfd.
var vector = func() (t [256]immediate) {
	for i := range t {
		switch {
		case i <= 0x0b, i == 0x5c, i == 0x5d:
			t[i] = immAccess
		case i == 0x0c, i == 0x0d:
			t[i] = immV128
		case i >= 0x15 && i <= 0x22:
			t[i] = immLane
		case i >= 0x54 && i <= 0x5b:
			t[i] = immAccessLane
		default:
			t[i] = immNone
		}
	}
	for _, hole := range []byte("\x9a\xa2\xa5\xa6\xaf\xb0\xb2\xb3\xb4\xbb\xc2\xc5\xc6\xcf\xd0\xd2\xd3\xd4\xe2\xee") {
		t[hole] = immIllegal
	}
	return t
}()

// refusedFeature names what a refused immediate stands for.
func refusedFeature(imm immediate) string {
	switch imm {
	case immTailCall:
		return "tail calls"
	case immException:
		return "exception handling"
	case immFunctionRefs:
		return "typed function references"
	case immGC:
		return "garbage collection"
	}
	return "threads (atomic instructions)"
}

// String returns the code in hexadecimal.
func (op Op) String() string { return fmt.Sprintf("%#02x", uint16(op)) }
