package scaffold

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

func newProject(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cpu-boost")
	if err := New(dir, "cpu-boost", Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var coded interface {
		ErrorCode() string
		ErrorHint() string
	}
	if !errors.As(err, &coded) || coded.ErrorCode() != code || coded.ErrorHint() == "" {
		t.Errorf("got %v, want code %s and a hint", err, code)
	}
}

func TestNewProjectPassesItsTestsAndBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-mod=mod") // must not reach the build
	dir := newProject(t)
	var output bytes.Buffer
	var first []byte
	check := func(_ context.Context, module []byte) error {
		first = module
		_, err := wasmabi.ReadManifest(module)
		return err
	}
	if err := Test(t.Context(), dir, TestOptions{Check: check, Output: &output}); err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	built, err := Build(t.Context(), dir, "", BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(filepath.Join(dir, "cpu-boost.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("building twice gave different bytes")
	}
	if built.Bytes != len(second) || built.Manifest.Name != "cpu-boost" || !strings.HasPrefix(built.Digest, "sha256:") {
		t.Errorf("got %+v", built)
	}
}

func TestBuildDoesNotDependOnTheFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	a, err := Build(t.Context(), newProject(t), "", BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Build(t.Context(), newProject(t), "", BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest != b.Digest {
		t.Error("two folders gave different bytes")
	}
}

func TestTinyGoBuildsTheProject(t *testing.T) {
	_, err := toolchain.FindTinyGo()
	pluginstest.Need(t, err)
	built, err := Build(t.Context(), newProject(t), "", BuildOptions{Language: toolchain.TinyGo})
	if err != nil {
		t.Fatal(err)
	}
	if built.Bytes > 200<<10 {
		t.Errorf("the module has %d bytes", built.Bytes)
	}
}

func TestRefusals(t *testing.T) {
	t.Run("name", func(t *testing.T) {
		wantCode(t, New(filepath.Join(t.TempDir(), "x"), "CPU Boost", Options{}), "scaffold.name")
	})
	t.Run("folder in use", func(t *testing.T) {
		dir := newProject(t)
		before, _ := os.ReadFile(filepath.Join(dir, "policy.go"))
		wantCode(t, New(dir, "other", Options{}), "scaffold.exists")
		if after, _ := os.ReadFile(filepath.Join(dir, "policy.go")); !bytes.Equal(before, after) {
			t.Error("a file was changed")
		}
	})
	t.Run("folder is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "f")
		os.WriteFile(file, nil, 0o644)
		wantCode(t, New(file, "x", Options{}), "scaffold.write")
	})
	t.Run("no manifest", func(t *testing.T) {
		_, err := Build(t.Context(), t.TempDir(), "", BuildOptions{})
		wantCode(t, err, "scaffold.no-manifest")
	})
	t.Run("bad manifest", func(t *testing.T) {
		dir := newProject(t)
		os.WriteFile(filepath.Join(dir, ManifestFile), []byte("name: x\n  y: 1"), 0o644)
		_, err := Build(t.Context(), dir, "", BuildOptions{})
		wantCode(t, err, "manifest.syntax")
	})
	t.Run("no Go", func(t *testing.T) {
		dir := newProject(t)
		t.Setenv("PATH", t.TempDir())
		t.Setenv("EDGEHOLD_TOOLCHAINS", t.TempDir())
		_, err := Build(t.Context(), dir, "", BuildOptions{})
		wantCode(t, err, "scaffold.no-go")
		_, err = Build(t.Context(), dir, "", BuildOptions{Language: toolchain.TinyGo})
		wantCode(t, err, "scaffold.no-tinygo")
	})
	t.Run("source does not compile", func(t *testing.T) {
		dir := newProject(t)
		os.WriteFile(filepath.Join(dir, "more.go"), []byte("package main\nvar x int = nothing\n"), 0o644)
		_, err := Build(t.Context(), dir, "", BuildOptions{})
		wantCode(t, err, "scaffold.compile")
		if err != nil && !strings.Contains(err.Error(), "more.go:2") {
			t.Errorf("the line is not named: %v", err)
		}
	})
	t.Run("test fails", func(t *testing.T) {
		dir := newProject(t)
		os.WriteFile(filepath.Join(dir, "more_test.go"), []byte("package main\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Fail() }\n"), 0o644)
		wantCode(t, Test(t.Context(), dir, TestOptions{}), "scaffold.test")
	})
}

func TestNewEnough(t *testing.T) {
	for v, want := range map[string]bool{"go1.23.9": false, "go1.24": true, "go1.26.8": true, "devel +abc": true} {
		if got := newEnough(v); got != want {
			t.Errorf("%s: %t", v, got)
		}
	}
}
