package languages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
)

func TestMain(m *testing.M) {
	host.RunChild()
	var err error
	if compiled, err = os.MkdirTemp("", "edgehold-languages-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(compiled)
	os.Exit(code)
}

// compiled is the folder that modules are compiled into.
var compiled string

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
	// A machine that runs tests has other work: neither a call nor the compiler may run out of time for that.
	return host.New(context.Background(), host.Config{CacheDir: compiled, CompileTime: 2 * time.Minute, Limits: host.Limits{Deadline: time.Minute}})
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
