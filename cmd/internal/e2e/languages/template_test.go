package languages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/cmd/internal/scaffold"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

const sdk = "../../../../sdk"

// kits are the languages whose SDK has templates of its own.
var kits = []toolchain.Language{toolchain.Rust, toolchain.C, toolchain.AssemblyScript}

// newProject writes and builds what `edgehold policy new` writes.
func newProject(t *testing.T, o scaffold.Options) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles modules")
	}
	dir := filepath.Join(t.TempDir(), "project")
	must(t, scaffold.New(dir, "first", o))
	built, err := scaffold.Build(t.Context(), dir, "", scaffold.BuildOptions{})
	pluginstest.Need(t, err)
	module, err := os.ReadFile(built.Path)
	must(t, err)
	return module
}

// A new policy decides as its comments say.
func TestNewPoliciesDecide(t *testing.T) {
	for _, l := range kits {
		t.Run(string(l), func(t *testing.T) {
			m := prepare(t, newProject(t, scaffold.Options{Language: l}))
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

// A new workload computes as its comments say, within the limits that it asks for.
func TestNewWorkloadsCompute(t *testing.T) {
	for _, w := range workloads {
		t.Run(string(w.language), func(t *testing.T) {
			outputs := onADevice(t, newProject(t, scaffold.Options{Language: w.language, Workload: true}), nil, "value", 21)
			for o := range outputs { // the first of the ticks, which may come before what came in, changes the mean
				if o.Name == "mean" && (o.Value.Number == 21 || o.Value.Number == 20.5) {
					return
				}
			}
		})
	}
}
