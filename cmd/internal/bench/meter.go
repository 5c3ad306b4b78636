package main

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// turns is how often the metered loop goes round in one call.
const turns = 20_000

// loopGuest mixes numbers, turns times.
func loopGuest() []byte {
	const counter, sum = 2, 3 // locals
	return guestModule(nil, []byte{i64, i64}, asm([]byte{opLoop, noResult},
		get(sum), i64c(0x5bd1e995), []byte{opI64Mul}, get(counter), []byte{opI64Xor}, set(sum),
		get(counter), i64c(1), []byte{opI64Add}, set(counter),
		get(counter), i64c(turns), []byte{opI64GeU, opEqz, opBrIf, 0, opEnd},
		get(sum), []byte{opDrop}, i64c(0)))
}

// generous are limits that a benchmark does not meet.
var generous = host.Limits{Fuel: 1 << 50, Deadline: time.Minute}

func meteredLoop(ctx context.Context) (Measured, error) {
	p, err := prepare(ctx, loopGuest(), host.Config{Limits: generous})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	return againstUnmetered(ctx, p, loopGuest(), wasmabi.OpPlan, nil)
}

func meteredPolicy(ctx context.Context) (Measured, error) {
	p, err := prepareGo(ctx, host.Config{})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	plain, err := goPolicy()
	if err != nil {
		return Measured{}, err
	}
	return againstUnmetered(ctx, p, plain, wasmabi.OpPlan, wasmabi.AppendObservation(nil, observation()))
}

// againstUnmetered compares calls through the host with calls of the module as it was uploaded, on wazero alone.
func againstUnmetered(ctx context.Context, p *prepared, plain []byte, op wasmabi.Op, request []byte) (Measured, error) {
	s, err := p.Begin(ctx, host.SessionConfig{})
	if err != nil {
		return Measured{}, err
	}
	defer s.Close()
	r, err := newRaw(ctx, plain)
	if err != nil {
		return Measured{}, err
	}
	defer r.close(ctx)
	return compare(func(n int) {
		for range n {
			if _, err := s.Call(ctx, op, request); err != nil {
				panic(err)
			}
		}
	}, func(n int) {
		for range n {
			r.call(ctx, op, request)
		}
	}), nil
}

// raw is a guest of our ABI on wazero as it comes: nothing rewritten, frozen, limited or counted.
type raw struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	instance api.Module
	entry    api.Function
	window   wasmabi.Window
	stack    [2]uint64
}

func newRaw(ctx context.Context, module []byte) (*raw, error) {
	r := &raw{runtime: wazero.NewRuntime(ctx)}
	if err := r.open(ctx, module); err != nil {
		_ = r.runtime.Close(ctx)
		return nil, err
	}
	return r, nil
}

func (r *raw) open(ctx context.Context, module []byte) (err error) {
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, r.runtime); err != nil {
		return err
	}
	if r.compiled, err = r.runtime.CompileModule(ctx, module); err != nil {
		return err
	}
	return r.instantiate(ctx)
}

func (r *raw) instantiate(ctx context.Context) (err error) {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions(wasmabi.ExportInitialize)
	if r.instance, err = r.runtime.InstantiateModule(ctx, r.compiled, config); err != nil {
		return err
	}
	r.entry = r.instance.ExportedFunction(wasmabi.ExportCall)
	at, err := r.instance.ExportedFunction(wasmabi.ExportWindow).Call(ctx)
	if err != nil {
		return err
	}
	record, _ := r.instance.Memory().Read(uint32(at[0]), wasmabi.WindowSize)
	r.window, _ = wasmabi.ParseWindow(record)
	return nil
}

// call returns the response without a copy.
func (r *raw) call(ctx context.Context, op wasmabi.Op, request []byte) []byte {
	r.instance.Memory().Write(r.window.RequestPtr, request)
	r.stack = [2]uint64{uint64(op), uint64(len(request))}
	must(r.entry.CallWithStack(ctx, r.stack[:]))
	_, n := wasmabi.Unpack(r.stack[0])
	response, _ := r.instance.Memory().Read(r.window.ResponsePtr, n)
	return response
}

func (r *raw) close(ctx context.Context) { _ = r.runtime.Close(ctx) }
