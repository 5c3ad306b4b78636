package mechanisms_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
	"github.com/edgehold/edgehold/mechanisms/internal/fakesysfs"
)

func init() { mechanisms.SetCrashChild(crashMain) }

// crashMain plays a scene on a real driver and kills its own process at the n-th point where a crash would leave a
// different trace: around every write to a knob and every step of writing a state file.
func crashMain() {
	args := strings.Split(os.Getenv(mechanisms.CrashEnv), "|")
	root, dir := args[0], args[1]
	left, _ := strconv.Atoi(args[2])
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: dir})
	exitOn(err)
	s.OnProbe(func(string) {
		if left--; left == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	d, err := cpufreq.Open(root)
	exitOn(err)
	ctx := context.Background()
	exitOn(s.Register(ctx, d))
	exitOn(scene(ctx, s))
	os.Exit(0)
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func scene(ctx context.Context, s *mechanisms.Supervisor) error {
	command := func(owner string, priority int, settings ...mechanisms.Setting) error {
		_, err := s.Apply(ctx, mechanisms.Command{Mechanism: cpufreq.Name, Verb: mechanisms.Set, Owner: owner, Priority: priority, Lease: time.Hour, Settings: settings})
		return err
	}
	err := command("first", 0, mechanisms.Setting{Knob: "all/frequency", Value: mechanisms.Choice("min")}, mechanisms.Setting{Knob: "policy0/governor", Value: mechanisms.Choice("powersave")})
	if err != nil {
		return err
	}
	if err := command("second", 1, mechanisms.Setting{Knob: "policy1/max_frequency", Value: mechanisms.Number(2.4e9)}, mechanisms.Setting{Knob: "turbo", Value: mechanisms.Choice("off")}); err != nil {
		return err
	}
	if r := s.RevertOwner(ctx, "second"); r.Outcome != mechanisms.Applied {
		return fmt.Errorf("revert second: %+v", r)
	}
	if r := s.RevertAll(ctx, "end of the scene"); r.Outcome != mechanisms.Applied {
		return fmt.Errorf("revert all: %+v", r)
	}
	return nil
}

// contents reads a whole tree.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, root)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stage is a machine that the scene plays on.
type stage struct {
	root     string
	contents func() map[string]string
}

// TestKillAtEveryWrite kills a process at each point of the scene in turn, by SIGKILL. The next process must put back
// every knob, whatever had been done and written down by then.
func TestKillAtEveryWrite(t *testing.T) {
	t.Run("plain files", func(t *testing.T) {
		killEverywhere(t, 1, func() stage {
			root := t.TempDir()
			if err := trees.Write(root, "acpi-cpufreq"); err != nil {
				t.Fatal(err)
			}
			return stage{root, func() map[string]string { return contents(t, root) }}
		})
	})
	t.Run("kernel rules", func(t *testing.T) {
		attrs := fakesysfs.CPUFreq(2, 1200000, 1800000, 2400000, 3000000)
		const boost = "sys/devices/system/cpu/cpufreq/boost"
		attrs[boost] = &fakesysfs.Attr{Value: "1"}
		f := fakesysfs.Mount(t, attrs)
		killEverywhere(t, 3, func() stage { // each process costs, and the points are the same
			return stage{f.Root, func() map[string]string {
				out := map[string]string{}
				for name := range attrs {
					out[name] = f.Get(name)
				}
				return out
			}}
		})
	})
}

func killEverywhere(t *testing.T, step int, set func() stage) {
	if testing.Short() {
		step *= 5
	}
	killed := 0
	for n := 1; ; n += step {
		st, dir := set(), t.TempDir()
		before := st.contents()
		if !playUntil(t, st.root, dir, n) {
			break
		}
		killed++
		recoverTree(t, st.root, dir, n)
		if after := st.contents(); !maps.Equal(after, before) {
			t.Fatalf("point %d: the tree is not as it was: %v", n, differences(before, after))
		}
		if _, err := mechanisms.VerifyAudit(dir, nil); err != nil {
			t.Errorf("point %d: audit: %v", n, err)
		}
	}
	t.Logf("killed at %d points", killed)
	if killed < 3 {
		t.Errorf("only %d points: the probe is not called", killed)
	}
}

// playUntil plays the scene in a process that kills itself at point n; false = the scene came to its end first.
func playUntil(t *testing.T, root, dir string, n int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", mechanisms.CrashEnv, root, dir, n))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || st.Signal() != syscall.SIGKILL {
		t.Fatalf("point %d: %v: %s", n, err, out)
	}
	return true
}

func recoverTree(t *testing.T, root, dir string, n int) {
	t.Helper()
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: dir})
	if err != nil {
		t.Fatalf("point %d: %v", n, err)
	}
	d, err := cpufreq.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := s.Register(t.Context(), d); err != nil {
		t.Fatalf("point %d: %v", n, err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatalf("point %d: %v", n, err)
	}
	if left := s.Outstanding(); left != 0 {
		t.Errorf("point %d: %d knobs outstanding", n, left)
	}
}

func differences(before, after map[string]string) []string {
	var out []string
	for name, b := range before {
		if a := after[name]; a != b {
			out = append(out, fmt.Sprintf("%s: %q, was %q", filepath.Base(name), a, b))
		}
	}
	return out
}
