package rewrite

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// ErrUnfreezable says that a module's state is more than its memory and globals, so that only a new instance resets it.
var ErrUnfreezable = errors.New("module keeps state outside memory and globals")

// Global is a mutable global of a frozen module that a reset has to put back.
type Global struct {
	Index uint32
	Name  string // exported under this name
	Type  wasm.ValueType
	Value uint64 // at the time of freezing, as the engine's API encodes it
}

// Freeze returns an instrumented module whose instances begin where an initialised instance stood. globals has the
// values of all its globals by index; those that are not mutable are not looked at. The memory begins with that many
// pages, whose contents the caller provides: active data segments are gone. Element segments stay, so tables are as at
// the beginning.
//
// It returns the mutable globals too, but not FuelGlobal and DepthGlobal, which the host sets for each call anyway. The
// error is ErrUnfreezable if the module can change tables or drop segments, or has mutable globals that are references
// or vectors.
func Freeze(module []byte, globals []uint64, pages uint32) (frozen []byte, mutable []Global, err error) {
	m, err := wasm.Decode(module, wasm.MaxCaps())
	if err != nil {
		return nil, nil, fmt.Errorf("freeze module: %w", err)
	}
	if err := freezable(m); err != nil {
		return nil, nil, fmt.Errorf("freeze module: %w", err)
	}
	if err := freezeMemory(m, pages); err != nil {
		return nil, nil, fmt.Errorf("freeze module: %w", err)
	}
	if mutable, err = freezeGlobals(m, globals); err != nil {
		return nil, nil, fmt.Errorf("freeze module: %w", err)
	}
	m.HasStart = false
	freezeData(m)
	return m.Encode(), mutable, nil
}

func freezable(m *wasm.Module) error {
	if len(m.Memories) != 1 {
		return fmt.Errorf("%w: %d memories of its own", ErrUnfreezable, len(m.Memories))
	}
	for i, g := range m.Globals {
		if g.Mutable && !g.Type.IsNumber() {
			return fmt.Errorf("%w: mutable global %d of type %s", ErrUnfreezable, i, g.Type)
		}
	}
	for i := range m.Bodies {
		if err := stateless(m.Bodies[i].Code); err != nil {
			return fmt.Errorf("function %d: %w", i, err)
		}
	}
	return nil
}

// stateless refuses code that changes what memory and globals do not show.
func stateless(code []byte) error {
	it := wasm.NewCode(code, 0, len(code))
	var in wasm.Instruction
	for it.Next(&in) {
		if ChangesHiddenState(in.Op) {
			return fmt.Errorf("%w: instruction %s", ErrUnfreezable, in.Op)
		}
	}
	return it.Err()
}

// ChangesHiddenState reports whether an instruction changes tables or drops segments.
func ChangesHiddenState(op wasm.Op) bool {
	switch op {
	case wasm.OpTableSet, wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableGrow, wasm.OpTableFill, wasm.OpDataDrop,
		wasm.OpElemDrop:
		return true
	}
	return false
}

func freezeMemory(m *wasm.Module, pages uint32) error {
	memory := &m.Memories[0]
	if pages < memory.Min || memory.HasMax && pages > memory.Max {
		return fmt.Errorf("%d memory pages, module declares %d to %d", pages, memory.Min, memory.Max)
	}
	memory.Min = pages
	return nil
}

func freezeGlobals(m *wasm.Module, values []uint64) (mutable []Global, err error) {
	imported := m.Imported(wasm.KindGlobal)
	if want := imported + len(m.Globals); len(values) != want {
		return nil, fmt.Errorf("%d values for %d globals", len(values), want)
	}
	names := globalNames(m)
	for i := range m.Globals {
		g := &m.Globals[i]
		if !g.Mutable {
			continue
		}
		index := uint32(imported + i)
		g.Init = numberExpr(g.Type, values[index])
		name, ok := names[index]
		if !ok {
			name = GlobalPrefix + strconv.Itoa(int(index))
			m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindGlobal, Index: index})
		}
		if name != FuelGlobal && name != DepthGlobal {
			mutable = append(mutable, Global{Index: index, Name: name, Type: g.Type, Value: values[index]})
		}
	}
	return mutable, nil
}

// globalNames returns the names under which the host's globals are exported already.
func globalNames(m *wasm.Module) map[uint32]string {
	names := make(map[uint32]string)
	for _, e := range m.Exports {
		if e.Kind == wasm.KindGlobal && len(e.Name) > len(ReservedPrefix) && e.Name[:len(ReservedPrefix)] == ReservedPrefix {
			names[e.Index] = e.Name
		}
	}
	return names
}

func numberExpr(t wasm.ValueType, v uint64) wasm.ConstExpr {
	op := map[wasm.ValueType]wasm.Op{
		wasm.I32: wasm.OpI32Const, wasm.I64: wasm.OpI64Const, wasm.F32: wasm.OpF32Const, wasm.F64: wasm.OpF64Const,
	}[t]
	return wasm.ConstExpr{Op: op, Bits: [2]uint64{v}}
}

// freezeData empties the active segments. After instantiation they count as dropped, as a passive one without
// bytes does, so memory.init finds what it would have found.
func freezeData(m *wasm.Module) {
	if !m.DataCount {
		m.Data = nil // no instruction can name a segment
		return
	}
	for i := range m.Data {
		if m.Data[i].Mode == wasm.Active {
			m.Data[i] = wasm.Data{Mode: wasm.Passive}
		}
	}
}
