package compile

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/host/internal/image"
	"github.com/edgehold/edgehold/host/internal/rewrite"
)

// Build makes the artefact of a module that intake accepted. The same module and recipe give the same bytes on every
// machine. It runs the module's start functions, in the interpreter: compiling the module a second time just to
// initialise it would cost a second.
func Build(ctx context.Context, module []byte, r Recipe) (*Artefact, error) {
	instrumented, err := rewrite.Instrument(module, r.Instrumenting())
	if err != nil {
		return nil, err
	}
	engine := wazero.NewRuntimeConfigInterpreter().WithCustomSections(false).WithDebugInfoEnabled(false)
	linker, err := guest.NewLinker(ctx, engine)
	if err != nil {
		return nil, err
	}
	a, err := initialise(ctx, linker, instrumented, module, r)
	return a, errors.Join(err, linker.Close(ctx))
}

const pageBytes = 65536

// Instrumenting are the options that Build has a module instrumented with.
func (r Recipe) Instrumenting() rewrite.Options {
	return rewrite.Options{MemoryMaxPages: maxMemory / pageBytes, StackBytes: r.StackBytes}
}

// initialise runs the module's start functions on an empty memory and keeps what they left.
func initialise(ctx context.Context, linker *guest.Linker, instrumented, original []byte, r Recipe) (*Artefact, error) {
	compiled, err := linker.Compile(ctx, instrumented)
	if err != nil {
		return nil, &Error{"intake.invalid", fmt.Sprintf("the rewritten module is not valid: %v", err),
			"check the module with another validator; if it is valid, please report this"}
	}
	empty := image.NewCopied(nil)
	defer empty.Close()
	p := &guest.Program{
		Linker: linker, Compiled: compiled, Image: empty,
		MemoryLimit: r.MemoryLimit, StackBytes: r.StackBytes, Limits: r.Initialise, Plugin: r.Plugin,
	}
	digest := sha256.Sum256(original)
	state, err := p.Initialise(ctx, guest.World{Time: epoch, Seed: binary.LittleEndian.Uint64(digest[:])})
	if err != nil {
		return nil, initialiseError(err)
	}
	frozen, mutable, err := rewrite.Freeze(instrumented, state.Globals, uint32(len(state.Memory)/pageBytes))
	if errors.Is(err, rewrite.ErrUnfreezable) {
		return nil, &Error{"intake.unfreezable", err.Error(),
			"build without table.set, table.grow, data.drop and their like; compilers of C, Rust and Go emit none of them by default"}
	}
	if err != nil {
		return nil, err
	}
	return &Artefact{
		Module: frozen, Window: state.Window, Globals: exports(mutable),
		Memory: uint64(len(state.Memory)), Runs: runs(state.Memory),
	}, nil
}

func initialiseError(err error) error {
	fault, ok := errors.AsType[*guest.Fault](err)
	if !ok {
		return &Error{"intake.initialize", err.Error(), "export what the ABI asks for; docs name it"}
	}
	return &Error{"intake.initialize-" + fault.Kind.String(),
		"while it was initialised: " + fault.Cause,
		"do less in _initialize (in Go: in package variables and init functions)"}
}

func exports(mutable []rewrite.Global) []guest.Global {
	list := make([]guest.Global, len(mutable))
	for k, g := range mutable {
		list[k] = guest.Global{Export: g.Name, Value: g.Value}
	}
	return list
}

// Load compiles a frozen module on the linker's engine, or takes its machine code from the engine's cache.
func Load(ctx context.Context, linker *guest.Linker, a *Artefact) (wazero.CompiledModule, error) {
	compiled, err := linker.Compile(ctx, a.Module)
	if err != nil {
		return nil, fmt.Errorf("compile the frozen module: %w", err)
	}
	return compiled, nil
}
