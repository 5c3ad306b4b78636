package guest

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/wasmabi"
)

// Linker is an engine with the host's modules in it: where programs are compiled and instantiated.
type Linker struct{ runtime wazero.Runtime }

// NewLinker puts the host's modules into a new engine.
func NewLinker(ctx context.Context, config wazero.RuntimeConfig) (*Linker, error) {
	l := &Linker{wazero.NewRuntimeWithConfig(ctx, config)}
	for module, functions := range map[string][]function{
		wasmabi.ModuleHost: hostFunctions,
		wasmabi.ModuleWASI: wasiFunctions(),
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

// function is one function of a host module.
type function struct {
	name    string
	params  []api.ValueType
	results []api.ValueType
	call    func(*scope, []uint64)
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func values(t ...api.ValueType) []api.ValueType { return t }

func (l *Linker) define(ctx context.Context, module string, functions []function) error {
	b := l.runtime.NewHostModuleBuilder(module)
	for _, f := range functions {
		call := api.GoFunc(func(ctx context.Context, stack []uint64) { f.call(scopeOf(ctx), stack) })
		b.NewFunctionBuilder().WithGoFunction(call, f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}
