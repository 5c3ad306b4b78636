package main

import (
	"context"
	"fmt"
	"testing"

	sdk "github.com/extism/go-sdk"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
)

// pluginAgainstSDK has the same Extism plugin called through our door, with every limit on, and through the SDK, without any.
// It fails if a call through our door makes garbage.
func pluginAgainstSDK(ctx context.Context) (Measured, error) {
	ours, done, err := echoThroughDoor(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer done()
	if n := testing.AllocsPerRun(100, func() { ours(1) }); n > 0 {
		return Measured{}, fmt.Errorf("a call of an Extism plugin makes %g allocations", n)
	}
	theirs, finish, err := echoThroughSDK(ctx)
	if err != nil {
		return Measured{}, err
	}
	defer finish()
	return compare(ours, theirs), nil
}

// echoThroughDoor returns n calls of the echoing plugin through our door.
func echoThroughDoor(ctx context.Context) (run func(n int), done func(), err error) {
	r, err := host.New(ctx, host.Config{})
	if err != nil {
		return nil, nil, err
	}
	p, err := extism.Prepare(ctx, r, extismEcho(), extism.Manifest{}, extism.Options{})
	if err != nil {
		return nil, nil, err
	}
	i, err := p.Begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	request := make([]byte, requestBytes)
	run = func(n int) {
		for range n {
			if out, err := i.Call(ctx, "echo", request); err != nil || len(out) != answerBytes {
				panic(err)
			}
		}
	}
	return run, func() { i.Close(); r.Close(ctx) }, nil
}

// echoThroughSDK returns n calls of the echoing plugin through the Extism project's SDK.
func echoThroughSDK(ctx context.Context) (run func(n int), done func(), err error) {
	manifest := sdk.Manifest{Wasm: []sdk.Wasm{sdk.WasmData{Data: extismEcho()}}}
	plugin, err := sdk.NewPlugin(ctx, manifest, sdk.PluginConfig{EnableWasi: false}, nil)
	if err != nil {
		return nil, nil, err
	}
	request := make([]byte, requestBytes)
	run = func(n int) {
		for range n {
			if _, out, err := plugin.Call("echo", request); err != nil || len(out) != answerBytes {
				panic(err)
			}
		}
	}
	return run, func() { plugin.Close(ctx) }, nil
}
