package main

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

const requestBytes = 1024

// echoCall returns n calls of the echoing guest through the host, with every limit and counter on.
func echoCall(ctx context.Context) (run func(n int), done func(), err error) {
	p, err := prepare(ctx, echoGuest(), host.Config{})
	if err != nil {
		return nil, nil, err
	}
	s, err := p.Begin(ctx, host.SessionConfig{})
	if err != nil {
		p.close(ctx)
		return nil, nil, err
	}
	request := make([]byte, requestBytes)
	run = func(n int) {
		for range n {
			if r, err := s.Call(ctx, wasmabi.OpAnalyze, request); err != nil || len(r) != answerBytes {
				panic(err)
			}
		}
	}
	return run, func() { s.Close(); p.close(ctx) }, nil
}

// callAgainstRaw compares with the least that wazero can do: a function that does nothing, looked up once, called with a
// stack that is there already.
func callAgainstRaw(ctx context.Context) (Measured, error) {
	ours, done, err := echoCall(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer done()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	m, err := r.Instantiate(ctx, module([]fn{{name: "nothing", signature: signature{[]byte{i32, i32}, []byte{i64}}, body: i64c(0)}}, nil))
	if err != nil {
		return Measured{}, err
	}
	nothing := m.ExportedFunction("nothing")
	stack := make([]uint64, 2)
	return compare(ours, func(n int) {
		for range n {
			must(nothing.CallWithStack(ctx, stack))
		}
	}), nil
}

// callAgainstExtism compares with an Extism plugin that does the same for the same payload.
func callAgainstExtism(ctx context.Context) (Measured, error) {
	ours, done, err := echoCall(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer done()
	theirs, finish, err := echoThroughSDK(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer finish()
	return compare(ours, theirs), nil
}

// extismEcho does what the plugin development kits do: the input comes, and the output goes, eight bytes at a time through
// the kernel.
func extismEcho() []byte {
	const (
		kernel                                           = "extism:host/env"
		length, loadWord, allocate, storeWord, setOutput = 0, 1, 2, 3, 4
		index, size, block                               = 0, 1, 2 // locals
	)
	word := func(params, results []byte) signature { return signature{params, results} }
	loop := func(until, body []byte) []byte {
		return asm([]byte{opBlock, noResult, opLoop, noResult}, get(index), until, []byte{opI64GeU, opBrIf, 1}, body,
			get(index), i64c(8), []byte{opI64Add}, set(index), []byte{opBr, 0, opEnd, opEnd})
	}
	return module([]fn{
		{module: kernel, name: "input_length", signature: word(nil, []byte{i64})},
		{module: kernel, name: "input_load_u64", signature: word([]byte{i64}, []byte{i64})},
		{module: kernel, name: "alloc", signature: word([]byte{i64}, []byte{i64})},
		{module: kernel, name: "store_u64", signature: word([]byte{i64, i64}, nil)},
		{module: kernel, name: "output_set", signature: word([]byte{i64, i64}, nil)},
		{name: "echo", signature: word(nil, []byte{i32}), locals: []byte{i64, i64, i64}, body: asm(
			call(length), set(size),
			loop(get(size), asm(get(index), []byte{opI32WrapI64}, get(index), call(loadWord), store(requestAt))),
			i32c(responseAt), i32c(requestAt), i32c(answerBytes), memoryCopy,
			i64c(answerBytes), call(allocate), set(block), i64c(0), set(index),
			loop(i64c(answerBytes), asm(get(block), get(index), []byte{opI64Add},
				get(index), []byte{opI32WrapI64}, load(responseAt), call(storeWord))),
			get(block), i64c(answerBytes), call(setOutput), i32c(0))},
	}, nil)
}

// hostCallsEach is how many host calls one guest call of hostCall makes, so that the guest call itself hardly counts.
const hostCallsEach = 200

// granted is a handle that does nothing.
type granted struct{}

func (granted) Call(_ context.Context, _ uint32, _, dst []byte) ([]byte, error) { return dst, nil }

// hostCall compares a call through a granted handle with a host function that checks nothing.
func hostCall(ctx context.Context) (Measured, error) {
	const counter = 2 // local
	count := func(body []byte) []byte {
		return asm([]byte{opLoop, noResult}, body, get(counter), i64c(1), []byte{opI64Add}, set(counter),
			get(counter), i64c(hostCallsEach), []byte{opI64GeU, opEqz, opBrIf, 0, opEnd}, i64c(0))
	}
	arguments := asm(i32c(0), i32c(1), i32c(requestAt), i32c(16), i32c(responseAt), i32c(16))
	six := signature{[]byte{i32, i32, i32, i32, i32, i32}, []byte{i64}}
	once := asm(arguments, call(0), []byte{opDrop})

	p, err := prepare(ctx, guestModule([]fn{{module: wasmabi.ModuleHost, name: wasmabi.ImportCall, signature: six}},
		[]byte{i64}, count(once)), host.Config{})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	s, err := p.Begin(ctx, host.SessionConfig{Handles: []host.Handle{granted{}}})
	if err != nil {
		return Measured{}, err
	}
	defer s.Close()

	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	bare := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 0 })
	_, err = r.NewHostModuleBuilder("bare").NewFunctionBuilder().WithGoModuleFunction(bare,
		[]api.ValueType{i32, i32, i32, i32, i32, i32}, []api.ValueType{i64}).Export("call").Instantiate(ctx)
	if err != nil {
		return Measured{}, err
	}
	m, err := r.Instantiate(ctx, module([]fn{
		{module: "bare", name: "call", signature: six},
		{name: "run", signature: signature{[]byte{i32, i32}, []byte{i64}}, locals: []byte{i64}, body: count(once)},
	}, nil))
	if err != nil {
		return Measured{}, err
	}
	run := m.ExportedFunction("run")
	stack := make([]uint64, 2)
	measured := compare(func(n int) {
		for range n {
			if _, err := s.Call(ctx, wasmabi.OpApply, nil); err != nil {
				panic(err)
			}
		}
	}, func(n int) {
		for range n {
			must(run.CallWithStack(ctx, stack))
		}
	})
	measured.Ours /= hostCallsEach
	measured.Theirs /= hostCallsEach
	return measured, nil
}

// must is for what can't fail in a measured loop; returning it would be measured too.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
