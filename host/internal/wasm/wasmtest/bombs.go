package wasmtest

import (
	"strconv"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// The bombs are valid guests that cost a compiler far more than their size suggests.

// BranchBomb has one function with very many branches. 351 KiB of this kept a compiler busy for 89 seconds.
func BranchBomb(bytes int) []byte {
	once := Code{}.Index(wasm.OpLocalGet, 0).If(wasm.BlockEmpty).Index(wasm.OpLocalGet, 0).I32(1).Op(wasm.OpI32Add).
		Index(wasm.OpLocalSet, 0).End()
	return bomb(Code{}.Repeat(bytes/len(once), once))
}

// BranchBombs spreads the branches over functions, so that each alone stays below a cap.
func BranchBombs(functions, branches int) []byte {
	once := Code{}.Index(wasm.OpLocalGet, 0).If(wasm.BlockEmpty).Index(wasm.OpLocalGet, 0).I32(1).Op(wasm.OpI32Add).
		Index(wasm.OpLocalSet, 0).End()
	body := Code{}.Repeat(branches, once).I64(anyResult).End()
	g := Guest{}
	for range functions {
		g.Funcs = append(g.Funcs, Func{Type: typeCall, Code: body})
	}
	return g.Module()
}

func bomb(c Code, locals ...wasm.Locals) []byte {
	return (&Guest{Call: c.I64(anyResult).End(), CallLocals: locals}).Module()
}

// BranchTableBomb has one branch table with very many targets.
func BranchTableBomb(targets int) []byte {
	return bomb(Code{}.Block(wasm.BlockEmpty).Index(wasm.OpLocalGet, 0).BrTable(make([]uint32, targets)...).End())
}

// BranchTablesBomb has many blocks, each ending in a table with a branch to all around it.
func BranchTablesBomb(blocks int) []byte {
	labels := make([]uint32, blocks)
	for i := range labels {
		labels[i] = uint32(i)
	}
	c := Code{}.Repeat(blocks, Code{}.Block(wasm.BlockEmpty))
	for b := range blocks {
		c = c.Index(wasm.OpLocalGet, 0).BrTable(labels[:blocks-b]...).End()
	}
	return bomb(c)
}

// LocalsBomb declares very many locals.
func LocalsBomb(locals uint32) []byte { return bomb(Code{}, wasm.Locals{Count: locals, Type: i64}) }

// ManyLocalsBomb declares many locals in each of many functions.
func ManyLocalsBomb(functions int, locals uint32) []byte {
	g := Guest{}
	for range functions {
		g.Funcs = append(g.Funcs, Func{Code: Code{}.End(), Locals: []wasm.Locals{{Count: locals, Type: i64}}})
	}
	return g.Module()
}

// JoinBomb makes locals differ at the ends of nested blocks, so that a compiler needs a new value for each local at
// each.
func JoinBomb(locals uint32, blocks int) []byte {
	c := Code{}.Repeat(blocks, Code{}.Block(wasm.BlockEmpty))
	for b := range blocks {
		c = c.Index(wasm.OpLocalGet, 0).Index(wasm.OpBrIf, 0)
		for l := range locals {
			if b == 0 {
				c = c.I64(int64(l)).Index(wasm.OpLocalSet, 2+l)
			}
		}
		c = c.End()
	}
	for l := range locals {
		c = c.I32(ResponseAddress).Index(wasm.OpLocalGet, 2+l).Access(wasm.OpI64Store, 8*l)
	}
	return bomb(c, wasm.Locals{Count: locals, Type: i64})
}

// NestingBomb nests blocks very deep.
func NestingBomb(depth int) []byte {
	return bomb(Code{}.Repeat(depth, Code{}.Block(wasm.BlockEmpty)).Repeat(depth, Code{}.End()))
}

// TypesBomb declares very many types.
func TypesBomb(types int) []byte {
	g := Guest{Types: make([]wasm.FuncType, 0, types)}
	for i := range types {
		params := []wasm.ValueType{i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32}
		for b := range params {
			if i>>b&1 != 0 {
				params[b] = i64
			}
		}
		g.Types = append(g.Types, wasm.FuncType{Params: params})
	}
	return g.Module()
}

// ResultsBomb calls a function with many results again and again and drops them by a branch, which takes few bytes.
func ResultsBomb(results, calls int) []byte {
	g := Guest{}
	t := wasm.FuncType{Results: make([]wasm.ValueType, results)}
	c := Code{}
	for i := range t.Results {
		t.Results[i] = i32
		c = c.I32(0)
	}
	once := Code{}.Block(wasm.BlockEmpty).Index(wasm.OpCall, g.FirstFunc()).Index(wasm.OpBr, 0).End()
	g.Funcs = []Func{{Type: t, Code: c.End()}}
	g.Call = Code{}.Repeat(calls, once).I64(anyResult).End()
	return g.Module()
}

// FunctionsBomb has very many empty functions.
func FunctionsBomb(functions int) []byte {
	g := Guest{}
	for range functions {
		g.Funcs = append(g.Funcs, Func{Code: Code{}.End()})
	}
	return g.Module()
}

// ExportsBomb exports one function under very many names.
func ExportsBomb(exports int) []byte {
	m := (&Guest{}).Build()
	for i := range exports {
		m.Exports = append(m.Exports, wasm.Export{Name: "e" + strconv.Itoa(i), Kind: wasm.KindFunction})
	}
	return m.Encode()
}

// TableBomb has a table with very many entries from the start.
func TableBomb(entries uint32) []byte {
	m := (&Guest{}).Build()
	m.Tables = []wasm.TableType{{Element: wasm.FuncRef, Limits: wasm.Limits{Min: entries}}}
	return m.Encode()
}

// GlobalsBomb calls a function again and again in a module with many mutable globals, each of which an engine may load
// again after each call.
func GlobalsBomb(globals, calls int) []byte {
	g := Guest{}
	for range globals {
		g.Globals = append(g.Globals, wasm.Global{
			GlobalType: wasm.GlobalType{Type: i64, Mutable: true}, Init: wasm.ConstExpr{Op: wasm.OpI64Const},
		})
	}
	g.Funcs = []Func{{Code: Code{}.End()}}
	g.Call = Code{}.Repeat(calls, Code{}.Index(wasm.OpCall, g.FirstFunc())).I64(anyResult).End()
	return g.Module()
}

// LoopBomb nests loops that all change the same locals. 20 KiB of this kept a compiler busy for 18 seconds.
func LoopBomb(loops int, locals uint32) []byte {
	c := Code{}
	change := func(i int) {
		l := 2 + uint32(i)%locals
		c = c.Index(wasm.OpLocalGet, l).I64(1).Op(wasm.OpI64Add).Index(wasm.OpLocalSet, l)
	}
	for i := range loops {
		c = c.Loop(wasm.BlockEmpty)
		change(i)
	}
	for i := range int(locals) {
		change(i)
	}
	for i := range loops {
		change(i)
		c = c.Index(wasm.OpLocalGet, 0).Index(wasm.OpBrIf, 0).End()
	}
	return bomb(c, wasm.Locals{Count: locals, Type: i64})
}

// FillBomb has one function with very many memory.fill, which an engine turns into loops.
func FillBomb(fills int) []byte {
	return bomb(Code{}.Repeat(fills, Code{}.I32(0).I32(0).I32(0).Memory(wasm.OpMemoryFill, 1)))
}
