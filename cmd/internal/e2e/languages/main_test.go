package languages

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
)

func TestMain(m *testing.M) {
	host.RunChild()
	os.Exit(m.Run())
}

const example = "../../../../examples/01-cpu-boost"

// projects are the folders of the same policy.
var projects = map[toolchain.Language]string{
	toolchain.Go:             example,
	toolchain.TinyGo:         example,
	toolchain.Rust:           filepath.Join(example, "rust"),
	toolchain.C:              filepath.Join(example, "c"),
	toolchain.AssemblyScript: filepath.Join(example, "assemblyscript"),
}

// runtime is shared by all tests: a module is compiled once.
var runtime = sync.OnceValues(func() (*host.Runtime, error) {
	dir, err := os.MkdirTemp("", "edgehold-languages")
	if err != nil {
		return nil, err
	}
	return host.New(context.Background(), host.Config{CacheDir: dir})
})

// build compiles the policy and packs its manifest.
func build(t testing.TB, l toolchain.Language) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles modules")
	}
	module, err := pluginstest.Project(l, projects[l])
	pluginstest.Need(t, err)
	return pluginstest.Pack(t, example, module)
}

// prepare takes a module through everything that an upload goes through.
func prepare(t testing.TB, module []byte) *host.Module {
	t.Helper()
	r, err := runtime()
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Prepare(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}
