package cpufreq_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
)

const policy0 = "sys/devices/system/cpu/cpufreq/policy0"

func attributes(t *testing.T, root string, names ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(root, policy0, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = strings.TrimSpace(string(b))
	}
	return out
}

func overwrite(t *testing.T, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, policy0, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOptions lists what each kernel driver offers for its first policy.
func TestOptions(t *testing.T) {
	window := []string{"policy0/current_frequency", "policy0/governor", "policy0/max_frequency", "policy0/min_frequency"}
	with := func(more ...string) []string { return append(append([]string{}, window...), more...) }
	for tree, want := range map[string][]string{
		"acpi-cpufreq":         with("policy0/setspeed", "turbo"),
		"intel_pstate":         {"policy0/current_frequency", "policy0/energy_performance_preference", "policy0/governor", "policy0/max_frequency", "policy0/min_frequency", "turbo"},
		"intel_pstate-passive": {"policy0/current_frequency", "policy0/energy_performance_preference", "policy0/governor", "policy0/max_frequency", "policy0/min_frequency", "policy0/setspeed", "turbo"},
		"amd-pstate-epp":       {"policy0/current_frequency", "policy0/energy_performance_preference", "policy0/governor", "policy0/max_frequency", "policy0/min_frequency", "turbo"},
		"amd-pstate-passive":   with("policy0/setspeed", "turbo"),
		"amd-pstate-guided":    with("policy0/setspeed", "turbo"),
		"zcu102":               with("policy0/setspeed"),
		"raspberrypi":          with("policy0/setspeed"),
	} {
		t.Run(tree, func(t *testing.T) {
			s, _ := supervised(t, tree, mechanisms.Config{})
			opts, err := s.Options(t.Context(), cpufreq.Name)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range opts {
				if strings.HasPrefix(k.Name, "policy0/") || k.Name == "turbo" {
					got = append(got, k.Name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTurboIsUpsideDownWithIntel(t *testing.T) {
	for tree, file := range map[string]string{"intel_pstate": "intel_pstate/no_turbo", "acpi-cpufreq": "cpufreq/boost"} {
		s, root := supervised(t, tree, mechanisms.Config{})
		off := mechanisms.Command{Mechanism: cpufreq.Name, Verb: mechanisms.Set, Owner: "test", Settings: []mechanisms.Setting{{Knob: "turbo", Value: mechanisms.Choice("off")}}}
		if r, err := s.Apply(t.Context(), off); err != nil || r.Outcome != mechanisms.Applied {
			t.Fatalf("%s: %+v, %v", tree, r, err)
		}
		want := "0\n"
		if tree == "intel_pstate" {
			want = "1\n"
		}
		if b, _ := os.ReadFile(filepath.Join(root, "sys/devices/system/cpu", file)); string(b) != want {
			t.Errorf("%s: %s holds %q", tree, file, b)
		}
	}
}

func TestSpeedBelongsToWhoHoldsTheGovernor(t *testing.T) {
	s, _ := supervised(t, "zcu102", mechanisms.Config{})
	if _, err := s.Apply(t.Context(), set(mechanisms.Setting{Knob: "policy0/governor", Value: mechanisms.Choice("userspace")})); err != nil {
		t.Fatal(err)
	}
	speed := set(mechanisms.Setting{Knob: "policy0/setspeed", Value: mechanisms.Number(299999e3)})
	speed.Owner = "another"
	if r, err := s.Apply(t.Context(), speed); r.Code != mechanisms.CodeHeld || !strings.Contains(err.Error(), "test holds policy0/governor") {
		t.Errorf("another: %+v, %v", r, err)
	}
	speed.Owner = "test"
	if r, err := s.Apply(t.Context(), speed); err != nil || r.Outcome != mechanisms.Applied {
		t.Errorf("the same: %+v, %v", r, err)
	}
}

func TestFacts(t *testing.T) {
	root := t.TempDir()
	if err := trees.Write(root, "intel_pstate-passive"); err != nil {
		t.Fatal(err)
	}
	overwrite(t, root, "bios_limit", "2000000\n")
	d, err := cpufreq.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := d.Facts(t.Context())
	for key, want := range map[string]string{"intel_pstate/status": "passive", "policy0/driver": "intel_cpufreq", "policy3/cpus": "3", "policy0/bios_limit": "2000000000 Hz"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}
