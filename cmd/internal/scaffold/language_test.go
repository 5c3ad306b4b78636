package scaffold

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

func newProjectIn(t *testing.T, l toolchain.Language) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cpu-boost")
	if err := New(dir, "cpu-boost", Options{Language: l}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whatever language a project begins in, its tests pass and it builds, without a network and without a word about the language.
func TestProjectsOfAllLanguages(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	t.Setenv("GOPROXY", "off")
	t.Setenv("CARGO_NET_OFFLINE", "true")
	for _, l := range toolchain.Languages {
		t.Run(string(l), func(t *testing.T) {
			dir := newProjectIn(t, l)
			var output strings.Builder
			var size int
			check := func(_ context.Context, module []byte) error {
				size = len(module)
				_, err := wasmabi.ReadManifest(module)
				return err
			}
			if err := Test(t.Context(), dir, TestOptions{Check: check, Output: &output}); err != nil {
				pluginstest.Need(t, err)
			}
			built, err := Build(t.Context(), dir, "", BuildOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if built.Language != l || built.Bytes != size {
				t.Errorf("got %+v, %d bytes when it was tested", built, size)
			}
			if most := sizes[l]; size > most {
				t.Errorf("the module has %d bytes, more than %d", size, most)
			}
		})
	}
}

// workloads are the languages that have a kit for them, the first being the usual one, with the size of the module in bytes.
var workloads = []struct {
	language toolchain.Language
	most     int
}{{toolchain.TinyGo, 64 << 10}, {toolchain.Go, 2 << 20}, {toolchain.Rust, 10 << 10}, {toolchain.C, 8 << 10}}

// A workload's project passes its tests and builds, small enough for a device; a language without a kit is refused.
func TestWorkloadProjects(t *testing.T) {
	wantCode(t, New(filepath.Join(t.TempDir(), "mean"), "mean", Options{Workload: true, Language: toolchain.AssemblyScript}), "scaffold.language")
	if testing.Short() {
		t.Skip("compiles modules")
	}
	t.Setenv("GOPROXY", "off")
	t.Setenv("CARGO_NET_OFFLINE", "true")
	for i, w := range workloads {
		t.Run(string(w.language), func(t *testing.T) {
			dir, o := filepath.Join(t.TempDir(), "mean"), Options{Workload: true, Language: w.language}
			if i == 0 {
				o.Language = ""
			}
			if err := New(dir, "mean", o); err != nil {
				t.Fatal(err)
			}
			if err := Test(t.Context(), dir, TestOptions{}); err != nil {
				pluginstest.Need(t, err)
			}
			built, err := Build(t.Context(), dir, "", BuildOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if built.Manifest.Kind != wasmabi.KindWorkload || built.Language != w.language || built.Bytes > w.most {
				t.Errorf("got %+v", built)
			}
		})
	}
}

func TestLanguage(t *testing.T) {
	for _, l := range toolchain.Languages {
		t.Run(string(l), func(t *testing.T) {
			got, err := Language(newProjectIn(t, l))
			if err != nil || got != l {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	manifest := func(t *testing.T, text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ManifestFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Run("no sources", func(t *testing.T) {
		_, err := Language(manifest(t, "name: x\n"))
		wantCode(t, err, "scaffold.no-sources")
	})
	t.Run("unknown", func(t *testing.T) {
		_, err := Language(manifest(t, "name: x\nlanguage: cobol\n"))
		wantCode(t, err, "scaffold.language")
	})
}

// sizes are in bytes: a flag that gets lost shows in the size.
var sizes = map[toolchain.Language]int{
	toolchain.Go: 3 << 20, toolchain.TinyGo: 160 << 10, toolchain.Rust: 32 << 10, toolchain.C: 24 << 10, toolchain.AssemblyScript: 48 << 10,
}

// A missing compiler is named, with what to do.
func TestMissingCompilers(t *testing.T) {
	dirs := map[toolchain.Language]string{}
	for _, l := range toolchain.Languages {
		dirs[l] = newProjectIn(t, l)
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv("EDGEHOLD_TOOLCHAINS", t.TempDir())
	t.Setenv("EDGEHOLD_TINYGO", "")
	for l, dir := range dirs {
		_, err := Build(t.Context(), dir, "", BuildOptions{})
		wantCode(t, err, "scaffold.no-"+string(l))
	}
}
