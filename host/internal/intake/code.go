package intake

import (
	"fmt"
	"math"
	"time"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
)

// controlOfBulk is how many control instructions one bulk instruction counts as: the engine makes loops and checks of
// it.
const controlOfBulk = 4

// scanner walks the code of all functions once.
type scanner struct {
	m      *wasm.Module
	caps   Caps
	s      *Summary
	space  space
	labels []label // of the constructs that are open
	locals uint32  // of the function, parameters included
	reload int     // mutable globals, which the engine loads again after each call

	control    int // of the function
	loops      int // that are open
	deepest    int // nesting of loops in the function
	loopDepths int // sum over the loops of the function of how deep each is nested in loops
}

// space has the sizes of the index spaces.
type space struct {
	functions, types, globals, tables, elements, data uint32
	arity                                             []int // of each function: parameters and results
}

// label is what a branch to a construct hands over, and what its end does.
type label struct {
	op     wasm.Op
	branch int
	end    int
}

func checkCode(m *wasm.Module, c Caps, s *Summary) error {
	k := scanner{m: m, caps: c, s: s, space: space{
		functions: uint32(m.Imported(wasm.KindFunction) + len(m.Functions)),
		types:     uint32(len(m.Types)),
		globals:   uint32(m.Imported(wasm.KindGlobal) + len(m.Globals)),
		tables:    uint32(m.Imported(wasm.KindTable) + len(m.Tables)),
		elements:  uint32(len(m.Elements)),
		data:      uint32(len(m.Data)),
	}}
	k.space.arity, k.reload = arities(m), mutables(m)
	for i := range m.Bodies {
		if r := k.function(i); r != nil {
			r.What = fmt.Sprintf("function %d: %s", m.Imported(wasm.KindFunction)+i, r.What)
			return r
		}
	}
	return nil
}

func arities(m *wasm.Module) []int {
	out := make([]int, 0, m.Imported(wasm.KindFunction)+len(m.Functions))
	add := func(t uint32) { out = append(out, len(m.Types[t].Params)+len(m.Types[t].Results)) }
	for i := range m.Imports {
		if m.Imports[i].Kind == wasm.KindFunction {
			add(m.Imports[i].Function)
		}
	}
	for _, t := range m.Functions {
		add(t)
	}
	return out
}

// mutables counts mutable globals, among them the two of the host.
func mutables(m *wasm.Module) int {
	n := 2
	for _, g := range m.Globals {
		if g.Mutable {
			n++
		}
	}
	return n
}

func (k *scanner) function(i int) *Refusal {
	b, t := &k.m.Bodies[i], k.m.Types[k.m.Functions[i]]
	k.locals, k.control, k.loops, k.deepest, k.loopDepths = uint32(len(t.Params)), 0, 0, 0, 0
	before := k.s.Work
	for _, l := range b.Locals {
		k.locals += l.Count
	}
	k.labels = append(k.labels[:0], label{op: wasm.OpBlock, branch: len(t.Results), end: len(t.Results)})
	it := wasm.NewCode(b.Code, 0, k.caps.Module.BranchTargets)
	var in wasm.Instruction
	for it.Next(&in) {
		if len(k.labels) == 0 {
			return malformed(fmt.Sprintf("instructions after its end, at byte %d of its code", in.Start))
		}
		if what := k.instruction(&in); what != "" {
			return malformed(fmt.Sprintf("%s at byte %d of its code", what, in.Start))
		}
		if r := k.within(); r != nil {
			return r
		}
	}
	if err := it.Err(); err != nil {
		return refusalOf(err)
	}
	if len(k.labels) != 0 {
		return malformed("end of function expected")
	}
	return k.total(k.s.Work - before)
}

// within compares the function so far with the caps, so that a bomb costs no more than the caps.
func (k *scanner) within() *Refusal {
	switch {
	case k.control > k.caps.ControlInstructions:
		return tooComplex(fmt.Sprintf("it has more than %d control instructions", k.caps.ControlInstructions))
	case len(k.labels) > k.caps.Nesting:
		return tooComplex(fmt.Sprintf("it nests blocks deeper than %d", k.caps.Nesting))
	case k.s.Work > k.caps.Work:
		return tooComplex(fmt.Sprintf("with it, code moves more than %d values", k.caps.Work))
	}
	return nil
}

// Nanoseconds of one core that a compiler needs; RATIONALE.md has the measurements behind them.
const (
	nsPerFunction = 10_000
	nsPerWork     = 300
	nsPerLocal    = 20
	nsPerJoin     = 100 // for each local at each control instruction
	nsPerJoinPair = 1.5 // for each pair of locals at each control instruction
	nsPerLoopPair = 4   // for each pair of locals at each loop and each loop around it
)

// compileTime estimates the time to compile a function.
func (k *scanner) compileTime(work int) time.Duration {
	c, l := float64(k.control), float64(k.locals)
	ns := nsPerFunction + nsPerWork*float64(work) + nsPerLocal*l + c*c*math.Sqrt(c) +
		nsPerJoin*l*c + nsPerJoinPair*l*l*c + nsPerLoopPair*l*l*float64(k.loopDepths)
	return time.Duration(min(ns, float64(time.Hour)))
}

// total adds the estimate for a whole function to that for the module so far.
func (k *scanner) total(work int) *Refusal {
	k.s.ControlInstructions += k.control
	k.s.CompileTime += k.compileTime(work)
	if k.s.CompileTime > k.caps.CompileTime {
		return tooComplex(fmt.Sprintf(
			"with its %d control instructions, %d locals and loops up to %d deep, compiling is estimated to take more than %v",
			k.control, k.locals, k.deepest, k.caps.CompileTime))
	}
	return nil
}

// instruction looks at one instruction and returns what is wrong with it.
func (k *scanner) instruction(in *wasm.Instruction) string {
	k.s.Work++
	if in.Op < 0x20 {
		return k.controlInstruction(in)
	}
	if rewrite.ChangesHiddenState(in.Op) && k.s.Unfreezable == "" {
		k.s.Unfreezable = "code uses instruction " + in.Op.String()
	}
	if rewrite.ChargedByLength(in.Op) {
		k.control += controlOfBulk
		k.s.Work += k.reload
	}
	switch in.Op {
	case wasm.OpLocalGet, wasm.OpLocalSet, wasm.OpLocalTee:
		return known("local", in.A, k.locals)
	case wasm.OpGlobalGet, wasm.OpGlobalSet:
		return known("global", in.A, k.space.globals)
	case wasm.OpTableGet, wasm.OpTableSet, wasm.OpTableGrow, wasm.OpTableSize, wasm.OpTableFill:
		return known("table", in.A, k.space.tables)
	case wasm.OpRefFunc:
		return known("function", in.A, k.space.functions)
	case wasm.OpMemoryInit, wasm.OpDataDrop:
		if !k.m.DataCount {
			return "data count section required"
		}
		return known("data segment", in.A, k.space.data)
	case wasm.OpElemDrop:
		return known("element segment", in.A, k.space.elements)
	case wasm.OpTableInit:
		return first(known("element segment", in.A, k.space.elements), known("table", in.B, k.space.tables))
	case wasm.OpTableCopy:
		return first(known("table", in.A, k.space.tables), known("table", in.B, k.space.tables))
	}
	return ""
}

func known(what string, i, n uint32) string {
	if i < n {
		return ""
	}
	return fmt.Sprintf("unknown %s %d", what, i)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (k *scanner) controlInstruction(in *wasm.Instruction) string {
	switch in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		return k.begin(in)
	case wasm.OpElse:
		return k.otherwise()
	case wasm.OpEnd:
		k.end()
	case wasm.OpBr, wasm.OpBrIf:
		return k.branch(in.A)
	case wasm.OpBrTable:
		for _, l := range in.Labels {
			if what := k.branch(l); what != "" {
				return what
			}
		}
	case wasm.OpReturn:
		return k.branch(uint32(len(k.labels) - 1))
	case wasm.OpCall:
		if in.A < k.space.functions {
			k.s.Work += k.space.arity[in.A] + k.reload
		}
		return known("function", in.A, k.space.functions)
	case wasm.OpCallIndirect:
		if in.A < k.space.types {
			k.s.Work += len(k.m.Types[in.A].Params) + len(k.m.Types[in.A].Results) + k.reload
		}
		k.control++ // an engine compares table, type and null
		return first(known("type", in.A, k.space.types), known("table", in.B, k.space.tables))
	}
	return ""
}

// begin opens a construct. A loop counts twice, as the check of fuel at its head is a branch too.
func (k *scanner) begin(in *wasm.Instruction) string {
	l := label{op: in.Op}
	if i, ok := in.Block.Index(); ok {
		if what := known("type", i, k.space.types); what != "" {
			return what
		}
		l.branch, l.end = len(k.m.Types[i].Results), len(k.m.Types[i].Results)
		k.s.Work += len(k.m.Types[i].Params)
		if in.Op == wasm.OpLoop {
			l.branch = len(k.m.Types[i].Params)
		}
	} else if _, one := in.Block.Result(); one {
		l.end = 1
		if in.Op != wasm.OpLoop {
			l.branch = 1
		}
	}
	k.control++
	if in.Op == wasm.OpLoop {
		k.control++
		k.loops++
		k.loopDepths += k.loops
		k.deepest = max(k.deepest, k.loops)
	}
	k.labels = append(k.labels, l)
	return ""
}

func (k *scanner) end() {
	l := k.labels[len(k.labels)-1]
	k.labels = k.labels[:len(k.labels)-1]
	k.s.Work += l.end
	if l.op == wasm.OpLoop {
		k.loops--
	}
}

func (k *scanner) otherwise() string {
	l := &k.labels[len(k.labels)-1]
	if l.op != wasm.OpIf {
		return "else without if"
	}
	l.op = wasm.OpElse
	k.control++
	k.s.Work += l.end
	return ""
}

func (k *scanner) branch(to uint32) string {
	if uint64(to) >= uint64(len(k.labels)) {
		return fmt.Sprintf("unknown label %d", to)
	}
	k.control++
	k.s.Work += k.labels[len(k.labels)-1-int(to)].branch
	return ""
}
