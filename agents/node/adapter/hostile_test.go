package adapter

import (
	"context"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Whatever a module does after it has changed its device, the command fails and the knob goes back; and the next command
// finds an instance that knows nothing of it.
func TestFailuresAreTakenBack(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	bare := pluginstest.Module(t, "./testdata/hostile")
	manifest := &wasmabi.Manifest{
		Name: "hostile", Version: "1.0.0", Kind: wasmabi.KindAdapter, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: wasmabi.Version,
		Description: "Misbehaves.", Provides: wasmabi.Provides{Mechanism: "Hostile"},
		Capabilities: []wasmabi.CapabilityRequest{{Name: "device", Kind: wasmabi.CapabilityKV, Reason: "is the device"}},
	}
	raw, err := wasmabi.AppendManifest(bare, manifest)
	if err != nil {
		t.Fatal(err)
	}
	r, err := host.New(t.Context(), host.Config{InProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Prepare(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	driver := NewDriver(grant(t, m, capability.Config{}), Config{})
	s := supervise(t, t.TempDir(), driver)
	turn := func(knob string) (mechanisms.Result, error) {
		return s.Apply(t.Context(), mechanisms.Command{Mechanism: "Hostile", Verb: mechanisms.Set, Owner: "test", Lease: time.Minute,
			Settings: []mechanisms.Setting{{Knob: "calm", Value: mechanisms.Number(50)}, {Knob: knob, Value: mechanisms.Number(60)}}})
	}
	at := func(knob string, want float64) {
		t.Helper()
		if got, err := driver.Read(t.Context(), knob); err != nil || got != mechanisms.Number(want) {
			t.Errorf("%s is at %v, %v; want %v", knob, got, err, want)
		}
	}
	for _, knob := range []string{"trap", "loop", "greedy", "talker"} {
		t.Run(knob, func(t *testing.T) {
			got, err := turn(knob)
			if err == nil || got.Outcome != mechanisms.Undone && got.Outcome != mechanisms.PartlyUndone {
				t.Fatalf("got %+v, %v", got, err)
			}
			at("calm", 10)
			at(knob, 10)
			if s.Outstanding() != 0 || len(s.Leases()) != 0 {
				t.Errorf("%d outstanding, %d leases", s.Outstanding(), len(s.Leases()))
			}
		})
	}
	t.Run("liar", func(t *testing.T) {
		got, err := turn("liar")
		if err != nil || got.Outcome != mechanisms.Clamped {
			t.Fatalf("got %+v, %v", got, err)
		}
		at("calm", 50)
		at("liar", 99)
	})
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	at("calm", 10)
	at("liar", 10)
}
