package cpufreq_test

import (
	"context"
	"testing"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
	"github.com/edgehold/edgehold/mechanisms/drivertest"
)

const ghz = 1e9

func window(knob string, hz float64) mechanisms.Setting {
	return mechanisms.Setting{Knob: knob, Value: mechanisms.Number(hz)}
}

func set(settings ...mechanisms.Setting) mechanisms.Command {
	return mechanisms.Command{Mechanism: cpufreq.Name, Verb: mechanisms.Set, Owner: "test", Settings: settings}
}

// supervised lays a tree down and puts a supervisor before it.
func supervised(t *testing.T, tree string, c mechanisms.Config) (*mechanisms.Supervisor, string) {
	t.Helper()
	root := t.TempDir()
	if err := trees.Write(root, tree); err != nil {
		t.Fatal(err)
	}
	return supervise(t, root, c), root
}

func supervise(t testing.TB, root string, c mechanisms.Config) *mechanisms.Supervisor {
	t.Helper()
	d, err := cpufreq.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.BootID = "this-boot"
	s, err := mechanisms.NewSupervisor(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	if err := s.Register(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryTreeSetAndRevert(t *testing.T) {
	for _, tree := range trees.Names() {
		t.Run(tree, func(t *testing.T) {
			s, _ := supervised(t, tree, mechanisms.Config{})
			before, err := s.State(t.Context(), cpufreq.Name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Apply(t.Context(), mechanisms.Command{Mechanism: "CPUFrequencyConfigurator", Verb: mechanisms.Set, Owner: "test",
				Settings: []mechanisms.Setting{{Knob: "all/frequency", Value: mechanisms.Choice("min")}, {Knob: "all/governor", Value: mechanisms.Choice("performance")}}})
			if err != nil || r.Outcome != mechanisms.Applied {
				t.Fatalf("set: %+v, %v", r, err)
			}
			if r := s.RevertAll(t.Context(), "test"); r.Outcome != mechanisms.Applied {
				t.Fatalf("revert: %+v", r)
			}
			after, err := s.State(t.Context(), cpufreq.Name)
			if err != nil {
				t.Fatal(err)
			}
			for i, k := range after.Knobs {
				if k.Value != before.Knobs[i].Value || k.Owner != "" || k.Baseline != nil {
					t.Errorf("after revert %+v, before %+v", k, before.Knobs[i])
				}
			}
			if n := s.Outstanding(); n != 0 {
				t.Errorf("%d knobs outstanding", n)
			}
		})
	}
}

func TestDriverContract(t *testing.T) {
	for _, tree := range trees.Names() {
		t.Run(tree, func(t *testing.T) {
			root := t.TempDir()
			if err := trees.Write(root, tree); err != nil {
				t.Fatal(err)
			}
			d, err := cpufreq.Open(root)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			drivertest.Run(t, d)
		})
	}
}
