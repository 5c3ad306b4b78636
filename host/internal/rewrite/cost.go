package rewrite

import "github.com/edgehold/edgehold/host/internal/wasm"

// Costs in units of fuel. One unit is about the time of a simple instruction; see RATIONALE.md.
const (
	costSimple       = 1
	costCall         = 4
	costCallIndirect = 8
	costDivide       = 8
	costBulk         = 8 // before what is charged by length
	costGrow         = 64

	// briefCost is the most that a function may cost that does not ask for fuel itself. It has no loops and no calls.
	briefCost = 32

	bulkBytesPerUnit   = 8 // memory.fill, memory.copy, memory.init
	unitsPerTableEntry = 1
	unitsPerGrownPage  = 4096 // clearing 64 KiB
	unitsPerCopiedPage = 1024 // a memory that grows may have to move
)

// costs has the costs of the one-byte instructions.
var costs = func() (t [256]uint8) {
	for i := range t {
		t[i] = costSimple
	}
	for _, op := range []wasm.Op{wasm.OpNop, wasm.OpBlock, wasm.OpLoop, wasm.OpElse, wasm.OpEnd, wasm.OpDrop} {
		t[op] = 0
	}
	for _, op := range []wasm.Op{
		wasm.OpI32DivS, wasm.OpI32DivU, wasm.OpI32RemS, wasm.OpI32RemU, wasm.OpI64DivS, wasm.OpI64DivU,
		wasm.OpI64RemS, wasm.OpI64RemU, wasm.OpF32Sqrt, wasm.OpF32Div, wasm.OpF64Sqrt, wasm.OpF64Div,
	} {
		t[op] = costDivide
	}
	t[wasm.OpCall] = costCall
	t[wasm.OpCallIndirect] = costCallIndirect
	t[wasm.OpMemoryGrow] = costGrow
	return t
}()

// costOf returns the static cost of an instruction. Bulk instructions are charged for their length on top.
func costOf(op wasm.Op) int64 {
	if op < 256 {
		return int64(costs[op])
	}
	if ChargedByLength(op) {
		return costBulk
	}
	return costSimple
}

// ChargedByLength reports whether an instruction costs more the longer the piece of memory or table is that it works
// on.
func ChargedByLength(op wasm.Op) bool {
	switch op {
	case wasm.OpMemoryInit, wasm.OpMemoryCopy, wasm.OpMemoryFill, wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableGrow,
		wasm.OpTableFill, wasm.OpMemoryGrow:
		return true
	}
	return false
}
