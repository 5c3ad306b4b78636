package rewrite_test

import (
	"strconv"

	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
)

// generate makes a valid module out of any bytes: functions that call each other directly and through a table, nested
// blocks and loops with branches in all directions, memory, globals, bulk operations, traps. It always ends, as every
// call and every turn of a loop takes one from a global and traps at zero. bulk says whether it may use instructions
// that are charged by length.
func generate(entropy []byte, bulk bool) *wasm.Module {
	g := generator{entropy: entropy, bulk: bulk}
	for range 2 + g.pick(5) {
		g.types = append(g.types, wasm.FuncType{Params: g.valueTypes(3), Results: g.valueTypes(2)})
	}
	for range 2 + g.pick(4) {
		g.funcs = append(g.funcs, uint32(g.pick(len(g.types))))
	}
	m := &wasm.Module{Types: g.types, Functions: g.funcs}
	for i, t := range g.funcs {
		m.Bodies = append(m.Bodies, g.body(g.types[t]))
		m.Exports = append(m.Exports, wasm.Export{Name: "f" + strconv.Itoa(i), Kind: wasm.KindFunction, Index: uint32(i)})
	}
	m.Types = g.types
	m.Memories = []wasm.Limits{{Min: 1, Max: 3, HasMax: true}}
	m.Exports = append(m.Exports, wasm.Export{Name: "memory", Kind: wasm.KindMemory})
	m.Tables = []wasm.TableType{{Element: wasm.FuncRef, Limits: wasm.Limits{Min: 8, Max: 12, HasMax: true}}}
	m.Elements = []wasm.Element{
		{Type: wasm.FuncRef, Offset: wasm.ConstExpr{Op: wasm.OpI32Const}, Functions: allOf(g.funcs)},
		{Mode: wasm.Passive, Type: wasm.FuncRef, ByExpr: true, Exprs: []wasm.ConstExpr{
			{Op: wasm.OpRefFunc, Index: 1}, {Op: wasm.OpRefNull, Index: uint32(wasm.FuncRef)}, {Op: wasm.OpRefFunc},
		}},
	}
	m.Data = []wasm.Data{{Offset: wasm.ConstExpr{Op: wasm.OpI32Const, Bits: [2]uint64{3}}, Bytes: []byte("active")}, {
		Mode: wasm.Passive, Bytes: []byte("passive bytes"),
	}}
	m.DataCount = true
	for i, t := range globalTypes {
		init := wasm.ConstExpr{Op: constOf(t)}
		if i == budgetGlobal {
			init.Bits[0] = 300
		}
		m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: t, Mutable: true}, Init: init})
		m.Exports = append(m.Exports, wasm.Export{Name: "g" + strconv.Itoa(i), Kind: wasm.KindGlobal, Index: uint32(i)})
	}
	return m
}

const budgetGlobal = 0

var globalTypes = []wasm.ValueType{wasm.I32, wasm.I32, wasm.I64, wasm.F32, wasm.F64}

func constOf(t wasm.ValueType) wasm.Op {
	return map[wasm.ValueType]wasm.Op{
		wasm.I32: wasm.OpI32Const, wasm.I64: wasm.OpI64Const, wasm.F32: wasm.OpF32Const, wasm.F64: wasm.OpF64Const,
	}[t]
}

func allOf(funcs []uint32) []uint32 {
	out := make([]uint32, len(funcs))
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

type generator struct {
	entropy []byte
	at      int
	bulk    bool
	types   []wasm.FuncType
	funcs   []uint32

	c      wasmtest.Code
	locals []wasm.ValueType
	labels [][]wasm.ValueType // what a branch to each open construct takes
}

// pick returns a number below n; once the entropy is used up always 0, which everywhere stands for the simplest choice.
func (g *generator) pick(n int) int {
	if g.at >= len(g.entropy) {
		return 0
	}
	b := g.entropy[g.at]
	g.at++
	return int(b) % n
}

func (g *generator) valueTypes(most int) (ts []wasm.ValueType) {
	for range g.pick(most + 1) {
		ts = append(ts, g.valueType())
	}
	return ts
}

func (g *generator) valueType() wasm.ValueType {
	return []wasm.ValueType{wasm.I32, wasm.I32, wasm.I64, wasm.F64, wasm.F32}[g.pick(5)]
}

func (g *generator) body(t wasm.FuncType) wasm.Body {
	own := append(g.valueTypes(4), wasm.I32, wasm.I64)
	var b wasm.Body
	for _, l := range own {
		b.Locals = append(b.Locals, wasm.Locals{Count: 1, Type: l})
	}
	g.c, g.locals, g.labels = nil, append(append([]wasm.ValueType{}, t.Params...), own...), [][]wasm.ValueType{t.Results}
	g.sequence(4, t.Results)
	b.Code = g.c.End()
	return b
}

// spend takes one from the budget and traps when it is gone.
func (g *generator) spend() {
	g.c = g.c.Index(wasm.OpGlobalGet, budgetGlobal).I32(1).Op(wasm.OpI32Sub).Index(wasm.OpGlobalSet, budgetGlobal).
		Index(wasm.OpGlobalGet, budgetGlobal).Op(wasm.OpI32Eqz).If(wasm.BlockEmpty).Op(wasm.OpUnreachable).End()
}

// sequence writes statements and then pushes results, unless a branch ends it first.
func (g *generator) sequence(depth int, results []wasm.ValueType) {
	for range g.pick(6) {
		if g.statement(depth) {
			return
		}
	}
	g.push(results, depth)
}

func (g *generator) push(ts []wasm.ValueType, depth int) {
	for _, t := range ts {
		g.expr(t, depth)
	}
}

func (g *generator) pop(ts []wasm.ValueType) {
	for i := len(ts) - 1; i >= 0; i-- {
		if l, ok := g.local(ts[i]); ok && g.pick(2) == 1 {
			g.c = g.c.Index(wasm.OpLocalSet, l)
		} else {
			g.c = g.c.Op(wasm.OpDrop)
		}
	}
}

func (g *generator) local(t wasm.ValueType) (uint32, bool) {
	from := g.pick(len(g.locals))
	for i := range g.locals {
		if j := (from + i) % len(g.locals); g.locals[j] == t {
			return uint32(j), true
		}
	}
	return 0, false
}

func (g *generator) blockType(params, results []wasm.ValueType) wasm.BlockType {
	switch {
	case len(params) == 0 && len(results) == 0:
		return wasm.BlockEmpty
	case len(params) == 0 && len(results) == 1:
		return wasmtest.BlockOf(results[0])
	}
	g.types = append(g.types, wasm.FuncType{Params: params, Results: results})
	return wasm.BlockType(len(g.types) - 1)
}

// statement leaves the stack as it was; it reports whether the rest of the sequence is unreachable.
func (g *generator) statement(depth int) (ends bool) {
	if depth <= 0 {
		return g.simple(0)
	}
	switch g.pick(12) {
	case 0, 1, 2:
		return g.simple(depth)
	case 3, 4:
		g.construct(wasm.OpBlock, depth)
	case 5, 6:
		g.construct(wasm.OpLoop, depth)
	case 7, 8:
		g.construct(wasm.OpIf, depth)
	case 9:
		g.branchIf(depth)
	case 10:
		g.call(depth)
	case 11:
		return g.leave(depth)
	}
	return false
}

func (g *generator) construct(op wasm.Op, depth int) {
	params, results := g.valueTypes(1), g.valueTypes(2)
	g.push(params, depth-1)
	if op == wasm.OpIf {
		g.expr(wasm.I32, depth-1)
	}
	g.c = wasm.AppendSigned(wasm.AppendOp(g.c, op), int64(g.blockType(params, results)))
	label := results
	if op == wasm.OpLoop {
		label = params
	}
	g.labels = append(g.labels, label)
	if op == wasm.OpLoop {
		g.spend()
	}
	g.pop(params)
	g.sequence(depth-1, results)
	if op == wasm.OpIf && (len(results) > 0 || len(params) > 0 || g.pick(2) == 1) {
		g.c = g.c.Op(wasm.OpElse)
		g.pop(params)
		g.sequence(depth-1, results)
	}
	g.labels = g.labels[:len(g.labels)-1]
	g.c = g.c.End()
	g.pop(results)
}

func (g *generator) label() uint32 { return uint32(g.pick(len(g.labels))) }

func (g *generator) labelTypes(l uint32) []wasm.ValueType { return g.labels[len(g.labels)-1-int(l)] }

func (g *generator) branchIf(depth int) {
	l := g.label()
	g.push(g.labelTypes(l), depth-1)
	g.expr(wasm.I32, depth-1)
	g.c = g.c.Index(wasm.OpBrIf, l)
	g.pop(g.labelTypes(l))
}

// leave writes something that ends the sequence.
func (g *generator) leave(depth int) bool {
	switch g.pick(5) {
	case 0:
		g.push(g.labels[0], depth-1)
		g.c = g.c.Op(wasm.OpReturn)
	case 1, 2:
		l := g.label()
		g.push(g.labelTypes(l), depth-1)
		g.c = g.c.Index(wasm.OpBr, l)
	case 3:
		l := g.label()
		table := []uint32{l}
		for i := range g.labels {
			if sameTypes(g.labelTypes(uint32(i)), g.labelTypes(l)) && g.pick(2) == 1 {
				table = append(table, uint32(i))
			}
		}
		g.push(g.labelTypes(l), depth-1)
		g.expr(wasm.I32, depth-1)
		g.c = g.c.BrTable(table...)
	case 4:
		if g.pick(4) > 0 {
			return false
		}
		g.c = g.c.Op(wasm.OpUnreachable)
	}
	return true
}

func sameTypes(a, b []wasm.ValueType) bool {
	return wasm.FuncType{Params: a}.Equal(wasm.FuncType{Params: b})
}

func (g *generator) call(depth int) {
	f := g.pick(len(g.funcs))
	t := g.types[g.funcs[f]]
	g.spend()
	g.push(t.Params, depth-1)
	if g.pick(3) == 0 {
		g.c = g.c.I32(int32(g.pick(len(g.funcs)+1))).Index(wasm.OpCallIndirect, g.funcs[f], 0)
	} else {
		g.c = g.c.Index(wasm.OpCall, uint32(f))
	}
	g.pop(t.Results)
}

// simple writes a statement without constructs.
func (g *generator) simple(depth int) bool {
	most := 6
	if g.bulk {
		most = 16
	}
	switch k := g.pick(most); k {
	case 0, 1:
		l := g.pick(len(g.locals))
		g.expr(g.locals[l], depth)
		g.c = g.c.Index(wasm.OpLocalSet, uint32(l))
	case 2:
		i := 1 + g.pick(len(globalTypes)-1)
		g.expr(globalTypes[i], depth)
		g.c = g.c.Index(wasm.OpGlobalSet, uint32(i))
	case 3:
		g.address(depth)
		g.expr(wasm.I32, depth)
		g.c = g.c.Access(wasm.OpI32Store, uint32(g.pick(64)))
	case 4:
		g.address(depth)
		g.expr(wasm.I64, depth)
		g.c = g.c.Access(wasm.OpI64Store, uint32(g.pick(64)))
	case 5:
		g.c = g.c.Op(wasm.OpNop)
	default:
		g.bulkStatement(k, depth)
	}
	return false
}

// bulkStatement writes an instruction that is charged by length; sometimes it fails or traps.
func (g *generator) bulkStatement(k, depth int) {
	length := func() { g.c = g.c.I32(int32(g.pick(40))) }
	switch k {
	case 6, 7:
		g.c = g.c.I32(int32(g.pick(4))).Memory(wasm.OpMemoryGrow, 1).Index(wasm.OpGlobalSet, 1)
	case 8:
		g.address(depth)
		g.expr(wasm.I32, depth)
		length()
		g.c = g.c.Memory(wasm.OpMemoryFill, 1)
	case 9:
		g.address(depth)
		g.address(depth)
		length()
		g.c = g.c.Memory(wasm.OpMemoryCopy, 2)
	case 10:
		g.address(depth)
		g.c = g.c.I32(int32(g.pick(16)))
		length()
		g.c = append(g.c.Index(wasm.OpMemoryInit, 1), 0)
	case 11:
		g.c = g.c.I32(int32(g.pick(9))).Index(wasm.OpRefFunc, uint32(g.pick(len(g.funcs)))).Index(wasm.OpTableSet, 0)
	case 12:
		g.c = g.c.Index(wasm.OpRefFunc, uint32(g.pick(len(g.funcs)))).I32(int32(g.pick(3))).
			Index(wasm.OpTableGrow, 0).Index(wasm.OpGlobalSet, 1)
	case 13:
		g.c = g.c.I32(int32(g.pick(8))).Index(wasm.OpRefFunc, uint32(g.pick(len(g.funcs)))).I32(int32(g.pick(5))).
			Index(wasm.OpTableFill, 0)
	case 14:
		g.c = g.c.I32(int32(g.pick(8))).I32(int32(g.pick(8))).I32(int32(g.pick(5))).Index(wasm.OpTableCopy, 0, 0)
	case 15:
		g.c = g.c.I32(int32(g.pick(8))).I32(int32(g.pick(3))).I32(int32(g.pick(4))).Index(wasm.OpTableInit, 1, 0)
	}
}

// address pushes one that is nearly always inside of the memory.
func (g *generator) address(depth int) {
	g.expr(wasm.I32, depth-1)
	if g.pick(16) != 15 {
		g.c = g.c.I32(0x7fff).Op(wasm.OpI32And)
	}
}

var binary = map[wasm.ValueType][]wasm.Op{
	wasm.I32: {
		wasm.OpI32Add, wasm.OpI32Sub, wasm.OpI32Mul, wasm.OpI32And, wasm.OpI32Or, wasm.OpI32Xor, wasm.OpI32Shl, wasm.OpI32ShrU,
		wasm.OpI32LtU, wasm.OpI32DivS, wasm.OpI32RemU,
	},
	wasm.I64: {
		wasm.OpI64Add, wasm.OpI64Sub, wasm.OpI64Mul, wasm.OpI64And, wasm.OpI64Or, wasm.OpI64Xor, wasm.OpI64Shl, wasm.OpI64ShrU,
		wasm.OpI64DivU, wasm.OpI64RemS,
	},
	wasm.F32: {0x92, 0x93, 0x94, wasm.OpF32Div, 0x96, 0x97},
	wasm.F64: {wasm.OpF64Add, 0xa1, wasm.OpF64Mul, wasm.OpF64Div, 0xa4, 0xa5},
}

// expr pushes one value of type t.
func (g *generator) expr(t wasm.ValueType, depth int) {
	if depth <= 0 {
		g.leaf(t)
		return
	}
	switch g.pick(9) {
	case 0, 1, 2:
		g.leaf(t)
	case 3, 4:
		g.expr(t, depth-1)
		g.expr(t, depth-1)
		ops := binary[t]
		g.c = g.c.Op(ops[g.pick(len(ops))])
	case 5:
		g.expr(t, depth-1)
		g.expr(t, depth-1)
		g.expr(wasm.I32, depth-1)
		g.c = g.c.Op(wasm.OpSelect)
	case 6:
		g.expr(t, depth-1)
		if l, ok := g.local(t); ok {
			g.c = g.c.Index(wasm.OpLocalTee, l)
		}
	case 7:
		g.convert(t, depth)
	case 8:
		g.c = g.c.Block(wasmtest.BlockOf(t))
		g.labels = append(g.labels, []wasm.ValueType{t})
		g.sequence(depth-1, []wasm.ValueType{t})
		g.labels = g.labels[:len(g.labels)-1]
		g.c = g.c.End()
	}
}

func (g *generator) leaf(t wasm.ValueType) {
	if l, ok := g.local(t); ok && g.pick(2) == 1 {
		g.c = g.c.Index(wasm.OpLocalGet, l)
		return
	}
	switch t {
	case wasm.I32:
		g.c = g.c.I32(int32(int8(g.pick(256))))
	case wasm.I64:
		g.c = g.c.I64(int64(int8(g.pick(256))))
	case wasm.F32:
		g.c = g.c.F32(float32(g.pick(7)) / 2)
	case wasm.F64:
		g.c = g.c.F64(float64(g.pick(9)) / 4)
	}
}

// convert pushes a value made from another type, from memory or from a global.
func (g *generator) convert(t wasm.ValueType, depth int) {
	from := func(s wasm.ValueType, op wasm.Op) {
		g.expr(s, depth-1)
		g.c = g.c.Op(op)
	}
	switch t {
	case wasm.I32:
		switch g.pick(4) {
		case 0:
			from(wasm.I64, wasm.OpI32WrapI64)
		case 1:
			g.address(depth)
			g.c = g.c.Access(wasm.OpI32Load, 4)
		case 2:
			g.c = g.c.Memory(wasm.OpMemorySize, 1)
		case 3:
			from(wasm.F64, 0xaa) // i32.trunc_f64_s, may trap
		}
	case wasm.I64:
		from(wasm.I32, wasm.OpI64ExtendI32)
	case wasm.F32:
		from(wasm.F64, 0xb6)
	case wasm.F64:
		from(wasm.I32, 0xb7)
	}
}
