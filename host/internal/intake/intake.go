// Package intake decides whether a module that somebody uploaded may be prepared as a guest: its structure, its
// imports and exports, and whether it is cheap enough to compile. It neither changes nor compiles modules, and it leaves
// the typing of operands to the engine.
package intake

import (
	"errors"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

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
	Unfreezable                string   // why instances cannot be reset from a memory image; empty if they can
	Manifest                   []byte   // custom section with the manifest, aliasing the module; nil if there is none
	ControlInstructions        int
	CompileCost                float64 // in the units of Caps.CompileCost
}

// Refusal is the error of Check.
type Refusal struct {
	Code string // stable, "intake.too-large"
	What string
	Why  string
	Hint string
}

func (r *Refusal) Error() string { return "check module: " + r.What }

// ErrorCode returns the stable code of the refusal.
func (r *Refusal) ErrorCode() string { return r.Code }

// ErrorWhy returns the cause.
func (r *Refusal) ErrorWhy() string { return r.Why }

// ErrorHint returns what to do.
func (r *Refusal) ErrorHint() string { return r.Hint }

// Caps bounds a module.
type Caps struct {
	ModuleBytes int
	Module      wasm.Caps
}

// DefaultCaps admits what Go, Rust, C and TinyGo compilers make of a policy.
func DefaultCaps() Caps {
	return Caps{ModuleBytes: 4 << 20, Module: wasm.MaxCaps()}
}

// Check reads a module in one pass.
func Check(module []byte, c Caps) (*Summary, error) {
	if len(module) > c.ModuleBytes {
		return nil, &Refusal{Code: "intake.too-large", What: "module too large"}
	}
	m, err := wasm.Decode(module, c.Module)
	if err != nil {
		return nil, refusalOf(err)
	}
	s := &Summary{Functions: len(m.Functions), Globals: len(m.Globals), Tables: len(m.Tables), HasStart: m.HasStart}
	s.Manifest, _ = m.Custom("edgehold.manifest")
	_, s.HasInitialize = m.Export("_initialize")
	return s, nil
}

func refusalOf(err error) error {
	var feature *wasm.FeatureError
	if errors.As(err, &feature) {
		return &Refusal{Code: "intake.unsupported-feature", What: err.Error()}
	}
	return &Refusal{Code: "intake.malformed", What: err.Error()}
}
