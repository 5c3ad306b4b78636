package languages

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

const sdk = "../../../../sdk"

// kits say what a project needs beside its template: a path in the kit, and one in the project.
var kits = map[toolchain.Language][2]string{
	toolchain.Rust:           {"", "vendor/edgehold-policy"},
	toolchain.C:              {"edgehold.h", "edgehold.h"},
	toolchain.AssemblyScript: {"assembly", "edgehold/assembly"},
}

// loadPolicy is what the templates' code asks for.
const loadPolicy = `
name: load-follower
version: 0.1.0
metrics: [node_load1]
mechanisms:
  - {name: CPUFrequency, verbs: [set], knobs: ["*/max_frequency"], reason: raise the limit under load}
parameters:
  - {name: high, default: 2, min: 0}
state: {schema: 1}
`

// A project made of the template and the kit builds, and decides as its comments say.
func TestTemplatesBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	for l, kit := range kits {
		t.Run(string(l), func(t *testing.T) {
			dir := t.TempDir()
			root := filepath.Join(sdk, string(l))
			copyTree(t, filepath.Join(root, "template"), dir)
			copyTree(t, filepath.Join(root, kit[0]), filepath.Join(dir, kit[1]))
			if got, ok := toolchain.Detect(dir); !ok || got != l {
				t.Errorf("the project is taken for one in %s", got)
			}
			must(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(loadPolicy), 0o644))
			module, err := pluginstest.Project(l, dir)
			pluginstest.Need(t, err)
			m := prepare(t, pluginstest.Pack(t, dir, module))

			init := newInit(frequency(0, 8e8, 3.5e9))
			init.Metrics[0].Name = "node_load1"
			init.Parameters, init.ParameterNames = []float64{2}, []string{"high"}
			got := episode(t, m, wasmabi.AppendInit(nil, init), wasmabi.AppendObservation(nil, observed(1, 3, 0)))
			if got.Failure != "" || got.Analysis.Why != "load 3 is above 2" || len(got.Plan.Values) != 1 || got.Plan.Values[0] != 3.5e9 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// copyTree copies a file or folder, and fills in the name of the policy where a file ends in .tmpl.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if whole, ok := strings.CutSuffix(path, ".tmpl"); ok && whole != "" {
			target = strings.TrimSuffix(target, ".tmpl")
			text = []byte(strings.ReplaceAll(string(text), "{{.Name}}", "load-follower"))
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	}))
}
