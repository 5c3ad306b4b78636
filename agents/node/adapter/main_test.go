package adapter

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/agents/node/plug/plugtest"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	host.RunChild()
	goleak.VerifyTestMain(m)
}

// prepare makes a module of an example ready.
func prepare(t *testing.T, example string, change func(*wasmabi.Manifest)) *host.Module {
	t.Helper()
	dir := filepath.Join("../../../examples", example)
	return prepareModule(t, dir, pluginstest.Module(t, dir), change)
}

// prepareModule packs a module with the manifest of its folder and makes it ready.
func prepareModule(t *testing.T, dir string, bare []byte, change func(*wasmabi.Manifest)) *host.Module {
	t.Helper()
	raw := pluginstest.Pack(t, dir, bare)
	if change != nil {
		m, err := wasmabi.ReadManifest(raw)
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		if raw, err = wasmabi.StripManifest(raw); err == nil {
			raw, err = wasmabi.AppendManifest(raw, m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := host.Config{}
	if cache, err := os.UserCacheDir(); err == nil {
		c.CacheDir = filepath.Join(cache, "edgehold", "test-code") // a second run compiles nothing
	}
	r, err := host.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Prepare(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// grant gives a module everything that it asks for.
func grant(t *testing.T, m *host.Module, c capability.Config) *Module {
	t.Helper()
	for _, r := range m.Manifest().Capabilities {
		c.Offers = append(c.Offers, capability.Offer{Kind: r.Kind, Hosts: r.Hosts, Methods: r.Methods, Paths: r.Paths, Write: r.Write, Address: address(c, r.Kind)})
	}
	if c.Store == nil {
		c.Store = NewStore(filepath.Join(t.TempDir(), "kv.json"))
	}
	for i := range m.Manifest().Capabilities {
		if err := capability.Judge(&m.Manifest().Capabilities[i], c.Offers); err != nil {
			t.Fatal(err)
		}
	}
	set := capability.Open(m.Manifest().Capabilities, c)
	t.Cleanup(func() { set.Close() })
	return &Module{Host: m, Init: *wasmabi.NewInit(m.Manifest()), Grant: set}
}

// address hides in the root: tests of http have no files.
func address(c capability.Config, kind string) string {
	if kind == wasmabi.CapabilityHTTP {
		return c.Root
	}
	return ""
}

// plugDriver is the driver of example 05 on a plug.
func plugDriver(t *testing.T, p *plugtest.Plug, c Config) *Driver {
	t.Helper()
	return NewDriver(grant(t, prepare(t, "05-rest-device", nil), capability.Config{Root: p.Address}), c)
}

func supervise(t *testing.T, dir string, d mechanisms.Driver) *mechanisms.Supervisor {
	t.Helper()
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: dir, BootID: "test", LockPatience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return s
}

// diary collects what a driver records.
type diary struct {
	mu       sync.Mutex
	episodes []*record.Episode
	failures []error
}

func (d *diary) add(e *record.Episode, failure error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.episodes, d.failures = append(d.episodes, e), append(d.failures, failure)
}

var _ io.Closer = (*Module)(nil)
