package toolchain

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, path, text string) {
	t.Helper()
	path = filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDetect(t *testing.T) {
	for path, want := range map[string]Language{
		"policy.go": Go, "policy.c": C, "Cargo.toml": Rust, "assembly/index.ts": AssemblyScript, "README.md": "",
	} {
		dir := t.TempDir()
		write(t, dir, path, "")
		if got, ok := Detect(dir); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t", path, got, ok)
		}
	}
}

func TestMissingCompilersAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("EDGEHOLD_TOOLCHAINS", t.TempDir())
	t.Setenv("EDGEHOLD_TINYGO", "")
	for _, l := range append(Languages, "cobol") {
		err := Build(t.Context(), l, t.TempDir(), filepath.Join(t.TempDir(), "out.wasm"))
		missing, ok := errors.AsType[*Missing](err)
		if !ok || missing.Language != l || missing.Tool == "" || missing.Hint == "" || !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s: got %v", l, err)
		}
	}
}

func TestWrongSourcesAreRefusedByLine(t *testing.T) {
	for l, source := range map[Language][2]string{
		Go: {"policy.go", "package main\n\nfunc main() { nothing() }\n"},
		C:  {"policy.c", "\n\nint f(void) { return nothing; }\n"},
	} {
		dir := t.TempDir()
		write(t, dir, "go.mod", "module x\n\ngo 1.24\n")
		write(t, dir, source[0], source[1])
		err := Build(t.Context(), l, dir, filepath.Join(t.TempDir(), "out.wasm"))
		if errors.Is(err, exec.ErrNotFound) && os.Getenv("EDGEHOLD_SKIP_NOTHING") == "" {
			t.Logf("not tried: %v", err)
			continue
		}
		failed, ok := errors.AsType[*Failed](err)
		if !ok || !strings.Contains(failed.Output, source[0]+":3") {
			t.Errorf("%s: got %v", l, err)
		}
	}
}
