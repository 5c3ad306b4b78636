package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edgehold/edgehold/host/extism/helper"
)

// helperProgram builds the program that runs plugins, once.
var helperProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "edgehold-helper")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, helper.Program)
	build := exec.Command("go", "build", "-o", file, "../edgehold-plugin")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// buildHelper puts the helper into the script's PATH, and plugins that the Extism project's SDK brings for its own tests into its
// folder.
func buildHelper(ts *testscript.TestScript, neg bool, plugins []string) {
	if neg {
		ts.Fatalf("helper can not be negated")
	}
	program, err := helperProgram()
	ts.Check(err)
	bin := ts.MkAbs("helper-bin")
	ts.Check(os.MkdirAll(bin, 0o755))
	ts.Check(os.WriteFile(filepath.Join(bin, helper.Program), program, 0o755))
	ts.Setenv("PATH", bin+string(os.PathListSeparator)+ts.Getenv("PATH"))
	ts.Setenv("XDG_CACHE_HOME", ts.MkAbs("cache"))
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	ts.Check(err)
	for _, name := range plugins {
		module, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "wasm", name))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name), module, 0o644))
	}
}
