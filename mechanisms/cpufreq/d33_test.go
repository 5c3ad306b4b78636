package cpufreq_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
)

func TestParseD33(t *testing.T) {
	pin := func(v mechanisms.Value, owners ...string) []mechanisms.Setting {
		var out []mechanisms.Setting
		for _, o := range owners {
			out = append(out, mechanisms.Setting{Knob: o + "/frequency", Value: v})
		}
		return out
	}
	for _, tc := range []struct {
		name, dict string
		verb       mechanisms.Verb
		settings   []mechanisms.Setting
	}{
		{"max", `{"command":"set","cpu":"all","frequency":"max"}`, mechanisms.Set, pin(mechanisms.Choice("max"), "all")},
		{"some CPUs", `{"command":"set","cpu":"0,1","frequency":"min"}`, mechanisms.Set, pin(mechanisms.Choice("min"), "cpu0", "cpu1")},
		{"Hz", `{"command":"set","cpu":"all","frequency":"1000000 Hz"}`, mechanisms.Set, pin(mechanisms.Number(1e6), "all")},
		{"GHz", `{"command":"set","cpu":"all","frequency":"2.4 GHz"}`, mechanisms.Set, pin(mechanisms.Number(2.4e9), "all")},
		{"no space", `{"command":"set","frequency":"1800000kHz"}`, mechanisms.Set, pin(mechanisms.Number(1.8e9), "all")},
		{"reset", `{"command":"reset","cpu":"all"}`, mechanisms.Reset, pin(mechanisms.Value{}, "all")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseD33(t, tc.dict)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(mechanisms.Command{Mechanism: cpufreq.Name, Verb: tc.verb, Settings: tc.settings}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseD33Refuses(t *testing.T) {
	for name, dict := range map[string]string{
		"a bare number":     `{"command":"set","cpu":"all","frequency":1000000}`,
		"a bare text":       `{"command":"set","cpu":"all","frequency":"1000000"}`,
		"an unknown unit":   `{"command":"set","cpu":"all","frequency":"10 rpm"}`,
		"nothing to set":    `{"command":"set","cpu":"all"}`,
		"a negative":        `{"command":"set","cpu":"all","frequency":"-1 Hz"}`,
		"infinity":          `{"command":"set","cpu":"all","frequency":"1e999 Hz"}`,
		"a CPU that is not": `{"command":"set","cpu":"zero","frequency":"max"}`,
		"a list of CPUs":    `{"command":"set","cpu":[0,1],"frequency":"max"}`,
		"no command":        `{"cpu":"all","frequency":"max"}`,
		"an unknown key":    `{"command":"set","cpus":"all","frequency":"max"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseD33(t, dict)
			e, ok := errors.AsType[*mechanisms.Error](err)
			if !ok || e.Code != cpufreq.CodeBadD33 || e.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func parseD33(t *testing.T, text string) (mechanisms.Command, error) {
	t.Helper()
	var dict map[string]any
	if err := json.Unmarshal([]byte(text), &dict); err != nil {
		t.Fatal(err)
	}
	return cpufreq.ParseD33(dict)
}

// TestD33Pins runs the dictionary through the supervisor: set makes both ends of the window the frequency.
func TestD33Pins(t *testing.T) {
	s, root := supervised(t, "zcu102", mechanisms.Config{})
	c, err := cpufreq.ParseD33(map[string]any{"command": "set", "cpu": "2", "frequency": "600 MHz"})
	if err != nil {
		t.Fatal(err)
	}
	c.Owner = "test"
	if r, err := s.Apply(t.Context(), c); err != nil || r.Outcome != mechanisms.Clamped {
		t.Fatalf("%+v, %v", r, err)
	}
	want := map[string]string{"scaling_min_freq": "599999", "scaling_max_freq": "599999"}
	if diff := cmp.Diff(want, attributes(t, root, "scaling_min_freq", "scaling_max_freq")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c, err = cpufreq.ParseD33(map[string]any{"command": "reset", "cpu": "all"})
	if err != nil {
		t.Fatal(err)
	}
	c.Owner = "test"
	if r, err := s.Apply(t.Context(), c); err != nil || r.Outcome != mechanisms.Applied {
		t.Fatalf("%+v, %v", r, err)
	}
	want = map[string]string{"scaling_min_freq": "299999", "scaling_max_freq": "1199999"}
	if diff := cmp.Diff(want, attributes(t, root, "scaling_min_freq", "scaling_max_freq")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOpenWithoutCPUFreq(t *testing.T) {
	if _, err := cpufreq.Open(t.TempDir()); !errors.Is(err, cpufreq.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
	if err := trees.Write(t.TempDir(), "abacus"); err == nil {
		t.Error("there is a tree of that name")
	}
}

func FuzzParseD33(f *testing.F) {
	f.Add("set", "all", "max")
	f.Add("set", "0,1", "1000000 Hz")
	f.Add("reset", "", "2.4GHz")
	f.Add("set", "65536", "0x1p-2 Hz")
	f.Fuzz(func(t *testing.T, command, cpu, frequency string) {
		c, err := cpufreq.ParseD33(map[string]any{"command": command, "cpu": cpu, "frequency": frequency})
		if err != nil {
			return
		}
		for _, s := range c.Settings {
			if n := s.Value.Number; !(n >= 0 && n <= 1e12) {
				t.Errorf("%q became %v Hz", frequency, n)
			}
		}
	})
}

func FuzzHostileTree(f *testing.F) {
	f.Add("1800000\n", "1200000 3000000\n", "0 1\n", "ondemand powersave\n")
	f.Add("<unsupported>\n", "\x00", "0-99999999", "")
	f.Fuzz(func(t *testing.T, freq, table, cpus, governors string) {
		root := t.TempDir()
		if err := trees.Write(root, "zcu102"); err != nil {
			t.Fatal(err)
		}
		overwrite(t, root, "scaling_max_freq", freq)
		overwrite(t, root, "scaling_available_frequencies", table)
		overwrite(t, root, "related_cpus", cpus)
		overwrite(t, root, "scaling_available_governors", governors)
		d, err := cpufreq.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		knobs, err := d.Knobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range knobs {
			if k.Min > k.Max {
				t.Errorf("%s from %v to %v", k.Name, k.Min, k.Max)
			}
			v, err := d.Read(t.Context(), k.Name)
			if err == nil && !k.ReadOnly {
				if err := d.Write(t.Context(), k.Name, v); err != nil {
					t.Errorf("%s: can't write back %s: %v", k.Name, v, err)
				}
			}
		}
		d.Facts(t.Context())
	})
}
