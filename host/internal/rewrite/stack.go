package rewrite

import "github.com/edgehold/edgehold/host/internal/wasm"

const (
	// frameBase is what any frame costs. It also bounds the number of frames: 256 KiB hold 1820 at most, and wazero's
	// interpreter gives up at 2000.
	frameBase = 144
	// codePerFrameByte is how much code adds one byte to a frame. The engine gives a slot to each value that lives
	// across a call and shares no slots, so code bounds frames better than locals do.
	codePerFrameByte = 4
	// maxUncounted is the most that functions may use which do not account for themselves.
	maxUncounted = 2 << 10
)

// frameBytes estimates the stack of one call.
func frameBytes(t wasm.FuncType, b *wasm.Body) int64 {
	n := int64(frameBase + len(b.Code)/codePerFrameByte + slotBytes(t.Params) + slotBytes(t.Results))
	for _, l := range b.Locals {
		n += int64(l.Count) * int64(slotSize(l.Type))
	}
	return n
}

func slotBytes(ts []wasm.ValueType) (n int) {
	for _, t := range ts {
		n += slotSize(t)
	}
	return n
}

func slotSize(t wasm.ValueType) int {
	if t == wasm.V128 {
		return 16
	}
	return 8
}

// stackPlan says for each defined function how much stack it takes when it is entered; zero for those whose callers
// account for them.
type stackPlan []int64

// planStack chooses the functions that count. Every cycle of calls goes through one of them: all that call through a
// table, and where a depth-first walk over the direct calls closes a cycle. What a function takes covers the deepest
// chain of uncounted functions below it; chains that would grow beyond maxUncounted are cut.
func planStack(fns []function, frames []int64, imported uint32) stackPlan {
	w := stackWalk{
		fns: fns, imported: imported, need: frames, counted: make([]bool, len(fns)), state: make([]visit, len(fns)),
	}
	for i := range fns {
		w.counted[i] = fns[i].indirect
	}
	for i := range fns {
		if w.state[i] == unseen {
			w.walk(uint32(i))
		}
	}
	plan := make(stackPlan, len(fns))
	for i := range plan {
		if w.counted[i] {
			plan[i] = w.need[i]
		}
	}
	return plan
}

type visit byte

const (
	unseen visit = iota
	open
	done
)

type stackWalk struct {
	fns      []function
	imported uint32
	need     []int64 // own frame, later with the uncounted ones below
	counted  []bool
	state    []visit
	path     []step
}

// step is a function on the path of the walk and the next of its callees to look at.
type step struct {
	fn   uint32
	next int
}

// walk visits everything below a root. It does not recurse: a guest chooses how deep its call graph is.
func (w *stackWalk) walk(root uint32) {
	w.enter(root)
	for len(w.path) > 0 {
		top := &w.path[len(w.path)-1]
		callees := w.fns[top.fn].callees
		if top.next == len(callees) {
			w.leave()
			continue
		}
		callee := callees[top.next]
		top.next++
		if callee < w.imported || callee-w.imported >= uint32(len(w.fns)) {
			continue
		}
		switch g := callee - w.imported; w.state[g] {
		case unseen:
			w.enter(g)
		case open:
			w.counted[g] = true
		}
	}
}

func (w *stackWalk) enter(g uint32) {
	w.state[g] = open
	w.path = append(w.path, step{fn: g})
}

func (w *stackWalk) leave() {
	f := w.path[len(w.path)-1].fn
	w.path = w.path[:len(w.path)-1]
	w.state[f] = done
	below := int64(0)
	for _, callee := range w.fns[f].callees {
		if g := callee - w.imported; callee >= w.imported && g < uint32(len(w.fns)) && !w.counted[g] {
			below = max(below, w.need[g])
		}
	}
	w.need[f] += below
	if w.need[f] > maxUncounted {
		w.counted[f] = true
	}
}
