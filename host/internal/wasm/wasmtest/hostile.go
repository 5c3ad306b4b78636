package wasmtest

import (
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

const (
	anyResult = 0
)

// EndlessLoop never returns.
func EndlessLoop() []byte {
	return (&Guest{Call: endlessLoop().I64(anyResult).End()}).Module()
}

func endlessLoop() Code {
	return Code{}.Loop(wasm.BlockEmpty).Index(wasm.OpBr, 0).End()
}

// EndlessRecursion calls itself for ever and has no loop.
func EndlessRecursion() []byte {
	g := Guest{}
	g.Call = Code{}.Index(wasm.OpLocalGet, 0).Index(wasm.OpLocalGet, 1).Index(wasm.OpCall, g.CallFunc()).
		I64(1).Op(wasm.OpI64Add).End()
	return g.Module()
}

// EndlessIndirectRecursion is EndlessRecursion through a table.
func EndlessIndirectRecursion() []byte {
	g := Guest{Table: []uint32{2}}
	g.Call = Code{}.Index(wasm.OpLocalGet, 0).Index(wasm.OpLocalGet, 1).I32(0).
		Index(wasm.OpCallIndirect, g.TypeIndex(typeCall), 0).I64(1).Op(wasm.OpI64Add).End()
	return g.Module()
}

// EndlessMutualRecursion is EndlessRecursion through n functions that call each other in a ring.
func EndlessMutualRecursion(n int) []byte {
	g := Guest{}
	next := func(i int) Code {
		return Code{}.Index(wasm.OpLocalGet, 0).Index(wasm.OpLocalGet, 1).
			Index(wasm.OpCall, g.FirstFunc()+uint32(i%n)).I64(1).Op(wasm.OpI64Add).End()
	}
	g.Call = next(0)
	for i := range n {
		g.Funcs = append(g.Funcs, Func{Type: typeCall, Code: next(i + 1)})
	}
	return g.Module()
}

// CallTree runs exponentially long without loop and with little stack: each of depth functions calls the next one
// twice.
func CallTree(depth int) []byte {
	g := Guest{}
	call := func(i int) Code {
		return Code{}.Index(wasm.OpLocalGet, 0).Index(wasm.OpLocalGet, 1).Index(wasm.OpCall, g.FirstFunc()+uint32(i))
	}
	g.Call = append(call(0), Code{}.End()...)
	for i := range depth {
		body := Code{}.I64(1).End()
		if i < depth-1 {
			body = append(append(call(i+1), call(i+1)...), Code{}.Op(wasm.OpI64Add).End()...)
		}
		g.Funcs = append(g.Funcs, Func{Type: typeCall, Code: body})
	}
	return g.Module()
}

// DeepStack recurses with large frames inside one page of memory: values that live across the call, beyond the locals.
func DeepStack(values int) []byte {
	g := Guest{}
	c := Code{}
	for range values {
		c = c.Index(wasm.OpLocalGet, 0).Index(wasm.OpLocalGet, 1).Op(wasm.OpI32Add).Index(wasm.OpLocalTee, 0)
	}
	c = c.Index(wasm.OpLocalGet, 0).Index(wasm.OpLocalGet, 1).Index(wasm.OpCall, g.CallFunc()).Op(wasm.OpI32WrapI64)
	for range values {
		c = c.Op(wasm.OpI32Add)
	}
	g.Call = c.Op(wasm.OpI64ExtendI32).End()
	return g.Module()
}

// MemoryGrowth grows its memory page by page until that fails, writes to each page, and answers with StatusOK.
func MemoryGrowth() []byte {
	return (&Guest{Call: Code{}.Loop(wasm.BlockEmpty).
		I32(1).Memory(wasm.OpMemoryGrow, 1).I32(-1).Op(wasm.OpI32Sub).If(wasm.BlockEmpty).
		Memory(wasm.OpMemorySize, 1).I32(16).Op(wasm.OpI32Shl).I32(65536).Op(wasm.OpI32Sub).I32(1).
		Access(wasm.OpI32Store, 0).Index(wasm.OpBr, 1).End().End().I64(anyResult).End()}).Module()
}

// MemoryFill fills its memory again and again, so that nearly all its time is inside one instruction.
func MemoryFill(pages uint32) []byte {
	return (&Guest{Pages: pages, Call: Code{}.Loop(wasm.BlockEmpty).
		I32(0).I32(0).I32(int32(pages<<16)).Memory(wasm.OpMemoryFill, 1).Index(wasm.OpBr, 0).End().
		I64(anyResult).End()}).Module()
}

// LargeInitialMemory declares more memory than it should get.
func LargeInitialMemory(pages uint32) []byte { return (&Guest{Pages: pages}).Module() }

// HugeOutput claims a response that is longer than its window.
func HugeOutput(length uint32) []byte {
	return (&Guest{Call: Code{}.I64(int64(length)).End()}).Module()
}

// WindowOutside has a window record with an address outside of its memory.
func WindowOutside() []byte {
	return (&Guest{Record: &[4]uint32{0xffff_0000, RequestBytes, ResponseAddress, ResponseBytes}}).Module()
}

// WindowRecordOutside returns an address for the record itself that is outside of its memory.
func WindowRecordOutside() []byte {
	return (&Guest{Window: Code{}.I32(-8).End()}).Module()
}

// WindowsOverlap has a request window that covers its response window.
func WindowsOverlap() []byte {
	return (&Guest{Record: &[4]uint32{RequestAddress, RequestBytes, RequestAddress + 8, ResponseBytes}}).Module()
}

// HostCallFlood calls the host's call for ever.
func HostCallFlood() []byte {
	g := Guest{}
	call := g.ImportHost(wasmabi.ImportCall)
	return g.flood(Code{}.I32(0).I32(0).I32(RequestAddress).I32(16).I32(ResponseAddress).I32(16).
		Index(wasm.OpCall, call).Op(wasm.OpDrop))
}

// LogFlood logs for ever, length bytes each time.
func LogFlood(length int32) []byte {
	g := Guest{}
	log := g.ImportHost(wasmabi.ImportLog)
	return g.flood(Code{}.I32(0).I32(RequestAddress).I32(length).Index(wasm.OpCall, log))
}

// RandomFlood asks for random bytes for ever.
func RandomFlood(length int32) []byte {
	g := Guest{}
	random := g.ImportHost(wasmabi.ImportRandom)
	return g.flood(Code{}.I32(RequestAddress).I32(length).Index(wasm.OpCall, random))
}

// MetricFlood reports metrics for ever.
func MetricFlood() []byte {
	g := Guest{}
	metric := g.ImportHost(wasmabi.ImportMetric)
	return g.flood(Code{}.I32(0).I64(0).Index(wasm.OpCall, metric))
}

func (g *Guest) flood(once Code) []byte {
	g.Call = append(Code{}.Loop(wasm.BlockEmpty), once...).Index(wasm.OpBr, 0).End().I64(anyResult).End()
	return g.Module()
}

// HostPointerOutside passes an address outside of its memory to the host's log.
func HostPointerOutside() []byte {
	g := Guest{}
	log := g.ImportHost(wasmabi.ImportLog)
	g.Call = Code{}.I32(0).I32(-4).I32(64).Index(wasm.OpCall, log).I64(anyResult).End()
	return g.Module()
}

// TrapIn traps in the given operation and answers all others.
func TrapIn(op wasmabi.Op) []byte {
	return (&Guest{Call: Code{}.Index(wasm.OpLocalGet, LocalOp).I32(int32(op)).Op(wasm.OpI32Sub, wasm.OpI32Eqz).
		If(wasm.BlockEmpty).Op(wasm.OpUnreachable).End().I64(anyResult).End()}).Module()
}

// TrapInWindow traps when it is asked for its windows.
func TrapInWindow() []byte { return (&Guest{Window: Code{}.Op(wasm.OpUnreachable).End()}).Module() }

// TrapInInitialize traps in _initialize.
func TrapInInitialize() []byte { return initialize(Code{}.Op(wasm.OpUnreachable).End()) }

// EndlessInitialize never returns from _initialize.
func EndlessInitialize() []byte { return initialize(endlessLoop().End()) }

func initialize(c Code) []byte {
	return (&Guest{Funcs: []Func{{Code: c, Export: wasmabi.ExportInitialize}}}).Module()
}

// TrapInStart traps in the start function.
func TrapInStart() []byte {
	return (&Guest{Start: &Func{Code: Code{}.Op(wasm.OpUnreachable).End()}}).Module()
}

// EndlessStart never returns from the start function.
func EndlessStart() []byte { return (&Guest{Start: &Func{Code: endlessLoop().End()}}).Module() }

// DivideByZero, LoadOutside and IndirectOutside trap in each call, in ways other than unreachable.
func DivideByZero() []byte {
	return (&Guest{Call: Code{}.I64(1).Index(wasm.OpLocalGet, 0).I32(0).
		Op(wasm.OpI32And, wasm.OpI64ExtendI32, wasm.OpI64DivU).End()}).Module()
}

// LoadOutside is described at DivideByZero.
func LoadOutside() []byte {
	return (&Guest{Call: Code{}.I32(-1).Access(wasm.OpI64Load, 0).End()}).Module()
}

// IndirectOutside is described at DivideByZero.
func IndirectOutside() []byte {
	g := Guest{Table: []uint32{2}}
	g.Call = Code{}.I32(0).I32(0).I32(7).Index(wasm.OpCallIndirect, g.TypeIndex(typeCall), 0).End()
	return g.Module()
}

// UngrantedImport imports a function that no host gives.
func UngrantedImport() []byte {
	g := Guest{}
	g.Import("env", "system", wasm.FuncType{Params: []wasm.ValueType{i32}, Results: []wasm.ValueType{i32}})
	return g.Module()
}

// UngrantedWASI imports a function of WASI that preview 1 does not have.
func UngrantedWASI() []byte {
	g := Guest{}
	three := []wasm.ValueType{i32, i32, i32}
	g.Import(wasmabi.ModuleWASI, "sock_open", wasm.FuncType{Params: three, Results: three[:1]})
	return g.Module()
}

// ImportsYield imports the function that only the host may inject.
func ImportsYield() []byte {
	g := Guest{}
	g.Import(wasmabi.ModuleHost, wasmabi.ImportYield, wasm.FuncType{})
	return g.Module()
}

// WrongSignature imports a function of the host under another type.
func WrongSignature() []byte {
	g := Guest{}
	g.Import(wasmabi.ModuleHost, wasmabi.ImportNow, wasm.FuncType{Results: []wasm.ValueType{i32}})
	return g.Module()
}

// ReservedExport exports a name that only the host may add.
func ReservedExport(name string) []byte {
	return (&Guest{Funcs: []Func{{Code: Code{}.End(), Export: name}}}).Module()
}
