package intake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/intake"
	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
)

// FuzzCheck checks that a refusal is always a Refusal with all its parts, that what is accepted can be instrumented,
// and that the engine, which validates after us, does not panic over it.
func FuzzCheck(f *testing.F) {
	for _, module := range [][]byte{
		wasmtest.Clock(), wasmtest.Counter(), wasmtest.EndlessIndirectRecursion(), wasmtest.ImportsYield(), wasmtest.JoinBomb(2, 2),
		wasmtest.BranchTablesBomb(3), wasmtest.WithManifest([]byte("m")), wasmtest.TableBomb(7),
	} {
		f.Add(module)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = rt.Close(ctx) })
	f.Fuzz(func(t *testing.T, module []byte) {
		_, err := intake.Check(module, intake.DefaultCaps())
		if err == nil {
			metered, err := rewrite.Instrument(module, rewrite.Options{MemoryMaxPages: 1024})
			if err != nil {
				t.Errorf("accepted, but cannot be instrumented: %v", err)
			}
			if c, err := rt.CompileModule(ctx, metered); err == nil {
				_ = c.Close(ctx)
			}
			return
		}
		r, ok := errors.AsType[*intake.Refusal](err)
		if !ok || r.Code == "" || r.What == "" || r.Why == "" || r.Hint == "" {
			t.Errorf("incomplete refusal %#v", err)
		}
	})
}
