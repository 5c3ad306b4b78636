//go:build linux

package kernel_test

import (
	"context"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
	"github.com/edgehold/edgehold/mechanisms"
)

// The steps of a machine build on each other: one boot, one story.

func TestMechanismOnACPI(t *testing.T) {
	m, dir := bootX86(t, turnProgram(t, kernel.AMD64))
	turn := startTurn(t, m, dir)
	before := knobFiles(t, m)

	wantFiles(t, m, map[string]string{
		"policy0/scaling_driver": "acpi-cpufreq", "policy0/affected_cpus": "0", "policy1/affected_cpus": "1",
		"policy0/scaling_available_frequencies": "3000000 2400000 1800000 1200000",
	})
	step(t, "a limit reaches the processor", func(t *testing.T) {
		wantOutcome(t, turn.set(t, "policy0/max_frequency", mechanisms.Number(1.8e9)), mechanisms.Applied)
		seen := len(transitions(t, m))
		burn(t, m)
		eventually(t, m, "the first processor enters the highest state that is left", func() bool {
			return last(transitions(t, m), 0) == 1800000
		})
		if fast := transitions(t, m)[seen:]; reached(fast, 0, 2400000) || reached(fast, 0, 3000000) {
			t.Errorf("the first processor went beyond its limit: %v", fast)
		}
	})
	step(t, "the other policy is left alone", func(t *testing.T) {
		eventually(t, m, "the second processor enters its highest state", func() bool {
			return reached(transitions(t, m), 1, 3000000)
		})
	})
	step(t, "a governor moves the processor", func(t *testing.T) {
		wantOutcome(t, turn.set(t, "policy0/governor", mechanisms.Choice("powersave")), mechanisms.Applied)
		eventually(t, m, "the first processor enters its lowest state", func() bool { return last(transitions(t, m), 0) == 1200000 })
	})
	step(t, "a clamp is told", func(t *testing.T) {
		r := turn.set(t, "policy1/max_frequency", mechanisms.Number(2e9)) // between two states
		wantOutcome(t, r, mechanisms.Clamped)
		if got := r.Changes[0].Effective.Number; got != 1.8e9 || readOne(t, m, "policy1/scaling_max_freq") != "1800000" {
			t.Errorf("told %v Hz, the file holds %s", got, readOne(t, m, "policy1/scaling_max_freq"))
		}
	})
	step(t, "a processor goes offline and comes back", func(t *testing.T) { hotplug(t, m, turn) })
	step(t, "a change behind our back is told", func(t *testing.T) { drift(t, m, turn) })
	step(t, "a clock that jumps ends no lease", func(t *testing.T) { jump(t, m, turn, 1.8e9) })
	step(t, "a killed process leaves nothing behind", func(t *testing.T) { killed(t, m, turn, before) })
}

func TestMechanismOnARM(t *testing.T) {
	m, dir := bootARM(t, turnProgram(t, kernel.ARM64))
	turn := startTurn(t, m, dir)
	before := knobFiles(t, m)

	wantFiles(t, m, map[string]string{
		"policy0/scaling_driver": "cpufreq-dt", "policy0/affected_cpus": "0 1",
		"policy0/scaling_available_frequencies": "299999 399999 599999 1199999",
	})
	step(t, "a limit holds for the cluster", func(t *testing.T) {
		wantOutcome(t, turn.set(t, "policy0/max_frequency", mechanisms.Number(599999e3)), mechanisms.Applied)
		burn(t, m)
		eventually(t, m, "the cluster runs at its limit", func() bool { return readOne(t, m, "policy0/scaling_cur_freq") == "599999" })
	})
	step(t, "a clock that jumps ends no lease", func(t *testing.T) { jump(t, m, turn, 599999e3) })
	step(t, "a killed process leaves nothing behind", func(t *testing.T) { killed(t, m, turn, before) })
}

// step is a subtest without which those after it have no ground to stand on.
func step(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	if !t.Run(name, f) {
		t.FailNow()
	}
}

// hotplug takes the second processor away while its policy is limited.
func hotplug(t *testing.T, m *kernel.Machine, turn *turning) {
	wantOutcome(t, turn.set(t, "policy1/max_frequency", mechanisms.Number(2.4e9)), mechanisms.Applied)
	write(t, m, "../cpu1/online", "0")
	r := turn.set(t, "policy1/max_frequency", mechanisms.Number(1.8e9))
	wantOutcome(t, r, mechanisms.Refused)
	if r.Code != mechanisms.CodeUnavailable {
		t.Errorf("refused with %s, want %s", r.Code, mechanisms.CodeUnavailable)
	}
	wantOutcome(t, turn.revert(t), mechanisms.PartlyUndone)
	write(t, m, "../cpu1/online", "1")
	eventually(t, m, "the limit goes back when its processor is there", func() bool {
		return readOne(t, m, "policy1/scaling_max_freq") == "3000000"
	})
	wantOutcome(t, turn.set(t, "policy1/max_frequency", mechanisms.Number(2.4e9)), mechanisms.Applied)
}

// drift writes to a held knob past its supervisor.
func drift(t *testing.T, m *kernel.Machine, turn *turning) {
	write(t, m, "policy1/scaling_max_freq", "1800000")
	eventually(t, m, "the state tells of it", func() bool {
		var s mechanisms.State
		if err := turn.try(t, http.MethodGet, "/state", nil, &s); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(s.Knobs, func(k mechanisms.KnobState) bool { return k.Knob == "policy1/max_frequency" })
		return s.Knobs[i].Drifted
	})
}

// write writes a file of the cpufreq folder.
func write(t *testing.T, m *kernel.Machine, name, value string) {
	t.Helper()
	if err := m.WriteFile(t.Context(), "/sys/devices/system/cpu/cpufreq/"+name, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// jump sets the wall clock far ahead and far back. A short lease that ends shows that the supervisor has looked at the time since.
func jump(t *testing.T, m *kernel.Machine, turn *turning, hertz float64) {
	held := readOne(t, m, "policy0/scaling_max_freq")
	for _, to := range []time.Time{time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if err := m.SetClock(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		before := readOne(t, m, "policy0/scaling_min_freq")
		if r := turn.hold(t, time.Second, "policy0/min_frequency", mechanisms.Number(hertz)); r.Lease == "" {
			t.Fatalf("no lease: %+v", r)
		}
		eventually(t, m, "a short lease ends", func() bool { return readOne(t, m, "policy0/scaling_min_freq") == before })
		if got := readOne(t, m, "policy0/scaling_max_freq"); got != held {
			t.Errorf("at %v the limit is %s, want %s still", to, got, held)
		}
	}
}

// killed kills the process that holds knobs, and expects every file as it was before.
func killed(t *testing.T, m *kernel.Machine, turn *turning, before map[string]string) {
	if diff := cmp.Diff(before, knobFiles(t, m)); diff == "" {
		t.Fatal("no knob is turned")
	}
	turn.kill(t)
	begun := time.Now()
	eventually(t, m, "the knobs are back", func() bool { return cmp.Equal(before, knobFiles(t, m)) })
	t.Logf("every knob was back %v after the kill", time.Since(begun).Round(10*time.Millisecond))
}

// burn keeps both processors busy until it is stopped, or the machine is.
func burn(t *testing.T, m *kernel.Machine) (stop func(*testing.T)) {
	t.Helper()
	var pids []int
	for range 2 {
		pid, err := m.Start(t.Context(), control.Command{Args: []string{"/init", "burn", "10m"}})
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return func(t *testing.T) {
		t.Helper()
		for _, pid := range pids {
			if err := m.Signal(t.Context(), pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// knobFiles are the files that a knob is behind, with their contents.
func knobFiles(t *testing.T, m *kernel.Machine) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, name := range []string{"scaling_min_freq", "scaling_max_freq", "scaling_governor"} {
		files, err := m.Glob(t.Context(), "/sys/devices/system/cpu/cpufreq/policy*/"+name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if got[f], err = m.ReadFile(context.Background(), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return got
}

func readOne(t *testing.T, m *kernel.Machine, name string) string {
	t.Helper()
	s, err := m.ReadFile(t.Context(), "/sys/devices/system/cpu/cpufreq/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantFiles compares files of the cpufreq folder.
func wantFiles(t *testing.T, m *kernel.Machine, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = readOne(t, m, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func transitions(t *testing.T, m *kernel.Machine) []kernel.Transition {
	t.Helper()
	ts, err := m.Transitions()
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

// reached reports whether a processor has entered a state.
func reached(ts []kernel.Transition, cpu, kHz int) bool {
	for _, x := range ts {
		if x == (kernel.Transition{CPU: cpu, KHz: kHz}) {
			return true
		}
	}
	return false
}

// last is the state that a processor has entered last, 0 for none.
func last(ts []kernel.Transition, cpu int) (kHz int) {
	for _, x := range ts {
		if x.CPU == cpu {
			kHz = x.KHz
		}
	}
	return kHz
}

func wantOutcome(t *testing.T, r mechanisms.Result, want mechanisms.Outcome) {
	t.Helper()
	if r.Outcome != want {
		t.Fatalf("outcome %s, want %s: %+v", r.Outcome, want, r)
	}
}
