package guest

import (
	"context"
	"fmt"
	"maps"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/host/internal/imports"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// Linker is an engine with the host's modules in it: where programs are compiled and instantiated.
type Linker struct{ runtime wazero.Runtime }

// NewLinker puts the host's modules into a new engine.
func NewLinker(ctx context.Context, config wazero.RuntimeConfig) (*Linker, error) {
	l := &Linker{wazero.NewRuntimeWithConfig(ctx, config)}
	for module, functions := range map[string]map[string]function{
		wasmabi.ModuleHost: hostFunctions,
		wasmabi.ModuleWASI: wasiFunctions,
		imports.Kernel:     kernelFunctions,
	} {
		if err := l.define(ctx, module, functions); err != nil {
			return nil, fmt.Errorf("define host module %s: %w", module, err)
		}
	}
	return l, nil
}

// Compile compiles a module, or loads it from the configuration's cache.
func (l *Linker) Compile(ctx context.Context, module []byte) (wazero.CompiledModule, error) {
	return l.runtime.CompileModule(ctx, module)
}

// Close gives up the engine with everything in it.
func (l *Linker) Close(ctx context.Context) error { return l.runtime.Close(ctx) }

// function is one function of a host module: it takes its parameters from the stack, and leaves its result there.
type function func(*scope, []uint64)

// define defines every function that guests may import of a module, and yield. One that is not given is [absent].
func (l *Linker) define(ctx context.Context, module string, functions map[string]function) error {
	types := maps.Clone(imports.Of(module))
	if module == wasmabi.ModuleHost {
		types[wasmabi.ImportYield] = wasm.FuncType{}
	}
	b := l.runtime.NewHostModuleBuilder(module)
	for name, t := range types {
		f, given := functions[name]
		if !given {
			f = errno(absent)
		}
		call := api.GoFunc(func(ctx context.Context, stack []uint64) { f(scopeOf(ctx), stack) })
		b.NewFunctionBuilder().WithGoFunction(call, valueTypes(t.Params), valueTypes(t.Results)).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// valueTypes are the engine's: both write types as the binary format does.
func valueTypes(ts []wasm.ValueType) []api.ValueType {
	out := make([]api.ValueType, len(ts))
	for i, t := range ts {
		out[i] = api.ValueType(t)
	}
	return out
}
