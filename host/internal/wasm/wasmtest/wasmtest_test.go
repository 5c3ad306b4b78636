package wasmtest_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

// guests are all that this package builds, the bombs small.
var guests = map[string][]byte{
	"Idle":                     wasmtest.Idle(),
	"Echo":                     wasmtest.Echo(),
	"Counter":                  wasmtest.Counter(),
	"ConstantResponse":         wasmtest.ConstantResponse(wasmabi.StatusOK, []byte("hello")),
	"HostCaller":               wasmtest.HostCaller(1, 2),
	"Clock":                    wasmtest.Clock(),
	"WithManifest":             wasmtest.WithManifest([]byte{0xa0}),
	"EndlessLoop":              wasmtest.EndlessLoop(),
	"EndlessRecursion":         wasmtest.EndlessRecursion(),
	"EndlessIndirectRecursion": wasmtest.EndlessIndirectRecursion(),
	"EndlessMutualRecursion":   wasmtest.EndlessMutualRecursion(5),
	"CallTree":                 wasmtest.CallTree(8),
	"DeepStack":                wasmtest.DeepStack(100),
	"MemoryGrowth":             wasmtest.MemoryGrowth(),
	"MemoryFill":               wasmtest.MemoryFill(2),
	"LargeInitialMemory":       wasmtest.LargeInitialMemory(1000),
	"HugeOutput":               wasmtest.HugeOutput(1 << 30),
	"WindowOutside":            wasmtest.WindowOutside(),
	"WindowRecordOutside":      wasmtest.WindowRecordOutside(),
	"WindowsOverlap":           wasmtest.WindowsOverlap(),
	"HostCallFlood":            wasmtest.HostCallFlood(),
	"LogFlood":                 wasmtest.LogFlood(100),
	"RandomFlood":              wasmtest.RandomFlood(100),
	"MetricFlood":              wasmtest.MetricFlood(),
	"HostPointerOutside":       wasmtest.HostPointerOutside(),
	"TrapIn":                   wasmtest.TrapIn(wasmabi.OpPlan),
	"TrapInWindow":             wasmtest.TrapInWindow(),
	"TrapInInitialize":         wasmtest.TrapInInitialize(),
	"EndlessInitialize":        wasmtest.EndlessInitialize(),
	"TrapInStart":              wasmtest.TrapInStart(),
	"EndlessStart":             wasmtest.EndlessStart(),
	"DivideByZero":             wasmtest.DivideByZero(),
	"LoadOutside":              wasmtest.LoadOutside(),
	"IndirectOutside":          wasmtest.IndirectOutside(),
	"UngrantedImport":          wasmtest.UngrantedImport(),
	"UngrantedWASI":            wasmtest.UngrantedWASI(),
	"ImportsYield":             wasmtest.ImportsYield(),
	"WrongSignature":           wasmtest.WrongSignature(),
	"ReservedExport":           wasmtest.ReservedExport("edgehold.fuel"),
	"BranchBomb":               wasmtest.BranchBomb(1000),
	"BranchBombs":              wasmtest.BranchBombs(3, 10),
	"BranchTableBomb":          wasmtest.BranchTableBomb(100),
	"BranchTablesBomb":         wasmtest.BranchTablesBomb(10),
	"LocalsBomb":               wasmtest.LocalsBomb(100),
	"ManyLocalsBomb":           wasmtest.ManyLocalsBomb(3, 100),
	"JoinBomb":                 wasmtest.JoinBomb(5, 5),
	"NestingBomb":              wasmtest.NestingBomb(20),
	"TypesBomb":                wasmtest.TypesBomb(20),
	"ResultsBomb":              wasmtest.ResultsBomb(5, 5),
	"FunctionsBomb":            wasmtest.FunctionsBomb(10),
	"ExportsBomb":              wasmtest.ExportsBomb(10),
	"GlobalsBomb":              wasmtest.GlobalsBomb(3, 4),
	"LoopBomb":                 wasmtest.LoopBomb(3, 4),
	"FillBomb":                 wasmtest.FillBomb(3),
	"TableBomb":                wasmtest.TableBomb(10),
}

func TestGuestsAreValid(t *testing.T) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	for name, module := range guests {
		t.Run(name, func(t *testing.T) {
			if _, err := rt.CompileModule(ctx, module); err != nil {
				t.Errorf("engine: %v", err)
			}
			if _, err := wasm.Decode(module, wasm.MaxCaps()); err != nil {
				t.Error(err)
			}
		})
	}
}
