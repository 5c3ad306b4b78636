//go:build linux

package cpufreq_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
	"github.com/edgehold/edgehold/mechanisms/internal/fakesysfs"
)

// table is acpi-cpufreq's on the machine that the fake stands for, in kHz.
var table = []int{1200000, 1800000, 2400000, 3000000}

// refuse makes an attribute answer writes with an errno.
func refuse(errno syscall.Errno) func(*fakesysfs.Attr) {
	return func(a *fakesysfs.Attr) {
		a.Store = func(*fakesysfs.FS, string, string) (string, syscall.Errno) { return "", errno }
	}
}

func TestKernelMovesValueSilently(t *testing.T) {
	f := fakesysfs.Mount(t, fakesysfs.CPUFreq(1, table...))
	s := supervise(t, f.Root, mechanisms.Config{})
	f.Set(fakesysfs.Policy(0, "scaling_max_freq"), "1800000")
	r, err := s.Apply(t.Context(), set(window("policy0/min_frequency", 2.4*ghz)))
	if err != nil || r.Outcome != mechanisms.Clamped {
		t.Fatalf("got %+v, %v", r, err)
	}
	ch := r.Changes[0]
	if ch.Effective != mechanisms.Number(1.8*ghz) || !strings.Contains(ch.Reason, "above max_frequency") {
		t.Errorf("change %+v", ch)
	}
}

func TestFirmwareLimitIsNamed(t *testing.T) {
	attrs := fakesysfs.CPUFreq(1, table...)
	attrs[fakesysfs.Policy(0, "bios_limit")] = &fakesysfs.Attr{Value: "1800000", ReadOnly: true}
	attrs[fakesysfs.Policy(0, "scaling_max_freq")].Value = "1200000"
	attrs[fakesysfs.Policy(0, "scaling_max_freq")].Store = func(*fakesysfs.FS, string, string) (string, syscall.Errno) { return "1800000", 0 }
	s := supervise(t, fakesysfs.Mount(t, attrs).Root, mechanisms.Config{})
	r, err := s.Apply(t.Context(), set(window("policy0/max_frequency", 3*ghz)))
	if err != nil || r.Outcome != mechanisms.Clamped || !strings.Contains(r.Changes[0].Reason, "firmware") {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestHardwareQuantisesWithoutATable(t *testing.T) {
	attrs := fakesysfs.CPUFreq(1, table...)
	delete(attrs, fakesysfs.Policy(0, "scaling_available_frequencies"))
	s := supervise(t, fakesysfs.Mount(t, attrs).Root, mechanisms.Config{})
	r, err := s.Apply(t.Context(), set(window("policy0/max_frequency", 2*ghz)))
	if err != nil || r.Outcome != mechanisms.Clamped || r.Changes[0].Effective != mechanisms.Number(1.8*ghz) || r.Changes[0].Reason == "" {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestWindowMovesInTheOrderThatHasRoom(t *testing.T) {
	f := fakesysfs.Mount(t, fakesysfs.CPUFreq(1, table...))
	s := supervise(t, f.Root, mechanisms.Config{})
	for _, step := range []struct {
		name   string
		lo, hi float64
		first  string
	}{
		{"down", 1.2, 1.2, "scaling_max_freq"}, // the minimum is there already
		{"up", 2.4, 3.0, "scaling_max_freq"},
		{"down from above", 1.2, 1.8, "scaling_min_freq"},
	} {
		f.Writes()
		r, err := s.Apply(t.Context(), set(window("policy0/min_frequency", step.lo*ghz), window("policy0/max_frequency", step.hi*ghz)))
		if err != nil || r.Outcome != mechanisms.Applied {
			t.Fatalf("%s: %+v, %v", step.name, r, err)
		}
		if w := f.Writes(); len(w) == 0 || w[0].Path != fakesysfs.Policy(0, step.first) {
			t.Errorf("%s: writes %v", step.name, w)
		}
	}
}

func TestErrnoUndoesTheWholeCommand(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENODATA, syscall.EPERM, syscall.EIO, syscall.EBUSY} {
		t.Run(errno.Error(), func(t *testing.T) {
			f := fakesysfs.Mount(t, fakesysfs.CPUFreq(2, table...))
			s := supervise(t, f.Root, mechanisms.Config{})
			f.Change(fakesysfs.Policy(1, "scaling_max_freq"), refuse(errno))
			r, err := s.Apply(t.Context(), set(window("all/max_frequency", 1.8*ghz)))
			if r.Outcome != mechanisms.Undone || !errors.Is(err, errno) {
				t.Fatalf("got %+v, %v", r, err)
			}
			if got := f.Get(fakesysfs.Policy(0, "scaling_max_freq")); got != "3000000" {
				t.Errorf("policy0 left at %s", got)
			}
			if n := s.Outstanding(); n != 0 {
				t.Errorf("%d knobs outstanding", n)
			}
		})
	}
}

func TestEnergyPreferenceUnderPerformance(t *testing.T) {
	attrs := fakesysfs.CPUFreq(1, table...)
	fakesysfs.HWP(attrs, 0)
	f := fakesysfs.Mount(t, attrs)
	s := supervise(t, f.Root, mechanisms.Config{})
	epp := mechanisms.Setting{Knob: "policy0/energy_performance_preference", Value: mechanisms.Choice("power")}
	gov := func(g string) mechanisms.Setting {
		return mechanisms.Setting{Knob: "policy0/governor", Value: mechanisms.Choice(g)}
	}
	if r, err := s.Apply(t.Context(), set(gov("performance"))); err != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := s.Apply(t.Context(), set(epp))
	if r.Outcome != mechanisms.Undone || err == nil || !strings.Contains(err.Error(), "governor is performance") {
		t.Fatalf("alone: %+v, %v", r, err)
	}
	if r, err := s.Apply(t.Context(), set(epp, gov("powersave"))); err != nil || r.Outcome != mechanisms.Applied {
		t.Fatalf("with the governor: %+v, %v", r, err)
	}
	s.RevertAll(t.Context(), "test")
	if g, e := f.Get(fakesysfs.Policy(0, "scaling_governor")), f.Get(fakesysfs.Policy(0, "energy_performance_preference")); g != "powersave" || e != "balance_performance" {
		t.Errorf("after revert %s, %s", g, e)
	}
}

func TestUserspaceSpeed(t *testing.T) {
	f := fakesysfs.Mount(t, fakesysfs.CPUFreq(1, table...))
	s := supervise(t, f.Root, mechanisms.Config{})
	speed := window("policy0/setspeed", 1.8*ghz)
	if r, err := s.Apply(t.Context(), set(speed)); err == nil || !strings.Contains(err.Error(), "not userspace") {
		t.Fatalf("under ondemand: %+v, %v", r, err)
	}
	user := mechanisms.Setting{Knob: "policy0/governor", Value: mechanisms.Choice("userspace")}
	if r, err := s.Apply(t.Context(), set(speed, user)); err != nil || r.Outcome != mechanisms.Applied {
		t.Fatalf("with the governor: %+v, %v", r, err)
	}
	s.RevertAll(t.Context(), "test")
	if g := f.Get(fakesysfs.Policy(0, "scaling_governor")); g != "ondemand" {
		t.Errorf("after revert %s", g)
	}
}

func TestHotplug(t *testing.T) {
	f := fakesysfs.Mount(t, fakesysfs.CPUFreq(2, table...))
	s := supervise(t, f.Root, mechanisms.Config{})
	if _, err := s.Apply(t.Context(), set(window("all/max_frequency", 1.2*ghz))); err != nil {
		t.Fatal(err)
	}
	cpus := fakesysfs.Policy(1, "affected_cpus")
	f.Set(cpus, "")
	r, err := s.Apply(t.Context(), set(window("all/max_frequency", 1.8*ghz)))
	if err != nil || r.Outcome != mechanisms.Clamped || !r.Changes[1].Skipped {
		t.Fatalf("with policy1 offline: %+v, %v", r, err)
	}
	if r, err := s.Apply(t.Context(), set(window("policy1/max_frequency", 1.8*ghz))); r.Code != mechanisms.CodeUnavailable {
		t.Fatalf("offline policy alone: %+v, %v", r, err)
	}
	if r := s.RevertAll(t.Context(), "test"); r.Outcome != mechanisms.PartlyUndone {
		t.Fatalf("revert: %+v", r)
	}
	f.Set(cpus, "1")
	s.RevertAll(t.Context(), "again")
	if got := f.Get(fakesysfs.Policy(1, "scaling_max_freq")); got != "3000000" || s.Outstanding() != 0 {
		t.Errorf("after coming back %s, %d outstanding", got, s.Outstanding())
	}
	if r, err := s.Apply(t.Context(), set(window("policy1/max_frequency", 1.8*ghz))); err != nil || r.Outcome != mechanisms.Applied {
		t.Errorf("set right after coming back: %+v, %v", r, err)
	}
}

func TestPolicyThatAppearsLater(t *testing.T) {
	root := t.TempDir()
	if err := trees.Write(root, "acpi-cpufreq"); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(root, "sys/devices/system/cpu/cpufreq/policy1")
	if err := os.Rename(policy, root+"/away"); err != nil {
		t.Fatal(err)
	}
	s := supervise(t, root, mechanisms.Config{})
	if r, err := s.Apply(t.Context(), set(window("policy1/max_frequency", 1.8*ghz))); r.Code != mechanisms.CodeNoKnob {
		t.Fatalf("absent: %+v, %v", r, err)
	}
	if err := os.Rename(root+"/away", policy); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Apply(t.Context(), set(window("policy1/max_frequency", 1.8*ghz))); err != nil || r.Outcome != mechanisms.Applied {
		t.Errorf("present: %+v, %v", r, err)
	}
}

func TestSlowAttribute(t *testing.T) {
	attrs := fakesysfs.CPUFreq(1, table...)
	attrs[fakesysfs.Policy(0, "scaling_max_freq")].Slow = 50 * time.Millisecond
	s := supervise(t, fakesysfs.Mount(t, attrs).Root, mechanisms.Config{})
	r, err := s.Apply(t.Context(), set(window("policy0/max_frequency", 1.8*ghz)))
	if err != nil || r.Outcome != mechanisms.Applied {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestChangedBehindOurBack(t *testing.T) {
	for _, tc := range []struct {
		policy mechanisms.DriftPolicy
		want   string // right after the check
		end    string // after revert
	}{
		{mechanisms.DriftReport, "2400000", "3000000"},
		{mechanisms.DriftReassert, "1800000", "3000000"},
		{mechanisms.DriftYield, "2400000", "2400000"},
	} {
		t.Run(string(tc.policy), func(t *testing.T) {
			f := fakesysfs.Mount(t, fakesysfs.CPUFreq(1, table...))
			var drifts int
			s := supervise(t, f.Root, mechanisms.Config{
				Envelope: mechanisms.Envelope{Rules: []mechanisms.Rule{{OnDrift: tc.policy}}},
				Observe: func(e mechanisms.Event) {
					if e.Kind == mechanisms.EventDrift {
						drifts++
					}
				},
			})
			if _, err := s.Apply(t.Context(), set(window("policy0/max_frequency", 1.8*ghz))); err != nil {
				t.Fatal(err)
			}
			file := fakesysfs.Policy(0, "scaling_max_freq")
			f.Set(file, "2400000")
			s.CheckDrift(t.Context())
			s.CheckDrift(t.Context())
			if got := f.Get(file); got != tc.want || drifts != 1 {
				t.Errorf("after the check %s, want %s; told %d times", got, tc.want, drifts)
			}
			s.RevertAll(t.Context(), "test")
			if got := f.Get(file); got != tc.end {
				t.Errorf("at the end %s, want %s", got, tc.end)
			}
		})
	}
}

func TestTableIsMatchedByNearest(t *testing.T) {
	f := fakesysfs.Mount(t, fakesysfs.CPUFreq(1, 299999, 399999, 599999, 1199999))
	s := supervise(t, f.Root, mechanisms.Config{})
	r, err := s.Apply(t.Context(), set(window("policy0/max_frequency", 600e6)))
	if err != nil || r.Outcome != mechanisms.Clamped || r.Changes[0].Effective != mechanisms.Number(599999e3) {
		t.Fatalf("got %+v, %v", r, err)
	}
}
