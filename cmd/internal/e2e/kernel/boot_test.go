//go:build linux

package kernel_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
)

// What is needed before a boot: packages to download once, programs to build.
const (
	fetchDeadline = 3 * time.Minute
	buildDeadline = 5 * time.Minute
)

// fetched are the kernels; one that can't be had is not waited for in each test.
var fetched = map[kernel.Arch]func() (*kernel.Kernel, error){kernel.AMD64: fetch(kernel.AMD64), kernel.ARM64: fetch(kernel.ARM64)}

func fetch(arch kernel.Arch) func() (*kernel.Kernel, error) {
	return sync.OnceValues(func() (*kernel.Kernel, error) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchDeadline)
		defer cancel()
		return kernel.Fetch(ctx, arch)
	})
}

// boot starts a machine that ends with the test, or skips the test and says what is missing.
func boot(t *testing.T, c kernel.Config, board func(ctx context.Context, dir string) (kernel.Board, error), arch kernel.Arch) (*kernel.Machine, string) {
	t.Helper()
	skipUnlessPatient(t)
	dir := shortDir(t)
	var err error
	if c.Board, err = board(t.Context(), dir); err != nil {
		skipOrFail(t, err)
	}
	if c.Kernel, err = fetched[arch](); err != nil {
		skipOrFail(t, err)
	}
	c.Init = program(t, arch, "github.com/edgehold/edgehold/cmd/internal/e2e/kernel/guest")
	begun := time.Now()
	m, err := start(t, dir, c)
	if err != nil {
		skipOrFail(t, err)
	}
	t.Logf("kernel %s answered after %v", c.Kernel.Release, time.Since(begun).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := m.Err(); err != nil {
			t.Error(err)
		} else if err := m.Stop(); err != nil {
			t.Log(err) // every promise has been tested by then
		}
		if t.Failed() {
			t.Logf("console:\n%s", m.Console())
		}
	})
	return m, dir
}

// bootedAgain is set when a boot has been repeated; that is done once, so that a kernel that never boots is not waited for in each test.
var bootedAgain atomic.Bool

// start boots, and boots once more if the machine froze before anything of ours ran in it. RATIONALE.md says why.
func start(t *testing.T, dir string, c kernel.Config) (*kernel.Machine, error) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // so that the clean-up still reaches the machine
	m, err := kernel.Start(ctx, dir, c)
	if frozen, ok := errors.AsType[*kernel.Frozen](err); ok && frozen.Booting && bootedAgain.CompareAndSwap(false, true) {
		t.Logf("boots once more: %v", err)
		return kernel.Start(ctx, dir, c)
	}
	return m, err
}

func skipUnlessPatient(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a machine: not in short mode")
	}
	if raceDetector {
		t.Skip("boots a machine: the race detector would watch only the part outside")
	}
}

func skipOrFail(t *testing.T, err error) {
	t.Helper()
	if missing, ok := errors.AsType[*kernel.Missing](err); ok && os.Getenv("EDGEHOLD_SKIP_NOTHING") == "" {
		t.Skip(missing)
	}
	t.Fatal(err)
}

// shortDir is a folder whose sockets have names that fit.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "edgehold-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// program builds a command as a static executable for a guest.
func program(t *testing.T, arch kernel.Arch, pkg string) []byte {
	t.Helper()
	b, err := os.ReadFile(build(t, string(arch), pkg))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// built are the programs of this run, in a folder that goes with it.
var built struct {
	sync.Mutex
	dir   string
	files map[string]string
}

// build builds a command, once for all tests, and returns the file.
func build(t *testing.T, arch, pkg string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	key := arch + " " + pkg
	if file := built.files[key]; file != "" {
		return file
	}
	if built.dir == "" {
		var err error
		if built.dir, err = os.MkdirTemp("", "edgehold-programs-"); err != nil {
			t.Fatal(err)
		}
		built.files = map[string]string{}
	}
	file := filepath.Join(built.dir, strconv.Itoa(len(built.files)))
	ctx, cancel := context.WithTimeout(t.Context(), buildDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.WaitDelay = time.Second // the compiler's processes hold the output, too
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, errors.Join(err, ctx.Err()), out)
	}
	built.files[key] = file
	return file
}

func bootX86(t *testing.T, files ...kernel.File) (*kernel.Machine, string) {
	t.Helper()
	return bootX86With(t, "", files...)
}

// bootX86With boots with a disk, unless its name is empty.
func bootX86With(t *testing.T, disk string, files ...kernel.File) (*kernel.Machine, string) {
	t.Helper()
	return boot(t, kernel.Config{
		Modules: []string{"virtio_pci", "virtio_console", "virtio_blk", "acpi_cpufreq", "cpufreq_userspace", "cpufreq_powersave"},
		Files:   files,
	}, func(ctx context.Context, dir string) (kernel.Board, error) {
		board, err := kernel.X86(ctx, dir, absolute(t, "testdata/pstates.asl"))
		if disk != "" {
			board = board.WithDisk(disk)
		}
		return board, err
	}, kernel.AMD64)
}

func bootARM(t *testing.T, files ...kernel.File) (*kernel.Machine, string) {
	t.Helper()
	return boot(t, kernel.Config{
		Modules: []string{"virtio_pci", "virtio_console", "cpufreq_dt", "cpufreq_userspace", "cpufreq_powersave"},
		Files:   files,
	}, func(ctx context.Context, dir string) (kernel.Board, error) {
		return kernel.ARM(ctx, dir, absolute(t, "testdata/zcu102.dts"))
	}, kernel.ARM64)
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	abs, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
