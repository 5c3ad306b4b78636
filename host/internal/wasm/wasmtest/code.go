package wasmtest

import (
	"encoding/binary"
	"math"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// Code assembles instructions. Methods return the code for chaining; nothing is checked.
type Code []byte

// Op appends instructions that have no immediates.
func (c Code) Op(ops ...wasm.Op) Code {
	for _, op := range ops {
		c = wasm.AppendOp(c, op)
	}
	return c
}

// Index appends an instruction with indices: calls, branches, locals, globals, tables.
func (c Code) Index(op wasm.Op, indices ...uint32) Code {
	c = wasm.AppendOp(c, op)
	for _, i := range indices {
		c = wasm.AppendUnsigned(c, uint64(i))
	}
	return c
}

// I32 appends a constant.
func (c Code) I32(v int32) Code {
	return wasm.AppendSigned(wasm.AppendOp(c, wasm.OpI32Const), int64(v))
}

// I64 appends a constant.
func (c Code) I64(v int64) Code { return wasm.AppendSigned(wasm.AppendOp(c, wasm.OpI64Const), v) }

// F32 appends a constant.
func (c Code) F32(v float32) Code {
	return binary.LittleEndian.AppendUint32(wasm.AppendOp(c, wasm.OpF32Const), math.Float32bits(v))
}

// F64 appends a constant.
func (c Code) F64(v float64) Code {
	return binary.LittleEndian.AppendUint64(wasm.AppendOp(c, wasm.OpF64Const), math.Float64bits(v))
}

// Access appends a load or store at an offset, without alignment.
func (c Code) Access(op wasm.Op, offset uint32) Code {
	return wasm.AppendUnsigned(append(wasm.AppendOp(c, op), 0), uint64(offset))
}

// Block, Loop and If append the beginning of a construct of the given type; End closes it.
func (c Code) Block(t wasm.BlockType) Code { return c.begin(wasm.OpBlock, t) }

// Loop is described at Block.
func (c Code) Loop(t wasm.BlockType) Code { return c.begin(wasm.OpLoop, t) }

// If is described at Block.
func (c Code) If(t wasm.BlockType) Code { return c.begin(wasm.OpIf, t) }

func (c Code) begin(op wasm.Op, t wasm.BlockType) Code {
	return wasm.AppendSigned(wasm.AppendOp(c, op), int64(t))
}

// End closes a construct or the function.
func (c Code) End() Code { return c.Op(wasm.OpEnd) }

// Memory appends an instruction whose immediates are n zero bytes: the one memory.
func (c Code) Memory(op wasm.Op, n int) Code {
	return append(wasm.AppendOp(c, op), make([]byte, n)...)
}

// BrTable appends a branch table; the last label is the default.
func (c Code) BrTable(labels ...uint32) Code {
	c = wasm.AppendUnsigned(wasm.AppendOp(c, wasm.OpBrTable), uint64(len(labels)-1))
	for _, l := range labels {
		c = wasm.AppendUnsigned(c, uint64(l))
	}
	return c
}

// Repeat appends more n times.
func (c Code) Repeat(n int, more Code) Code {
	for range n {
		c = append(c, more...)
	}
	return c
}

// BlockOf is the type of a block with one result.
func BlockOf(t wasm.ValueType) wasm.BlockType { return wasm.BlockType(int8(t | 0x80)) }
