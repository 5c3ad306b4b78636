package rewrite_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
)

// FuzzInstrument checks that whatever the engine calls valid is instrumented to something that the engine calls valid.
func FuzzInstrument(f *testing.F) {
	addGuests(f)
	valid := validator(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		if _, err := wasm.Decode(module, wasm.MaxCaps()); err != nil {
			return // the engine reserves what counts claim, and spends seconds on that
		}
		metered, err := rewrite.Instrument(module, rewrite.Options{})
		wasValid := valid(module) == nil
		if err != nil {
			if _, limit := errors.AsType[*rewrite.LimitError](err); wasValid && !limit {
				t.Errorf("valid module is refused: %v", err)
			}
			return
		}
		if verr := valid(metered); wasValid && verr != nil {
			t.Errorf("instrumented module is invalid: %v", verr)
		}
	})
}

// FuzzFreeze checks the same of freezing what was instrumented.
func FuzzFreeze(f *testing.F) {
	addGuests(f)
	valid := validator(f)
	f.Fuzz(func(t *testing.T, module []byte) {
		metered, err := rewrite.Instrument(module, rewrite.Options{})
		if err != nil || valid(metered) != nil {
			return
		}
		for globals := range 20 {
			frozen, _, err := rewrite.Freeze(metered, make([]uint64, globals), 1)
			if err == nil && valid(frozen) != nil {
				t.Errorf("frozen module is invalid: %v", valid(frozen))
			}
		}
	})
}

func addGuests(f *testing.F) {
	counter := wasmtest.Counter()
	for _, module := range [][]byte{
		counter, wasmtest.Clock(), wasmtest.EndlessIndirectRecursion(), wasmtest.MemoryGrowth(), wasmtest.TrapInStart(),
		wasmtest.BranchTablesBomb(4), wasmtest.JoinBomb(3, 3), wasmtest.ResultsBomb(3, 2), generate(counter, true).Encode(),
	} {
		f.Add(module)
	}
}

// validator returns the engine's judgement. On hostile input that intake would refuse the engine may panic.
func validator(t testing.TB) func([]byte) error {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCustomSections(false).WithDebugInfoEnabled(false))
	t.Cleanup(func() { _ = rt.Close(ctx) })
	return func(module []byte) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("engine panics: %v", p)
			}
		}()
		c, err := rt.CompileModule(ctx, module)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	}
}
