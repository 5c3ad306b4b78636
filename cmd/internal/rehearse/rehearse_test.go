package rehearse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/cmd/internal/rehearse/report"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	host.RunChild()
	os.Exit(m.Run())
}

const example = "../../../examples/01-cpu-boost"

func module(t *testing.T) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles a module")
	}
	built, err := pluginstest.Project(toolchain.C, filepath.Join(example, "c"))
	pluginstest.Need(t, err)
	return pluginstest.Pack(t, example, built)
}

// Every operation is measured, passes of both kinds happen, and two runs spend the same fuel.
func TestRun(t *testing.T) {
	m := module(t)
	const passes = 50
	r, err := Run(t.Context(), [][]byte{m, m}, Options{Passes: passes})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Modules) != 2 {
		t.Fatalf("got %d modules", len(r.Modules))
	}
	a, b := r.Modules[0], r.Modules[1]
	if a.Planned == 0 || a.Planned == passes || a.Failures != 0 || a.MemoryBytes == 0 || a.PrepareNS == 0 || a.SizeBytes != int64(len(m)) {
		t.Errorf("got %+v", a)
	}
	if len(a.Operations) != len(operations) {
		t.Fatalf("got %+v", a.Operations)
	}
	for i, o := range a.Operations {
		other := b.Operations[i]
		if o.Calls == 0 || o.FuelP50 == 0 || o.FuelMax < o.FuelP50 || o.P99NS < o.P50NS || o.P50NS <= 0 {
			t.Errorf("got %+v", o)
		}
		if o.FuelP50 != other.FuelP50 || o.FuelMax != other.FuelMax || o.Calls != other.Calls {
			t.Errorf("the same module spent %+v, and then %+v", o, other)
		}
	}
}

// With what a decision saw, every pass decides the same.
func TestRunWithInput(t *testing.T) {
	for value, planned := range map[float64]int{0.95: 10, 0.5: 0} {
		input := &report.Input{Source: "decision 1", Values: []report.MetricValue{{Metric: "node_cpu_utilisation_ratio", Value: value}}}
		r, err := Run(t.Context(), [][]byte{module(t)}, Options{Passes: 10, Input: input})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Modules[0]; got.Planned != planned || r.Source != "decision 1" {
			t.Errorf("%v: got %+v", value, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := Run(t.Context(), nil, Options{}); err == nil {
		t.Error("no passes were accepted")
	}
	if _, err := Run(t.Context(), [][]byte{[]byte("no module")}, Options{Passes: 1}); err == nil {
		t.Error("what is no module was accepted")
	}
	path := filepath.Join(t.TempDir(), "input.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadInput(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

// Knobs are such as patterns ask for, within what an observation can hold.
func TestKnobs(t *testing.T) {
	got := knobs(0, wasmabi.MechanismRequest{Name: "CPUFrequency", Knobs: []string{"*/max_frequency", "policy0/governor"}})
	if len(got) != 3 || got[0].Name != "policy0/max_frequency" || got[1].Name != "policy1/max_frequency" || got[2].Name != "policy0/governor" || got[0].Unit != "Hz" {
		t.Errorf("got %+v", got)
	}
	many := make([]string, 2*wasmabi.MaxKnobs)
	for i := range many {
		many[i] = "*"
	}
	if got := knobs(0, wasmabi.MechanismRequest{Knobs: many}); len(got) > wasmabi.MaxKnobs {
		t.Errorf("got %d knobs", len(got))
	}
}
