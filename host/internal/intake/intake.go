// Package intake decides whether a module that somebody uploaded may be prepared as a guest: its structure, its
// imports and exports, and whether it is cheap enough to compile. It neither changes nor compiles modules, and it
// leaves the typing of operands to the engine.
package intake

import (
	"fmt"
	"time"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// Caps bounds a module. Every engine limit that a hostile upload could aim at has a cap of its own; RATIONALE.md says
// where the numbers come from.
type Caps struct {
	ModuleBytes int
	Module      wasm.Caps // counts of what a module declares

	ControlInstructions int           // of one function; each target of a br_table counts as one
	CompileTime         time.Duration // estimate for one core
	Nesting             int           // of blocks in one function
	Work                int           // of all functions: instructions, and values that calls, branches and blocks hand over
	MemoryPages         uint32        // at the start
	TableEntries        uint32        // of one table at the start
}

// DefaultCaps admits what compilers of Go, Rust, C and TinyGo make of a policy.
func DefaultCaps() Caps {
	return Caps{
		ModuleBytes: 4 << 20,
		Module: wasm.Caps{
			Types: 1000, Imports: 200, Functions: 20_000, Tables: 8, Memories: 1, Globals: 1000, Exports: 1000,
			Elements: 1000, ElementEntries: 40_000, Data: 150_000, Customs: 100, Params: 64, Results: 16, Locals: 4000,
			BodyBytes: 256 << 10, BranchTargets: 4000,
		},
		ControlInstructions: 4000,
		CompileTime:         6 * time.Second,
		Nesting:             2000,
		Work:                6_000_000,
		MemoryPages:         1024,
		TableEntries:        1 << 16,
	}
}

// Summary is what Check learnt about a module.
type Summary struct {
	Functions, Globals, Tables int
	MemoryMinPages             uint32
	MemoryMaxPages             uint32 // if MemoryHasMax
	MemoryHasMax               bool
	HasStart                   bool     // there is a start function
	HasInitialize              bool     // exports _initialize, as reactors do
	WASI                       bool     // imports WASI functions
	HostImports                []string // names of the functions that it imports from the host's module
	Unfreezable                string   // why instances cannot be reset from an image of memory and globals; empty if they can
	Manifest                   []byte   // the manifest's section, aliasing the module; nil if there is none
	ControlInstructions        int
	CompileTime                time.Duration // as in Caps
	Work                       int           // in the units of Caps.Work
}

// Check judges a module in one pass over its bytes. Its errors are of type *Refusal.
func Check(module []byte, c Caps) (*Summary, error) { return check(module, c, native) }

// CheckPlugin judges an Extism plugin: it imports and exports other functions, and everything else is the same.
func CheckPlugin(module []byte, c Caps) (*Summary, error) { return check(module, c, plugin) }

func check(module []byte, c Caps, d door) (*Summary, error) {
	if len(module) > c.ModuleBytes {
		return nil, tooLarge(len(module), c.ModuleBytes)
	}
	m, err := wasm.Decode(module, c.Module)
	if err != nil {
		return nil, refusalOf(err)
	}
	s := summarise(m)
	if err := checkImports(m, d, s); err != nil {
		return nil, err
	}
	if err := checkExports(m, d); err != nil {
		return nil, err
	}
	if err := checkSizes(m, c); err != nil {
		return nil, err
	}
	if err := checkIndices(m); err != nil {
		return nil, err
	}
	if err := checkCode(m, c, s); err != nil {
		return nil, err
	}
	return s, nil
}

func summarise(m *wasm.Module) *Summary {
	s := &Summary{Functions: len(m.Functions), Globals: len(m.Globals), Tables: len(m.Tables), HasStart: m.HasStart}
	s.Manifest, _ = m.Custom(wasmabi.ManifestSection)
	_, s.HasInitialize = m.Export(wasmabi.ExportInitialize)
	if len(m.Memories) == 1 {
		s.MemoryMinPages, s.MemoryMaxPages, s.MemoryHasMax = m.Memories[0].Min, m.Memories[0].Max, m.Memories[0].HasMax
	}
	for i, g := range m.Globals {
		if g.Mutable && !g.Type.IsNumber() {
			s.Unfreezable = fmt.Sprintf("global %d is a mutable %s", i, g.Type)
		}
	}
	return s
}

// checkSizes looks at what a module has from the start.
func checkSizes(m *wasm.Module, c Caps) error {
	if l := m.Memories[0]; l.Min > c.MemoryPages {
		return overLimit("pages of memory from the start", uint64(l.Min), uint64(c.MemoryPages))
	} else if l.HasMax && l.Max < l.Min {
		return malformed("memory has a maximum below its minimum")
	}
	for _, t := range m.Tables {
		if t.Min > c.TableEntries {
			return overLimit("table entries from the start", uint64(t.Min), uint64(c.TableEntries))
		} else if t.HasMax && t.Max < t.Min {
			return malformed("table has a maximum below its minimum")
		}
	}
	return nil
}

// checkIndices looks at the references outside of code.
func checkIndices(m *wasm.Module) error {
	functions := uint32(m.Imported(wasm.KindFunction) + len(m.Functions))
	for i, t := range m.Functions {
		if t >= uint32(len(m.Types)) {
			return malformed(fmt.Sprintf("function %d has unknown type %d", i, t))
		}
	}
	if m.HasStart && m.Start >= functions {
		return malformed(fmt.Sprintf("start function %d is unknown", m.Start))
	}
	for i := range m.Elements {
		e := &m.Elements[i]
		if e.Mode == wasm.Active && e.Table >= uint32(len(m.Tables)) {
			return malformed(fmt.Sprintf("element segment %d is for unknown table %d", i, e.Table))
		}
		for _, f := range e.Functions {
			if f >= functions {
				return malformed(fmt.Sprintf("element segment %d has unknown function %d", i, f))
			}
		}
	}
	return nil
}

// reserved reports whether only the host may use a name.
func reserved(name string) bool {
	return len(name) >= len(rewrite.ReservedPrefix) && name[:len(rewrite.ReservedPrefix)] == rewrite.ReservedPrefix
}
