package adapter

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/node/plug/plugtest"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

const extismManifest = `
name: extism-plug
version: 1.0.0
kind: adapter
door: extism
provides:
  mechanism: SmartPlug
  summary: a smart plug, by an Extism plugin
capabilities:
  - name: device
    kind: http
    hosts: ["plug.example.org:80"]
    methods: [GET, PUT, POST, DELETE]
    bytes: 4KiB
    reason: turn the plug's fan
limits:
  deadline: 15s
`

func extismModule(t *testing.T) *host.Module {
	t.Helper()
	manifest, err := plugins.ParseManifest([]byte(extismManifest))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := plugins.Pack(pluginstest.ExtismAdapter(t), manifest)
	if err != nil {
		t.Fatal(err)
	}
	r, err := host.New(t.Context(), host.Config{Limits: host.Limits{Deadline: time.Minute, Fuel: 100_000_000}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Prepare(t.Context(), packed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// An Extism plugin makes a mechanism as a module of ours does: it turns a real device through the capability that it was granted, what it
// did is taken back, and its operations are replayed without the device.
func TestExtismPlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	p := plugtest.Start(t)
	m := extismModule(t)
	var d diary
	driver := NewDriver(grant(t, m, capability.Config{Root: p.Address}), Config{Record: d.add, Now: func() time.Time { return time.Unix(1e9, 0) }})
	s := supervise(t, t.TempDir(), driver)
	r, err := s.Apply(t.Context(), set(fan, mechanisms.Number(83), time.Minute))
	if err != nil || r.Changes[0].Effective != mechanisms.Number(85) {
		t.Fatalf("got %+v, %v", r, err)
	}
	if percent, auto := p.Fan(); percent != 85 || auto {
		t.Errorf("the plug's fan is at %v, auto %t", percent, auto)
	}
	if facts := driver.Facts(t.Context()); facts["serial"] != "4C11AE" {
		t.Errorf("facts: %v", facts)
	}
	if r := s.RevertAll(t.Context(), "test"); r.Outcome != mechanisms.Applied {
		t.Errorf("revert: %+v", r)
	}
	if percent, auto := p.Fan(); percent != 40 || !auto {
		t.Errorf("the fan was not given back: %v, auto %t", percent, auto)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	replayAll(t, m, &d)
}

// A plugin without the grant reaches nothing, and says so.
func TestExtismPluginWithoutGrant(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	m := extismModule(t)
	set := capability.Open(m.Manifest().Capabilities, capability.Config{})
	defer set.Close()
	driver := NewDriver(&Module{Host: m, Grant: set}, Config{})
	if _, err := driver.Read(t.Context(), fan); err == nil || !strings.Contains(err.Error(), "its HTTP request failed") {
		t.Errorf("got %v", err)
	}
}
