package code

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
)

func TestForgottenModuleStillRuns(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	defer r.Close(ctx)
	compiled, err := r.CompileModule(ctx, wasmtest.Echo())
	if err != nil {
		t.Fatal(err)
	}
	if Forget(compiled) == 0 {
		t.Error("nothing was forgotten: the engine's fields have other names now")
	}
	for range 2 { // instantiating again must not need what was forgotten
		m, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.ExportedFunction("edgehold_window").Call(ctx); err != nil {
			t.Error(err)
		}
	}
}
