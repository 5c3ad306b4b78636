//go:build linux

package kernel_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cpufreq is the folder of the machines' first frequency policy.
const cpufreq = "/sys/devices/system/cpu/cpufreq/policy0/"

// files reads files of the guest.
type files interface {
	ReadFile(ctx context.Context, name string) (string, error)
}

// read gives the contents of the policy's files by name.
func read(t *testing.T, m files, names ...string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, n := range names {
		s, err := m.ReadFile(t.Context(), cpufreq+n)
		if err != nil {
			t.Fatal(err)
		}
		got[n] = s
	}
	return got
}

func TestX86(t *testing.T) {
	m, _ := bootX86(t)
	want := map[string]string{
		"scaling_driver": "acpi-cpufreq", "affected_cpus": "0", "scaling_available_frequencies": "3000000 2400000 1800000 1200000",
	}
	if diff := cmp.Diff(want, read(t, m, "scaling_driver", "affected_cpus", "scaling_available_frequencies")); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func TestARM(t *testing.T) {
	m, _ := bootARM(t)
	want := map[string]string{
		"scaling_driver": "cpufreq-dt", "affected_cpus": "0 1", "scaling_available_frequencies": "299999 399999 599999 1199999",
	}
	if diff := cmp.Diff(want, read(t, m, "scaling_driver", "affected_cpus", "scaling_available_frequencies")); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}
