package guard_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
	"github.com/edgehold/edgehold/mechanisms/guard"
)

var openers = guard.Openers{cpufreq.Name: func(root string) (mechanisms.Driver, error) { return cpufreq.Open(root) }}

// TestMain lets the test's own executable be the daemon and the guard: real processes, real signals.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guard":
			os.Exit(guard.Main(os.Args[2:], openers, nil))
		case "daemon":
			os.Exit(daemonMain(os.Args[2:]))
		}
	}
	goleak.VerifyTestMain(m)
}

const grace = 300 * time.Millisecond // unless a test says otherwise

// daemonMain holds every frequency window at its minimum until it is killed.
func daemonMain(args []string) int {
	fl := flag.NewFlagSet("daemon", flag.ExitOnError)
	root, dir := fl.String("root", "", ""), fl.String("dir", "", "")
	lease, exit := fl.Duration("lease", time.Hour, ""), fl.String("exit", "revert", "")
	grace := fl.Duration("grace", grace, "")
	set, hang := fl.Bool("set", true, ""), fl.Bool("hang", false, "")
	_ = fl.Parse(args)
	ctx := context.Background()
	die := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: *dir, Exit: mechanisms.ExitPolicy(*exit)})
	die(err)
	d, err := cpufreq.Open(*root)
	die(err)
	g, err := guard.Start(ctx, guard.Config{Args: []string{"guard"}, Dir: *dir, Drivers: map[string]string{cpufreq.Name: *root}, Grace: *grace,
		Patience: patience, Exit: mechanisms.ExitPolicy(*exit), Stderr: os.Stderr})
	die(err)
	die(s.Register(ctx, d))
	if *set {
		_, err = s.Apply(ctx, mechanisms.Command{Mechanism: cpufreq.Name, Verb: mechanisms.Set, Owner: "test", Lease: *lease,
			Settings: []mechanisms.Setting{{Knob: "all/frequency", Value: mechanisms.Choice("min")}}})
		die(err)
	}
	fmt.Println("held by daemon, guard is", g.PID())
	if *hang { // before it looks at any lease, until somebody lets it go on
		die(syscall.Kill(os.Getpid(), syscall.SIGSTOP))
	}
	die(s.Run(ctx))
	return 0
}

// daemon is a running daemonMain.
type daemon struct {
	cmd   *exec.Cmd
	guard int // process id
}

func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"daemon"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &daemon{cmd: cmd}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		await(t, "guard gone", func() bool { return d.guard == 0 || !alive(d.guard) })
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "held by daemon, guard is %d", &d.guard); err != nil {
		t.Fatalf("daemon says %q", line)
	}
	return d
}

func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.cmd.Wait()
}

// machine is a recorded tree and a state folder.
type machine struct {
	root, dir string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{root: t.TempDir(), dir: filepath.Join(t.TempDir(), "state")}
	if err := trees.Write(m.root, "acpi-cpufreq"); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m machine) args(more ...string) []string {
	return append([]string{"--root=" + m.root, "--dir=" + m.dir}, more...)
}

func (m machine) maxFreq(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(m.root, "sys/devices/system/cpu/cpufreq/policy1/scaling_max_freq"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

const (
	low  = "1200000"
	high = "3000000"
)

// patience is for what another process brings about, on a machine that has other work.
const patience = 2 * time.Minute

// await waits for a condition that another process brings about.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil && !zombie(pid) }

// zombie tells a process that has ended but whose parent has not looked yet; here that is init's affair.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(after, "Z")
}

func TestKilledDaemon(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDaemon(t, m.args()...)
	if got := m.maxFreq(t); got != low {
		t.Fatalf("held at %s, want %s", got, low)
	}
	begun := time.Now()
	d.kill(t)
	await(t, "knob back", func() bool { return m.maxFreq(t) == high })
	if took := time.Since(begun); took < grace {
		t.Errorf("back after %s, before the grace was over", took)
	}
	await(t, "guard gone", func() bool { return !alive(d.guard) })
	if n, err := mechanisms.VerifyAudit(m.dir, nil); err != nil || n == 0 {
		t.Errorf("audit: %d events, %v", n, err)
	}
}

// Without the journal there is nothing to put back, and a folder that somebody removed is not made again.
func TestRemovedStateFolderEndsTheGuard(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDaemon(t, m.args("--grace=2s")...)
	d.kill(t)
	await(t, "folder removed", func() bool { return os.RemoveAll(m.dir) == nil })
	await(t, "guard gone", func() bool { return !alive(d.guard) })
	if _, err := os.Stat(m.dir); err == nil {
		t.Error("the state folder was made again")
	}
}

func TestOfflinePolicyIsPutBackWhenItReturns(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDaemon(t, m.args()...)
	policy := filepath.Join(m.root, "sys/devices/system/cpu/cpufreq/policy1")
	if err := os.Rename(policy, m.root+"/away"); err != nil {
		t.Fatal(err)
	}
	d.kill(t)
	await(t, "the other policy back", func() bool {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(policy), "policy0/scaling_max_freq"))
		return err == nil && strings.TrimSpace(string(b)) == high
	})
	if !alive(d.guard) {
		t.Error("the guard gave up a policy that is offline")
	}
	if err := os.Rename(m.root+"/away", policy); err != nil {
		t.Fatal(err)
	}
	await(t, "knob back", func() bool { return m.maxFreq(t) == high })
}

func TestRestartWithinGraceAdopts(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	first := startDaemon(t, m.args("--grace=1m")...)
	first.kill(t)
	second := startDaemon(t, m.args("--set=false")...)
	await(t, "first guard gone", func() bool { return !alive(first.guard) })
	if got := m.maxFreq(t); got != low {
		t.Errorf("after adoption %s, want %s", got, low)
	}
	second.kill(t)
	await(t, "knob back", func() bool { return m.maxFreq(t) == high })
}

func TestStoppedDaemonLeaseEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDaemon(t, m.args("--lease=500ms", "--hang")...)
	await(t, "knob back", func() bool { return m.maxFreq(t) == high })
	if !alive(d.guard) {
		t.Error("the guard left a daemon that is alive")
	}
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, "daemon ends the lease too", func() bool {
		n, _, err := mechanisms.Peek(mechanisms.Config{Dir: m.dir})
		return err == nil && n == 0
	})
	await(t, "both have written it down", func() bool { // each after the knobs have moved
		actors := map[string]bool{}
		_, err := mechanisms.VerifyAudit(m.dir, func(e mechanisms.Event) error { actors[e.Actor] = true; return nil })
		return err == nil && actors["guard"] && actors["daemon"]
	})
}

func TestExitKeepRunsLeaseOut(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	const lease = 2 * time.Second
	begun := time.Now() // before the lease
	d := startDaemon(t, m.args("--lease="+lease.String(), "--exit=keep")...)
	d.kill(t)
	await(t, "knob back", func() bool { return m.maxFreq(t) == high })
	if took := time.Since(begun); took < lease {
		t.Errorf("back after %s, before the lease was over", took)
	}
}

func TestGuardDiesToo(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	d := startDaemon(t, m.args()...)
	if err := syscall.Kill(d.guard, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.kill(t)
	await(t, "guard gone", func() bool { return !alive(d.guard) })
	if got := m.maxFreq(t); got != low {
		t.Fatalf("who put it back? %s", got)
	}
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: m.dir})
	if err != nil {
		t.Fatal(err)
	}
	drv, err := cpufreq.Open(m.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), drv); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.maxFreq(t); got != high {
		t.Errorf("after the next start %s, want %s", got, high)
	}
}

func TestKeepRestartsGuard(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pids := make(chan int, 2) // as many as there will be guards
	go func() {
		done <- guard.Keep(ctx, guard.Config{Args: []string{"guard"}, Dir: m.dir, Drivers: map[string]string{cpufreq.Name: m.root}, Watching: func(pid int) { pids <- pid }})
	}()
	if err := syscall.Kill(<-pids, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := <-pids
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	await(t, "second guard leaves", func() bool { return !alive(second) })
}
