package rewrite

import "github.com/edgehold/edgehold/host/internal/wasm"

// layout is where the injected things are in the new index spaces.
type layout struct {
	yield         uint32 // function: the import, before all defined functions
	refill        uint32 // function () -> ()
	chargeBytes   uint32 // functions (i32) -> i32 that charge for a length and return it
	chargeEntries uint32
	chargeMemory  uint32
	fuel, depth   uint32 // globals
}

// renumber maps an old function index to its new one.
func (l *layout) renumber(f uint32) uint32 {
	if f >= l.yield {
		return f + 1
	}
	return f
}

// emitter writes the new code of one function after the other.
type emitter struct {
	layout
	out   []byte
	moves []move // of the function being written
}

// job is one function to write.
type job struct {
	code    []byte
	fn      *function
	frame   int64          // what it takes from the stack; zero if it does not count
	results wasm.BlockType // of the function
}

// function writes a function. If it counts its stack, its code becomes a block, and every return a branch to the end of
// that block, so that there is one way out.
func (e *emitter) function(j *job) []byte {
	e.out = make([]byte, 0, len(j.code)+len(j.code)/2+64)
	first := &j.fn.points[0]
	if j.frame == 0 {
		e.charge(first)
		e.body(j)
		return e.out
	}
	e.subtract(e.fuel, first.cost)
	e.subtract(e.depth, j.frame)
	e.index(wasm.OpGlobalGet, e.fuel)
	e.index(wasm.OpGlobalGet, e.depth)
	e.op(wasm.OpI64Or) // negative if one of them is
	e.check()
	e.op(wasm.OpBlock)
	e.out = wasm.AppendSigned(e.out, int64(j.results))
	e.body(j)
	e.subtract(e.depth, -j.frame)
	e.op(wasm.OpEnd)
	return e.out
}

// body copies the code, with charges where the points are and other instructions for those that cannot stay.
func (e *emitter) body(j *job) {
	points := j.fn.points[1:]
	depth := uint64(0) // of constructs that are open
	copied := 0
	it := wasm.NewCode(j.code, 0, len(j.code))
	var in wasm.Instruction
	for it.Next(&in) {
		if len(points) > 0 && int(points[0].offset) == in.Start {
			e.copy(j.code, copied, in.Start)
			copied = in.Start
			e.charge(&points[0])
			points = points[1:]
		}
		switch {
		case in.Op == wasm.OpBlock, in.Op == wasm.OpLoop, in.Op == wasm.OpIf:
			depth++
		case in.Op == wasm.OpEnd:
			depth--
		case changes(in.Op):
			e.copy(j.code, copied, in.Start)
			copied = in.End
			e.moves = append(e.moves, move{uint32(len(e.out)), uint32(in.Start), 0})
			e.replace(j, &in, depth)
		}
	}
	e.copy(j.code, copied, len(j.code))
}

// copy takes instructions over as they are.
func (e *emitter) copy(code []byte, from, to int) {
	e.moves = append(e.moves, move{uint32(len(e.out)), uint32(from), uint32(to - from)})
	e.out = append(e.out, code[from:to]...)
}

func changes(op wasm.Op) bool {
	switch op {
	case wasm.OpReturn, wasm.OpCall, wasm.OpRefFunc:
		return true
	}
	return ChargedByLength(op)
}

// replace writes what stands for an instruction that cannot stay as it is.
func (e *emitter) replace(j *job, in *wasm.Instruction, depth uint64) {
	switch in.Op {
	case wasm.OpCall, wasm.OpRefFunc:
		e.index(in.Op, e.renumber(in.A))
		return
	case wasm.OpReturn:
		if j.frame > 0 {
			e.index(wasm.OpBr, uint32(depth))
			return
		}
	case wasm.OpMemoryGrow:
		e.index(wasm.OpCall, e.chargeMemory)
	case wasm.OpMemoryInit, wasm.OpMemoryCopy, wasm.OpMemoryFill:
		e.index(wasm.OpCall, e.chargeBytes)
	default:
		e.index(wasm.OpCall, e.chargeEntries)
	}
	e.out = append(e.out, j.code[in.Start:in.End]...)
}

func (e *emitter) op(op wasm.Op) { e.out = wasm.AppendOp(e.out, op) }

func (e *emitter) index(op wasm.Op, i uint32) {
	e.out = wasm.AppendUnsigned(wasm.AppendOp(e.out, op), uint64(i))
}

func (e *emitter) constant(v int64) {
	e.out = wasm.AppendSigned(wasm.AppendOp(e.out, wasm.OpI64Const), v)
}

func (e *emitter) charge(p *point) {
	e.subtract(e.fuel, p.cost)
	if p.check {
		e.index(wasm.OpGlobalGet, e.fuel)
		e.check()
	}
}

func (e *emitter) subtract(global uint32, amount int64) {
	if amount == 0 {
		return
	}
	e.index(wasm.OpGlobalGet, global)
	e.constant(amount)
	e.op(wasm.OpI64Sub)
	e.index(wasm.OpGlobalSet, global)
}

// check asks the host if the i64 on the operand stack is negative.
func (e *emitter) check() {
	e.constant(0)
	e.op(wasm.OpI64LtS)
	e.op(wasm.OpIf)
	e.out = wasm.AppendSigned(e.out, int64(wasm.BlockEmpty))
	e.index(wasm.OpCall, e.refill)
	e.op(wasm.OpEnd)
}
