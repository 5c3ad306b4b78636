package rewrite

import (
	"math"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// helper is a function that Instrument adds behind the guest's own.
type helper struct {
	name string
	typ  wasm.FuncType
	code func(*emitter)
}

var (
	typeNothing = wasm.FuncType{}
	typeI32     = wasm.FuncType{Params: []wasm.ValueType{wasm.I32}, Results: []wasm.ValueType{wasm.I32}}
)

// helpers returns the functions to add, in the order of the fields of layout.
func helpers(o Options, hasMemory bool) []helper {
	memory := min(uint64(o.MemoryMaxPages)<<16, math.MaxUint32)
	return []helper{
		{"refill", typeNothing, (*emitter).refillCode},
		{"charge.bytes", typeI32, func(e *emitter) {
			e.lengthCode(memory, wasm.OpI64DivU, bulkBytesPerUnit, false)
		}},
		{"charge.entries", typeI32, func(e *emitter) {
			e.lengthCode(uint64(o.TableMaxEntries), wasm.OpI64Mul, unitsPerTableEntry, false)
		}},
		{"charge.memory", typeI32, func(e *emitter) {
			e.lengthCode(uint64(o.MemoryMaxPages), wasm.OpI64Mul, unitsPerGrownPage, hasMemory)
		}},
	}
}

// refillCode asks the host for fuel, and traps if it came back although the stack is used up.
func (e *emitter) refillCode() {
	e.index(wasm.OpCall, e.yield)
	e.index(wasm.OpGlobalGet, e.depth)
	e.constant(0)
	e.op(wasm.OpI64LtS)
	e.op(wasm.OpIf)
	e.out = wasm.AppendSigned(e.out, int64(wasm.BlockEmpty))
	e.op(wasm.OpUnreachable)
	e.op(wasm.OpEnd)
}

// lengthCode charges for the length in local 0 and returns it: no more than most count, as longer ones fail at once;
// each costs what scale by factor makes of it, and copied adds the pages that the memory has already.
func (e *emitter) lengthCode(most uint64, scale wasm.Op, factor int64, copied bool) {
	e.index(wasm.OpGlobalGet, e.fuel)
	e.index(wasm.OpLocalGet, 0)
	e.op(wasm.OpI64ExtendI32)
	e.constant(int64(most))
	e.index(wasm.OpLocalGet, 0)
	e.op(wasm.OpI64ExtendI32)
	e.constant(int64(most))
	e.op(wasm.OpI64LtS)
	e.op(wasm.OpSelect)
	e.constant(factor)
	e.op(scale)
	if copied {
		e.out = append(e.out, byte(wasm.OpMemorySize), 0)
		e.op(wasm.OpI64ExtendI32)
		e.constant(unitsPerCopiedPage)
		e.op(wasm.OpI64Mul)
		e.op(wasm.OpI64Add)
	}
	e.op(wasm.OpI64Sub)
	e.index(wasm.OpGlobalSet, e.fuel)
	e.index(wasm.OpGlobalGet, e.fuel)
	e.check()
	e.index(wasm.OpLocalGet, 0)
}
