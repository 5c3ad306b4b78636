package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

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

// reference returns the reference guest, built by the go tool.
func reference(t testing.TB) []byte {
	t.Helper()
	module, err := referenceModule()
	if err != nil {
		t.Skipf("the reference guest needs the go tool: %v", err)
	}
	return module
}

var referenceModule = sync.OnceValues(func() ([]byte, error) {
	plain, err := buildGuest("./testdata/guests/reference")
	if err != nil {
		return nil, err
	}
	return wasmabi.AppendManifest(plain, &referenceManifest)
})

// buildGuest builds a Go guest, which takes the go tool half a second even if nothing changed, and less with its cache.
func buildGuest(pkg string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "edgehold-guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w: %s", pkg, err, text)
	}
	return os.ReadFile(out)
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
