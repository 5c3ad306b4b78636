// Package pluginstest builds guests for tests and benchmarks from source code.
// It is not what builds policies for their authors: cmd/internal/scaffold is, and explains to them what went wrong.
package pluginstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// built holds what each command line has built, as a func() ([]byte, error).
var built sync.Map

// Go builds package pkg, named as for the go tool, into a module without a manifest. It does so once for each process and
// choice of flags; these come after the flags that `edgehold policy build` gives, and win. Callers share the module: it is
// not theirs to change.
func Go(pkg string, flags ...string) ([]byte, error) {
	args := []string{"go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}
	return once(append(args, flags...), pkg, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
}

// TinyGo is [Go] with TinyGo. An error is [exec.ErrNotFound] where it is not installed.
func TinyGo(pkg string) ([]byte, error) {
	tool, err := toolchain.FindTinyGo()
	if err != nil {
		return nil, err
	}
	return once(slices.Concat([]string{tool, "build"}, toolchain.TinyGoFlags), pkg)
}

// Project builds the project in folder dir, once for each process. An error is [exec.ErrNotFound] where its compiler is not
// installed.
func Project(l toolchain.Language, dir string) ([]byte, error) {
	build, _ := built.LoadOrStore(string(l)+"\n"+dir, sync.OnceValues(func() ([]byte, error) {
		temporary, err := os.MkdirTemp("", "edgehold-guest")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(temporary)
		out := filepath.Join(temporary, "guest.wasm")
		if err := toolchain.Build(context.Background(), l, dir, out); err != nil {
			return nil, err
		}
		module, err := os.ReadFile(out)
		return slices.Clip(module), err
	}))
	return build.(func() ([]byte, error))()
}

// Need ends the test if there is an error: it is skipped, and says why, when a compiler is missing or a kit can't be fetched,
// and fails otherwise, and always where EDGEHOLD_SKIP_NOTHING is set.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case (errors.Is(err, exec.ErrNotFound) || unreachable(err)) && os.Getenv("EDGEHOLD_SKIP_NOTHING") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// Module is [Go] for a test that needs it.
func Module(t testing.TB, pkg string, flags ...string) []byte {
	t.Helper()
	module, err := Go(pkg, flags...)
	Need(t, err)
	return module
}

// Pack returns module with the manifest that policy.yaml in folder dir describes.
func Pack(t testing.TB, dir string, module []byte) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := plugins.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := plugins.Pack(module, manifest)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// Patient gives the calls of a packed module a minute, whatever its manifest says: a machine that runs tests has other work.
func Patient(t testing.TB, module []byte) []byte {
	t.Helper()
	manifest, err := wasmabi.ReadManifest(module)
	if err != nil {
		t.Fatal(err)
	}
	manifest.Limits.DeadlineMS = 60_000
	patient, err := plugins.Pack(module, manifest)
	if err != nil {
		t.Fatal(err)
	}
	return patient
}

// ExtismPolicy returns a policy that is an ordinary Extism plugin, built by Go with the Extism project's kit, without a
// manifest. The test needs that kit.
func ExtismPolicy(t testing.TB) []byte { return Extism(t, ".") }

// ExtismAdapter is [ExtismPolicy] for an adapter, which speaks to the device of examples/05-rest-device.
func ExtismAdapter(t testing.TB) []byte { return Extism(t, "./plug") }

// Extism is [ExtismPolicy] for any package below host/extism/testdata/go.
func Extism(t testing.TB, pkg string) []byte {
	t.Helper()
	find := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/edgehold/edgehold/host/extism")
	dir, err := find.Output()
	Need(t, err)
	source := filepath.Join(strings.TrimSpace(string(dir)), "testdata", "go")
	module, err := once([]string{"go", "-C", source, "build", "-mod=mod", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid="}, pkg, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off")
	Need(t, err)
	return module
}

// unreachable tells that a module could not be fetched from what a build says.
func unreachable(err error) bool {
	return slices.ContainsFunc([]string{"dial tcp", "no such host", "connection refused", "i/o timeout", "module lookup disabled"},
		func(sign string) bool { return strings.Contains(err.Error(), sign) })
}

func once(args []string, pkg string, env ...string) ([]byte, error) {
	build, _ := built.LoadOrStore(strings.Join(append(args, pkg), "\n"), sync.OnceValues(func() ([]byte, error) {
		return build(args, pkg, env)
	}))
	return build.(func() ([]byte, error))()
}

func build(args []string, pkg string, env []string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "edgehold-guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command(args[0], slices.Concat(args[1:], []string{"-o", out, pkg})...)
	cmd.Env = append(os.Environ(), append(env, "GOFLAGS=")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build guest %s: %w\n%s", pkg, err, text)
	}
	module, err := os.ReadFile(out)
	return slices.Clip(module), err
}

// ExtismFiles builds an adapter that opens files itself, for the fallback engine; its manifest says so.
func ExtismFiles(t testing.TB) []byte {
	t.Helper()
	manifest, err := plugins.ParseManifest([]byte(filesManifest))
	if err != nil {
		t.Fatal(err)
	}
	module, err := plugins.Pack(Extism(t, "./files"), manifest)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

const filesManifest = `
name: fan-files
version: 1.0.0
kind: adapter
door: extism-sdk
provides:
  mechanism: FanBank
  summary: fans behind plain files
capabilities:
  - name: fans
    kind: file
    paths: ["/srv/fans/bank*/level"]
    write: true
    bytes: 4KiB
    reason: read and set the level
parameters:
  - name: bank
    default: 1
limits:
  memory: 16MiB
`
