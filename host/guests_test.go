package host

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	RunChild()
	goleak.VerifyTestMain(m)
}

// Operations of the reference guest beside those of the ABI.
const (
	opEcho wasmabi.Op = 100 + iota
	opPanic
	opLoop
	opRecurse
	opAllocate
	opClock
	opRandom
	opSleep
	opGoroutines
	opExit
	opLog
	opCount
	opGuestError
	opCollect
	opFlood
	opDeadlock
	opHostCall
)

var referenceManifest = wasmabi.Manifest{
	Name: "reference", Version: "1.0.0", Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode,
	ABI: wasmabi.Version,
}

// reference returns the reference guest, with the names of its functions, which traps tell.
func reference(t testing.TB) []byte {
	t.Helper()
	module, err := wasmabi.AppendManifest(pluginstest.Module(t, "./testdata/guests/reference", "-ldflags="), &referenceManifest)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// testCache is a cache directory that survives test runs, so that a guest is compiled once for each of its contents.
func testCache(t testing.TB) string {
	t.Helper()
	root, err := os.UserCacheDir()
	if err != nil {
		root = os.TempDir()
	}
	return filepath.Join(root, "edgehold-test")
}

func newRuntime(t testing.TB, c Config) *Runtime {
	t.Helper()
	if c.CacheDir == "" {
		c.CacheDir = t.TempDir()
	}
	c.Limits.Deadline = cmp.Or(c.Limits.Deadline, patience)
	r, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func prepare(t testing.TB, r *Runtime, module []byte) *Module {
	t.Helper()
	m, err := r.Prepare(t.Context(), module)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return m
}
