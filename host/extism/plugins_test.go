package extism_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
)

// built keeps what was built for the tests of this process.
var built sync.Map

// build runs a command in a folder of testdata, once, and returns the file that it writes to OUT. It needs the toolchain
// and the plugin development kit: see pluginstest.Need.
func build(t testing.TB, dir string, env []string, command ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("building a plugin with " + command[0] + " takes a while")
	}
	once, _ := built.LoadOrStore(strings.Join(append(command, dir), "\n"), sync.OnceValues(func() ([]byte, error) {
		return buildOnce(dir, env, command)
	}))
	module, err := once.(func() ([]byte, error))()
	pluginstest.Need(t, err)
	return module
}

func buildOnce(dir string, env, command []string) ([]byte, error) {
	out, err := os.MkdirTemp("", "extism-plugin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	file := filepath.Join(out, "plugin.wasm")
	for i := range command {
		command[i] = strings.ReplaceAll(command[i], "OUT", file)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = filepath.Join("testdata", dir)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		for _, sign := range []string{"dial tcp", "no such host", "Could not resolve", "connection refused", "i/o timeout", // of Go
			"may not be installed", ": not found", "failed to download", "failed to get", // of Rust
			"ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT"} /* of npm */ {
			if strings.Contains(string(text), sign) {
				return nil, errors.Join(exec.ErrNotFound, errors.New(string(text))) // the kit, for want of a network
			}
		}
		return nil, errors.Join(err, errors.New(string(text)))
	}
	return os.ReadFile(file)
}

// goPlugin is testdata/go, built by Go with the kit of the Extism project.
func goPlugin(t testing.TB) []byte { return pluginstest.ExtismPolicy(t) }

// tinyGoPlugin is the same source, built by TinyGo.
func tinyGoPlugin(t testing.TB) []byte {
	tool, err := toolchain.FindTinyGo()
	pluginstest.Need(t, err)
	return build(t, "go", []string{"GOFLAGS=-mod=mod", "GOWORK=off"}, tool, "build", "-target=wasip1", "-buildmode=c-shared", "-gc=precise",
		"-no-debug", "-o", "OUT", ".")
}

// rustPlugin is the same policy in testdata/rust, built with the kit for Rust.
func rustPlugin(t testing.TB) []byte {
	target := cache(t, "cargo")
	return build(t, "rust", []string{"CARGO_TARGET_DIR=" + target}, "sh", "-ec", `copy=$(mktemp -d) # cargo leaves a lock file beside what it builds
		trap 'rm -rf "$copy"' EXIT
		cp -r Cargo.toml src "$copy"
		cargo build --quiet --release --target wasm32-unknown-unknown --manifest-path "$copy/Cargo.toml"
		cp "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/cpuboost.wasm" OUT`)
}

// assemblyScriptPlugin is testdata/assemblyscript, built with the kit for AssemblyScript.
func assemblyScriptPlugin(t testing.TB) []byte {
	return build(t, "assemblyscript", nil, "sh", "-ec", `copy=$(mktemp -d) # npm leaves what it fetched beside what it is for
		trap 'rm -rf "$copy"' EXIT
		cp package.json tally.ts "$copy"
		cd "$copy"
		npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
		node node_modules/assemblyscript/bin/asc.js tally.ts --outFile OUT --use abort=tally/abort -O`)
}
