package main

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
	"github.com/edgehold/edgehold/host/extism/helper"
)

// What a plugin may use that a person runs by hand: far more than a policy, and still bounded.
const (
	defaultFuel     = 10_000_000_000
	defaultDeadline = 5 * time.Second
	defaultMemory   = 256 << 20
	shared          = 64 << 20 // bytes of input, output and blocks
	variables       = 1 << 20  // bytes
	logBytes        = 1 << 20
	hostCalls       = 100_000
)

// door is a plugin on our own runner.
type door struct {
	runtime  *host.Runtime
	plugin   *extism.Plugin
	instance *extism.Instance
	log      *logbook
}

func openDoor(ctx context.Context, o *helper.Order) (helper.Plugin, error) {
	m, err := extism.ParseManifest(bytes.NewReader(o.Manifest))
	if err != nil {
		return nil, err
	}
	d := &door{log: &logbook{}}
	d.runtime, err = host.New(ctx, host.Config{CacheDir: o.CacheDir, Logger: slog.New(d.log), MaxInstances: 1, Limits: host.Limits{
		Fuel: cmp.Or(o.Fuel, defaultFuel), Deadline: deadline(o, m), Memory: cmp.Or(o.MemoryBytes, defaultMemory),
		HostCalls: hostCalls, LogBytes: logBytes, ResponseBytes: shared, KernelBytes: shared, VarBytes: variables,
	}})
	if err != nil {
		return nil, err
	}
	if d.plugin, err = extism.Prepare(ctx, d.runtime, o.Module, m, extism.Options{Name: o.Name, LogLevel: levels[o.LogLevel]}); err == nil {
		d.instance, err = d.plugin.Begin(ctx)
	}
	if err != nil {
		d.runtime.Close(ctx)
		return nil, err
	}
	return d, nil
}

// deadline is what the caller says, or the manifest, or the default.
func deadline(o *helper.Order, m extism.Manifest) time.Duration {
	return cmp.Or(time.Duration(o.DeadlineMS)*time.Millisecond, m.Timeout(), defaultDeadline)
}

var levels = map[string]host.PluginLevel{
	"trace": host.PluginTrace, "debug": host.PluginDebug, "info": host.PluginInfo, "warn": host.PluginWarn, "error": host.PluginError,
}

func (d *door) Exports() []string { return d.plugin.Exports() }

func (d *door) Warnings() []string { return nil }

func (d *door) Call(ctx context.Context, c helper.Call) helper.Answer {
	d.log.lines = nil
	output, err := d.instance.Call(ctx, c.Export, c.Input)
	return helper.Answer{Output: output, Returned: d.instance.Returned(), Fuel: d.instance.Fuel(), Log: d.log.lines, Error: helper.NewFailure(err)}
}

func (d *door) Close(ctx context.Context) error {
	d.instance.Close()
	return d.runtime.Close(ctx)
}

// logbook is the handler of the runtime's log: it keeps what the guest says.
type logbook struct{ lines []helper.Line }

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "text" {
			l.lines = append(l.lines, helper.Line{Level: strings.ToLower(r.Level.String()), Text: a.Value.String()})
		}
		return true
	})
	return nil
}
