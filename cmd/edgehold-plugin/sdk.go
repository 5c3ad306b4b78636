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

// sdkPlugin is a plugin on the Extism project's SDK, which has mounted folders and linked modules, and neither fuel nor replay.
type sdkPlugin struct {
	compiled *sdk.CompiledPlugin
	instance sdk.PluginInstanceConfig
	plugin   *sdk.Plugin
	exports  []string
	warnings []string
	output   uint64 // bytes of a call; 0 is no limit
	most     uint64 // bytes of log of a call; 0 is no limit
	logged   uint64
	log      []helper.Line
}

func openSDK(ctx context.Context, o *helper.Order) (helper.Plugin, error) {
	m, err := sdkManifest(o)
	if err != nil {
		return nil, err
	}
	sdk.SetLogLevel(sdkLevels[o.LogLevel])
	c := sdk.PluginConfig{EnableWasi: true, EnableHttpResponseHeaders: true}
	if len(o.Grant) > 0 {
		if err := confine(o, m, &c); err != nil {
			return nil, err
		}
	}
	f := &sdkPlugin{output: o.OutputBytes, most: o.LogBytes, warnings: []string{
		"the fallback engine go-sdk runs this plugin: without fuel, record and replay; a call that runs into its time limit ends the plugin"}}
	f.instance.ModuleConfig = c.ModuleConfig
	if f.compiled, err = sdk.NewCompiledPlugin(ctx, *m, c, nil); err == nil {
		err = f.renew(ctx)
	}
	if err != nil {
		return nil, &extism.Error{Attempt: "prepare Extism plugin", Code: "extism.sdk", Why: err.Error(),
			Hint: "check its imports and the manifest"}
	}
	for _, name := range o.Ask {
		if f.plugin.FunctionExists(name) {
			f.exports = append(f.exports, name)
		}
	}
	if len(o.Grant) > 0 {
		err = giveUp(o.MemoryBytes)
	}
	return f, err
}

// renew puts an instance in the place of the one that calls were made on.
func (f *sdkPlugin) renew(ctx context.Context) error {
	if f.plugin != nil {
		if err := f.plugin.CloseWithContext(ctx); err != nil {
			return err
		}
	}
	p, err := f.compiled.Instance(ctx, f.instance)
	if err != nil {
		return err
	}
	f.plugin = p
	p.SetLogger(func(level sdk.LogLevel, text string) {
		if f.logged += uint64(len(text)); f.most == 0 || f.logged <= f.most {
			f.log = append(f.log, helper.Line{Level: strings.ToLower(level.String()), Text: text})
		}
	})
	return nil
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

// Exports returns those that were asked for: the SDK tells no others.
func (f *sdkPlugin) Exports() []string { return f.exports }

func (f *sdkPlugin) Warnings() []string { return f.warnings }

func (f *sdkPlugin) Call(ctx context.Context, c helper.Call) helper.Answer {
	f.log, f.logged = nil, 0
	if c.Fresh {
		if err := f.renew(ctx); err != nil {
			return helper.Answer{Error: helper.NewFailure(err)}
		}
	}
	code, output, err := f.plugin.CallWithContext(ctx, c.Export, c.Input)
	a := helper.Answer{Output: output, Returned: code, Log: f.log}
	if f.output > 0 && uint64(len(output)) > f.output {
		a.Output = nil
		a.Error = &helper.Failure{Message: fmt.Sprintf("call %s: an output of %d bytes; the limit is %d", c.Export, len(output), f.output), Code: helper.CodeOutput}
		return a
	}
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\nwasm stack trace")
		a.Error = helper.NewFailure(&extism.Error{Attempt: "call " + c.Export, Code: "extism.call", Why: why,
			Hint: "the engine go-sdk tells no more; our own tells traps, limits and the plugin's errors apart"})
	}
	return a
}

func (f *sdkPlugin) Close(ctx context.Context) error {
	err := errors.Join(f.plugin.CloseWithContext(ctx), f.compiled.Close(ctx))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
