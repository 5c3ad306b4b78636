package rewrite

import "github.com/edgehold/edgehold/host/internal/wasm"

// layout is where the injected things are in the new index spaces.
type layout struct {
	yield       uint32 // function: the import, before all defined functions
	refill      uint32 // function () -> ()
	refillLocal uint32 // function (i64) -> i64
	bulkBytes   uint32 // functions (i32) -> i32 that charge for a length and return it
	bulkEntries uint32
	growMemory  uint32
	growTable   uint32
	fuel, depth uint32 // globals
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
	out []byte
}

// job is one function to write.
type job struct {
	code      []byte
	fn        *function
	frame     int64          // what it takes from the stack; zero if it does not count
	fuelLocal uint32         // the local that holds the fuel
	inLocal   bool           // keep the fuel in that local
	results   wasm.BlockType // of the function
}

// function writes a function. If something has to happen when it returns, its code becomes a block, and every return a branch to the end of
// that block, so that there is one way out.
func (e *emitter) function(j *job) []byte {
	e.out = make([]byte, 0, len(j.code)+len(j.code)/2+64)
	e.entry(j)
	wrapped := j.inLocal || j.frame > 0
	if wrapped {
		e.op(wasm.OpBlock)
		e.out = wasm.AppendSigned(e.out, int64(j.results))
	}
	e.body(j, wrapped)
	if wrapped {
		e.exit(j)
		e.op(wasm.OpEnd)
	}
	return e.out
}

func (e *emitter) body(j *job, wrapped bool) {
	points := j.fn.points[1:]
	depth := uint64(0)
	copied := 0
	it := wasm.NewCode(j.code, 0, len(j.code))
	var in wasm.Instruction
	for it.Next(&in) {
		if len(points) > 0 && int(points[0].offset) == in.Start {
			e.out = append(e.out, j.code[copied:in.Start]...)
			copied = in.Start
			e.charge(j, &points[0])
			points = points[1:]
		}
		switch in.Op {
		case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
			depth++
			continue
		case wasm.OpEnd:
			depth--
			continue
		case wasm.OpReturn:
			if !wrapped {
				continue
			}
		case wasm.OpCall, wasm.OpRefFunc, wasm.OpMemoryGrow:
		case wasm.OpCallIndirect:
			if !j.inLocal {
				continue
			}
		default:
			if !isBulk(in.Op) {
				continue
			}
		}
		e.out = append(e.out, j.code[copied:in.Start]...)
		copied = in.End
		e.replace(j, &in, depth)
	}
	e.out = append(e.out, j.code[copied:]...)
}

// replace writes what stands for an instruction that cannot stay as it is.
func (e *emitter) replace(j *job, in *wasm.Instruction, depth uint64) {
	switch in.Op {
	case wasm.OpReturn:
		e.op(wasm.OpBr)
		e.out = wasm.AppendUnsigned(e.out, depth)
		return
	case wasm.OpRefFunc:
		e.index(wasm.OpRefFunc, e.renumber(in.A))
		return
	}
	e.flush(j)
	switch in.Op {
	case wasm.OpCall:
		e.index(wasm.OpCall, e.renumber(in.A))
	case wasm.OpMemoryGrow:
		e.index(wasm.OpCall, e.growMemory)
	case wasm.OpTableGrow:
		e.index(wasm.OpCall, e.growTable)
	case wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableFill:
		e.index(wasm.OpCall, e.bulkEntries)
	case wasm.OpMemoryInit, wasm.OpMemoryCopy, wasm.OpMemoryFill:
		e.index(wasm.OpCall, e.bulkBytes)
	}
	if in.Op != wasm.OpCall {
		e.out = append(e.out, j.code[in.Start:in.End]...)
	}
	e.reload(j)
}

func (e *emitter) op(op wasm.Op) { e.out = wasm.AppendOp(e.out, op) }

func (e *emitter) index(op wasm.Op, i uint32) {
	e.out = wasm.AppendUnsigned(wasm.AppendOp(e.out, op), uint64(i))
}

func (e *emitter) constant(v int64) {
	e.out = wasm.AppendSigned(wasm.AppendOp(e.out, wasm.OpI64Const), v)
}

// flush makes the fuel global true before something else may look at it, reload takes it over afterwards.
func (e *emitter) flush(j *job) {
	if j.inLocal {
		e.index(wasm.OpLocalGet, j.fuelLocal)
		e.index(wasm.OpGlobalSet, e.fuel)
	}
}

func (e *emitter) reload(j *job) {
	if j.inLocal {
		e.index(wasm.OpGlobalGet, e.fuel)
		e.index(wasm.OpLocalSet, j.fuelLocal)
	}
}

// entry charges the first point and takes the frame from the stack.
func (e *emitter) entry(j *job) {
	e.reload(j)
	first := j.fn.points[0]
	if j.frame == 0 {
		e.charge(j, &first)
		return
	}
	e.subtract(j, first.cost)
	e.index(wasm.OpGlobalGet, e.depth)
	e.constant(j.frame)
	e.op(wasm.OpI64Sub)
	e.index(wasm.OpGlobalSet, e.depth)
	e.remaining(j)
	e.index(wasm.OpGlobalGet, e.depth)
	e.op(wasm.OpI64Or) // negative if one of them is
	e.check(j)
}

// exit gives the frame back.
func (e *emitter) exit(j *job) {
	e.flush(j)
	if j.frame > 0 {
		e.index(wasm.OpGlobalGet, e.depth)
		e.constant(j.frame)
		e.op(wasm.OpI64Add)
		e.index(wasm.OpGlobalSet, e.depth)
	}
}

func (e *emitter) charge(j *job, p *point) {
	e.subtract(j, p.cost)
	if p.check {
		e.remaining(j)
		e.check(j)
	}
}

func (e *emitter) subtract(j *job, cost int64) {
	if cost == 0 {
		return
	}
	e.remaining(j)
	e.constant(cost)
	e.op(wasm.OpI64Sub)
	if j.inLocal {
		e.index(wasm.OpLocalSet, j.fuelLocal)
	} else {
		e.index(wasm.OpGlobalSet, e.fuel)
	}
}

func (e *emitter) remaining(j *job) {
	if j.inLocal {
		e.index(wasm.OpLocalGet, j.fuelLocal)
	} else {
		e.index(wasm.OpGlobalGet, e.fuel)
	}
}

// check asks the host if the i64 on the operand stack is negative.
func (e *emitter) check(j *job) {
	e.constant(0)
	e.op(wasm.OpI64LtS)
	e.op(wasm.OpIf)
	e.out = wasm.AppendSigned(e.out, int64(wasm.BlockEmpty))
	if j.inLocal {
		e.index(wasm.OpLocalGet, j.fuelLocal)
		e.index(wasm.OpCall, e.refillLocal)
		e.index(wasm.OpLocalSet, j.fuelLocal)
	} else {
		e.index(wasm.OpCall, e.refill)
	}
	e.op(wasm.OpEnd)
}
