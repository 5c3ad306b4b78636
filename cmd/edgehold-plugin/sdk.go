package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	sdk "github.com/extism/go-sdk"

	"github.com/edgehold/edgehold/host/extism"
	"github.com/edgehold/edgehold/host/extism/helper"
)

// fallback is a plugin on the Extism project's SDK, which has mounted folders and linked modules, and neither fuel nor replay.
type fallback struct {
	plugin   *sdk.Plugin
	exports  []string
	warnings []string
	log      []helper.Line
}

func openSDK(ctx context.Context, o *helper.Order) (helper.Plugin, error) {
	m, err := sdkManifest(o)
	if err != nil {
		return nil, err
	}
	sdk.SetLogLevel(sdkLevels[o.LogLevel])
	p, err := sdk.NewPlugin(ctx, *m, sdk.PluginConfig{EnableWasi: true, EnableHttpResponseHeaders: true}, nil)
	if err != nil {
		return nil, &extism.Error{Attempt: "prepare Extism plugin", Code: "extism.sdk", Why: err.Error(),
			Hint: "check its imports and the manifest"}
	}
	f := &fallback{plugin: p, warnings: []string{
		"the fallback engine go-sdk runs this plugin: without fuel, record and replay; a call that runs into its time limit ends the plugin"}}
	p.SetLogger(func(level sdk.LogLevel, text string) {
		f.log = append(f.log, helper.Line{Level: strings.ToLower(level.String()), Text: text})
	})
	return f, nil
}

var sdkLevels = map[string]sdk.LogLevel{
	"trace": sdk.LogLevelTrace, "debug": sdk.LogLevelDebug, "": sdk.LogLevelInfo, "info": sdk.LogLevelInfo, "warn": sdk.LogLevelWarn,
	"error": sdk.LogLevelError,
}

// sdkManifest is the order's manifest with the module as its main one and the order's limits.
func sdkManifest(o *helper.Order) (*sdk.Manifest, error) {
	m := sdk.Manifest{}
	d := json.NewDecoder(bytes.NewReader(o.Manifest))
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read Extism manifest: %w", err)
	}
	if err := linkLast(&m, o.Module); err != nil {
		return nil, err
	}
	if pages := o.MemoryBytes / 65536; pages > 0 && (m.Memory.MaxPages == 0 || uint64(m.Memory.MaxPages) > pages) {
		m.Memory.MaxPages = uint32(min(pages, math.MaxUint16))
	}
	if o.DeadlineMS > 0 {
		m.Timeout = uint64(o.DeadlineMS)
	}
	if m.Timeout == 0 {
		m.Timeout = uint64(defaultDeadline.Milliseconds())
	}
	return &m, nil
}

// linkLast puts the module behind those that the manifest links to it: files, by name. One without a name is the plugin itself, as
// manifests for SDKs have it.
func linkLast(m *sdk.Manifest, module []byte) error {
	linked := m.Wasm
	m.Wasm = nil
	for _, w := range linked {
		switch f := w.(type) {
		case sdk.WasmFile:
			if f.Name != "" && f.Name != "main" {
				m.Wasm = append(m.Wasm, f)
			}
		case sdk.WasmData:
			if f.Name != "" && f.Name != "main" {
				m.Wasm = append(m.Wasm, f)
			}
		default:
			return &extism.Error{Attempt: "prepare Extism plugin", Code: "extism.manifest", Why: "its manifest links a module from the network",
				Hint: "fetch it first, check it, and give its path"}
		}
	}
	m.Wasm = append(m.Wasm, sdk.WasmData{Data: module, Name: "main"})
	return nil
}

// Exports returns nothing: the SDK does not tell them.
func (f *fallback) Exports() []string { return f.exports }

func (f *fallback) Warnings() []string { return f.warnings }

func (f *fallback) Call(ctx context.Context, c helper.Call) helper.Answer {
	f.log = nil
	code, output, err := f.plugin.CallWithContext(ctx, c.Export, c.Input)
	a := helper.Answer{Output: output, Returned: code, Log: f.log}
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\nwasm stack trace")
		a.Error = helper.NewFailure(&extism.Error{Attempt: "call " + c.Export, Code: "extism.call", Why: why,
			Hint: "the engine go-sdk tells no more; our own tells traps, limits and the plugin's errors apart"})
	}
	return a
}

func (f *fallback) Close(ctx context.Context) error {
	err := f.plugin.CloseWithContext(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
