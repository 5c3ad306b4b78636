package rewrite

import (
	"fmt"
	"strconv"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// Instrument returns a module that behaves as the given one does, except that it charges its work to FuelGlobal, takes
// its stack from DepthGlobal, calls the host's yield when one of them is below zero, and cannot grow beyond its
// limits. The start function becomes the export StartExport. Of the custom sections only the names stay. If there is one
// with lines, the engine will tell offsets in stack traces, for [Origins].
//
// For every module that is valid the result is valid. What it counts is a property of the module: it does not depend
// on engine or processor.
func Instrument(module []byte, o Options) ([]byte, error) {
	r, err := newRewriter(module, o)
	if err != nil {
		return nil, err
	}
	return r.instrument()
}

func newRewriter(module []byte, o Options) (*rewriter, error) {
	m, err := wasm.Decode(module, wasm.MaxCaps())
	if err != nil {
		return nil, fmt.Errorf("instrument module: %w", err)
	}
	return &rewriter{m: m, o: o.withDefaults(), blockTypes: make(map[uint32]wasm.BlockType)}, nil
}

func (r *rewriter) instrument() ([]byte, error) {
	if err := r.limit(); err != nil {
		return nil, err
	}
	fns, err := r.analyse()
	if err != nil {
		return nil, fmt.Errorf("instrument module: %w", err)
	}
	r.place()
	r.renumberAll()
	r.bodies(fns)
	r.addGlobals()
	r.addHelpers()
	r.exportStart()
	r.names()
	return r.m.Encode(), nil
}

// rewriter changes one module.
type rewriter struct {
	m          *wasm.Module
	o          Options
	e          emitter
	blockTypes map[uint32]wasm.BlockType // for signatures with several results
	moves      [][]move                  // by function; nil if nobody asks
}

// limit lowers the maximum of memory and tables.
func (r *rewriter) limit() error {
	for i := range r.m.Memories {
		if err := lower(&r.m.Memories[i], r.o.MemoryMaxPages, "memory pages"); err != nil {
			return err
		}
	}
	for i := range r.m.Tables {
		if err := lower(&r.m.Tables[i].Limits, r.o.TableMaxEntries, "table entries"); err != nil {
			return err
		}
	}
	return nil
}

func lower(l *wasm.Limits, most uint32, what string) error {
	if l.Min > most {
		return &LimitError{What: what, Got: uint64(l.Min), Max: uint64(most)}
	}
	if !l.HasMax || l.Max > most {
		l.Max, l.HasMax = most, true
	}
	return nil
}

func (r *rewriter) analyse() ([]function, error) {
	fns := make([]function, len(r.m.Bodies))
	var a analyser
	for i := range fns {
		if r.m.Functions[i] >= uint32(len(r.m.Types)) {
			return nil, fmt.Errorf("function %d: unknown type %d", i, r.m.Functions[i])
		}
		fn, err := a.run(r.m.Bodies[i].Code)
		if err != nil {
			return nil, fmt.Errorf("function %d: %w", i, err)
		}
		fns[i] = fn
	}
	return fns, nil
}

// place decides where the new things go: the import before all defined functions, the helpers behind them.
func (r *rewriter) place() {
	imported := uint32(r.m.Imported(wasm.KindFunction))
	first := imported + 1 + uint32(len(r.m.Functions))
	globals := uint32(r.m.Imported(wasm.KindGlobal) + len(r.m.Globals))
	r.e.layout = layout{
		yield: imported, refill: first, chargeBytes: first + 1, chargeEntries: first + 2, chargeMemory: first + 3,
		fuel: globals, depth: globals + 1,
	}
}

// renumberAll moves every reference to a function outside of code.
func (r *rewriter) renumberAll() {
	move := func(x *wasm.ConstExpr) {
		if x.Op == wasm.OpRefFunc {
			x.Index = r.e.renumber(x.Index)
		}
	}
	for i := range r.m.Exports {
		if x := &r.m.Exports[i]; x.Kind == wasm.KindFunction {
			x.Index = r.e.renumber(x.Index)
		}
	}
	for i := range r.m.Globals {
		move(&r.m.Globals[i].Init)
	}
	for i := range r.m.Elements {
		s := &r.m.Elements[i]
		for j, f := range s.Functions {
			s.Functions[j] = r.e.renumber(f)
		}
		for j := range s.Exprs {
			move(&s.Exprs[j])
		}
	}
	r.m.Start = r.e.renumber(r.m.Start)
}

func (r *rewriter) bodies(fns []function) {
	frames := make([]int64, len(fns))
	for i := range fns {
		frames[i] = frameBytes(r.m.Types[r.m.Functions[i]], &r.m.Bodies[i])
	}
	plan := planStack(fns, frames, uint32(r.m.Imported(wasm.KindFunction)))
	for i := range fns {
		r.body(i, &fns[i], plan[i])
	}
}

func (r *rewriter) body(i int, fn *function, frame int64) {
	b := &r.m.Bodies[i]
	j := job{code: b.Code, fn: fn, frame: frame}
	if frame > 0 {
		j.results = r.blockType(r.m.Functions[i])
	}
	r.e.moves = nil
	b.Code = r.e.function(&j)
	if r.moves != nil {
		r.moves[i] = r.e.moves
	}
}

// blockType returns the type of a block that has the results of a signature and no parameters.
func (r *rewriter) blockType(signature uint32) wasm.BlockType {
	results := r.m.Types[signature].Results
	switch len(results) {
	case 0:
		return wasm.BlockEmpty
	case 1:
		return wasm.BlockType(int8(results[0] | 0x80))
	}
	t, ok := r.blockTypes[signature]
	if !ok {
		t = wasm.BlockType(r.typeIndex(wasm.FuncType{Results: results}))
		r.blockTypes[signature] = t
	}
	return t
}

// typeIndex returns the index of a signature, adding it if need be.
func (r *rewriter) typeIndex(t wasm.FuncType) uint32 {
	for i := range r.m.Types {
		if r.m.Types[i].Equal(t) {
			return uint32(i)
		}
	}
	r.m.Types = append(r.m.Types, t)
	return uint32(len(r.m.Types) - 1)
}

func (r *rewriter) addGlobals() {
	imported := r.m.Imported(wasm.KindGlobal)
	for i, g := range r.m.Globals {
		if g.Mutable && g.Type.IsNumber() {
			r.export(GlobalPrefix+strconv.Itoa(imported+i), wasm.KindGlobal, uint32(imported+i))
		}
	}
	counter := func(v uint64) wasm.Global {
		return wasm.Global{
			GlobalType: wasm.GlobalType{Type: wasm.I64, Mutable: true},
			Init:       wasm.ConstExpr{Op: wasm.OpI64Const, Bits: [2]uint64{v}},
		}
	}
	r.m.Globals = append(r.m.Globals, counter(0), counter(uint64(r.o.StackBytes)))
	r.export(FuelGlobal, wasm.KindGlobal, r.e.fuel)
	r.export(DepthGlobal, wasm.KindGlobal, r.e.depth)
}

func (r *rewriter) export(name string, k wasm.Kind, index uint32) {
	r.m.Exports = append(r.m.Exports, wasm.Export{Name: name, Kind: k, Index: index})
}

func (r *rewriter) addHelpers() {
	r.m.Imports = append(r.m.Imports, wasm.Import{
		Module: YieldModule, Name: YieldName, Kind: wasm.KindFunction, Function: r.typeIndex(typeNothing),
	})
	r.m.CountImports()
	for _, h := range r.helpers() {
		r.e.out = nil
		h.code(&r.e)
		r.e.op(wasm.OpEnd)
		r.m.Functions = append(r.m.Functions, r.typeIndex(h.typ))
		r.m.Bodies = append(r.m.Bodies, wasm.Body{Code: r.e.out})
	}
}

func (r *rewriter) helpers() []helper {
	return helpers(r.o, len(r.m.Memories)+r.m.Imported(wasm.KindMemory) > 0)
}

func (r *rewriter) exportStart() {
	if r.m.HasStart {
		r.export(StartExport, wasm.KindFunction, r.m.Start)
		r.m.HasStart = false
	}
}

// names keeps the name section true, and nothing else: other custom sections may hold offsets into code that moved. What says
// lines is replaced by marks.
func (r *rewriter) names() {
	old, _ := r.m.Custom(wasm.NameSection)
	_, lines := r.m.Custom(LineSection)
	r.m.Customs = nil
	if lines {
		r.m.Customs = marks()
	}
	if old == nil {
		return
	}
	added := []wasm.Name{{Index: r.e.yield, Name: ReservedPrefix + YieldName}}
	for i, h := range r.helpers() {
		added = append(added, wasm.Name{Index: r.e.refill + uint32(i), Name: ReservedPrefix + h.name})
	}
	if section, err := wasm.RenumberNames(old, r.e.renumber, added); err == nil {
		r.m.Customs = append(r.m.Customs, wasm.Custom{Name: wasm.NameSection, Bytes: section})
	}
}
