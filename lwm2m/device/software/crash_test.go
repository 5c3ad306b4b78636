package software

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/edgehold/edgehold/lwm2m/client"
)

const (
	crashEnv = "EDGEHOLD_TEST_SOFTWARE_DIR"
	stepEnv  = "EDGEHOLD_TEST_SOFTWARE_STEP"
)

// lifeThatEnds is what the child does: the whole life of a package, until the step comes at which its power is lost.
func lifeThatEnds(dir string) {
	last, err := strconv.Atoi(os.Getenv(stepEnv))
	orDie(err)
	m, err := Open(config(dir, &workloads{running: map[uint16]string{}}))
	orDie(err)
	steps := 0
	m.disk.step = func(name string) {
		if steps++; steps == last {
			fmt.Println("cut at", name)
			orDie(syscall.Kill(os.Getpid(), syscall.SIGKILL))
			select {}
		}
	}
	first, err := tryPacked("1.0.0", 1)
	orDie(err)
	second, err := tryPacked("1.1.0", 2)
	orDie(err)
	path := instance(1)
	orDie(m.Create(path, nil))
	orDie(blocks(m, 1, first, 0))
	orDie(m.Execute(path.Child(resInstall), ""))
	orDie(m.Execute(path.Child(resActivate), ""))
	orDie(m.Execute(path.Child(resDeactivate), ""))
	orDie(m.Execute(path.Child(resUninstall), "1"))
	orDie(blocks(m, 1, second, 0))
	orDie(m.Execute(path.Child(resInstall), ""))
	orDie(m.Execute(path.Child(resActivate), ""))
	orDie(m.Delete(path))
	fmt.Println("lived")
}

func orDie(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// Wherever the power is lost, the device comes back in the state before or after that step, with nothing half installed, and the life of the
// package can be gone through to its end from there.
func TestPowerIsLostAtEachStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for each step")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cuts := map[string]bool{}
	for step := 1; ; step++ {
		dir := t.TempDir()
		c := exec.Command(exe)
		c.Env = append(os.Environ(), crashEnv+"="+dir, stepEnv+"="+strconv.Itoa(step))
		out, _ := c.Output()
		said := strings.TrimSpace(string(out))
		if said == "lived" {
			break
		}
		if !strings.HasPrefix(said, "cut at ") || step > 500 {
			t.Fatalf("step %d: the child said %q", step, said)
		}
		cuts[said] = true
		comesBack(t, dir, said)
	}
	if len(cuts) < 12 {
		t.Errorf("only %d kinds of steps: %v", len(cuts), cuts)
	}
}

func comesBack(t *testing.T, dir, said string) {
	t.Helper()
	b := &bench{t: t, dir: dir}
	b.restart()
	for _, id := range b.Instances(nil) {
		r := b.records[id]
		for _, digest := range []string{r.Delivered, r.Installed} {
			if digest == "" {
				continue
			}
			if _, _, err := b.stored(digest); err != nil {
				t.Fatalf("%s: state %d speaks of a package that is not whole: %v", said, r.State, err)
			}
		}
		_, running := b.w.Status(id)
		if whole := r.State != Installed || r.Installed != ""; !whole || running != r.Active {
			t.Fatalf("%s: %+v, running %t", said, r, running)
		}
	}
	finish(b, said)
	entries, err := os.ReadDir(dir)
	b.must(err)
	if len(entries) != 3 { // the record, the package, the counters
		t.Fatalf("%s: left on the disk: %v", said, entries)
	}
}

// finish goes on from whatever state there is to an active version 1.1.0.
func finish(b *bench, said string) {
	b.t.Helper()
	if len(b.Instances(nil)) == 0 {
		b.must(b.Create(instance(1), nil))
	}
	second := packed(b.t, "1.1.0", 2)
	for range 8 {
		r := *b.records[1]
		switch {
		case r.State == Installed && r.Version == "1.1.0":
			b.must(b.execute(1, resActivate, ""))
			b.want(1, Installed, ResultInstalled, true)
			return
		case r.State == Installed, r.State == Delivered && r.Version != "1.1.0":
			b.must(b.execute(1, resUninstall, "1"))
		case r.State == Delivered:
			b.must(b.execute(1, resInstall, ""))
		case r.State == DownloadStarted && b.Counter("average") == 1:
			// The server goes on where it was: it sends the whole again if the device has not kept that much.
			if err := blocks(b.Manager, 1, second, b.disk.partLength(1)/blockSize*blockSize); err != nil {
				b.must(blocks(b.Manager, 1, second, 0))
			}
		default:
			b.must(blocks(b.Manager, 1, second, 0))
		}
	}
	b.t.Fatalf("%s: no way to an active package from %+v", said, b.records[1])
}

var _ client.Streamer = (*Manager)(nil)
