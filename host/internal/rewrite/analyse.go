package rewrite

import (
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// point is a place where fuel is charged: the beginning of a set of basic blocks that always run equally often.
type point struct {
	offset int32 // in the code
	check  bool  // also ask whether fuel or stack is used up
	cost   int64
}

// function is what one pass over a function's code finds out.
type function struct {
	points   []point // by offset
	callees  []uint32
	indirect bool // calls through a table
	loops    bool
}

// construct is an open block, loop, if or else.
type construct struct {
	op       wasm.Op // OpElse after an if's else
	outer    int     // the point that was being charged when it began
	farthest int     // the outermost construct that something inside branches to, as an index in the stack
	branched bool    // something branches to its end
	dead     bool    // it began in unreachable code
}

// analyser walks the code of one function after the other.
type analyser struct {
	fn    function
	stack []construct
	cur   int  // the point that is being charged
	dead  bool // no path leads here
	start bool // nothing but the openings of blocks so far
}

var errNesting = errors.New("unbalanced end")

func (a *analyser) run(code []byte) (function, error) {
	a.fn = function{points: make([]point, 0, 8)}
	a.stack = append(a.stack[:0], construct{op: wasm.OpBlock})
	a.dead, a.start = false, true
	a.open(0, true)
	it := wasm.NewCode(code, 0, len(code))
	var in wasm.Instruction
	for it.Next(&in) {
		if len(a.stack) == 0 {
			return function{}, errNesting
		}
		if err := a.instruction(&in); err != nil {
			return function{}, fmt.Errorf("byte %d of the code: %w", in.Start, err)
		}
	}
	if err := it.Err(); err != nil {
		return function{}, err
	}
	if len(a.stack) != 0 {
		return function{}, errNesting
	}
	if a.fn.brief() {
		a.fn.points[0].check = false
	}
	return a.fn, nil
}

// brief reports whether a call of the function is so short that its caller's checks are enough.
func (f *function) brief() bool {
	total := int64(0)
	for i := range f.points {
		total += f.points[i].cost
	}
	return !f.loops && !f.indirect && len(f.callees) == 0 && total <= briefCost
}

// open begins a new point at offset and makes it the current one.
func (a *analyser) open(offset int, check bool) {
	a.fn.points = append(a.fn.points, point{offset: int32(offset), check: check})
	a.cur = len(a.fn.points) - 1
}

func (a *analyser) instruction(in *wasm.Instruction) error {
	switch in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		a.charge(in.Op)
		a.begin(in)
		return nil
	case wasm.OpElse:
		return a.otherwise(in)
	case wasm.OpEnd:
		a.end(in)
		a.start = false
		return nil
	}
	if a.dead {
		return nil
	}
	a.charge(in.Op)
	a.start = a.start && in.Op == wasm.OpNop
	return a.transfer(in)
}

func (a *analyser) charge(op wasm.Op) {
	if !a.dead {
		a.fn.points[a.cur].cost += costOf(op)
	}
}

// transfer handles what may leave the straight line: branches and calls.
func (a *analyser) transfer(in *wasm.Instruction) error {
	switch in.Op {
	case wasm.OpBr:
		a.dead = true
		return a.branch(in.A)
	case wasm.OpBrIf:
		a.open(in.End, false)
		return a.branch(in.A)
	case wasm.OpBrTable:
		a.dead = true
		for _, l := range in.Labels {
			if err := a.branch(l); err != nil {
				return err
			}
		}
	case wasm.OpReturn:
		a.dead = true
		return a.branch(uint32(len(a.stack) - 1))
	case wasm.OpUnreachable:
		a.dead = true
	case wasm.OpCall:
		a.fn.callees = append(a.fn.callees, in.A)
	case wasm.OpCallIndirect:
		a.fn.indirect = true
	}
	return nil
}

func (a *analyser) begin(in *wasm.Instruction) {
	a.stack = append(a.stack, construct{op: in.Op, outer: a.cur, farthest: len(a.stack), dead: a.dead})
	switch {
	case in.Op == wasm.OpIf:
		a.start = false
		if !a.dead {
			a.open(in.End, false)
		}
	case in.Op == wasm.OpLoop:
		a.fn.loops = true
		if a.start {
			a.fn.points[0].check = false // the loop's own check comes at once
			a.start = false
		}
		if !a.dead {
			a.open(in.End, true)
		}
	}
}

func (a *analyser) otherwise(in *wasm.Instruction) error {
	c := &a.stack[len(a.stack)-1]
	if c.op != wasm.OpIf || len(a.stack) == 1 {
		return errors.New("else without if")
	}
	c.op = wasm.OpElse
	if c.dead {
		return nil
	}
	c.branched = c.branched || !a.dead
	a.dead = false
	a.open(in.End, false)
	return nil
}

// end closes the innermost construct and decides where the code after it is charged.
func (a *analyser) end(in *wasm.Instruction) {
	depth := len(a.stack) - 1
	c := a.stack[depth]
	a.stack = a.stack[:depth]
	if depth == 0 {
		return
	}
	outer := &a.stack[depth-1]
	outer.farthest = min(outer.farthest, c.farthest)
	if c.dead {
		a.dead = true
		return
	}
	joins := c.op == wasm.OpIf || c.branched && c.op != wasm.OpLoop
	if a.dead && !joins {
		return
	}
	a.dead = false
	switch {
	case c.farthest >= depth: // whatever happens inside, the code after it runs as often as the code before it
		a.cur = c.outer
	case joins:
		a.open(in.End, false)
	}
}

// branch notes a branch to a label, counted from the innermost construct.
func (a *analyser) branch(label uint32) error {
	if uint64(label) >= uint64(len(a.stack)) {
		return fmt.Errorf("branch to unknown label %d", label)
	}
	target := len(a.stack) - 1 - int(label)
	top := &a.stack[len(a.stack)-1]
	top.farthest = min(top.farthest, target)
	a.stack[target].branched = true
	return nil
}
