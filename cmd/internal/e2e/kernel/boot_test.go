//go:build linux

package kernel_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
)

// bootDeadline bounds a boot on a busy machine of two processors; it takes five to twenty seconds as a rule.
const bootDeadline = 3 * time.Minute

// boot starts a machine that ends with the test, or skips the test and says what is missing.
func boot(t *testing.T, c kernel.Config, board func(ctx context.Context, dir string) (kernel.Board, error), arch kernel.Arch) (*kernel.Machine, string) {
	t.Helper()
	skipUnlessPatient(t)
	ctx, cancel := context.WithTimeout(t.Context(), bootDeadline)
	defer cancel()
	dir := shortDir(t)
	var err error
	if c.Board, err = board(ctx, dir); err != nil {
		skipOrFail(t, err)
	}
	if c.Kernel, err = kernel.Fetch(ctx, arch); err != nil {
		skipOrFail(t, err)
	}
	c.Init = program(t, arch, "github.com/edgehold/edgehold/cmd/internal/e2e/kernel/guest")
	begun := time.Now()
	m, err := kernel.Start(context.WithoutCancel(t.Context()), dir, c) // so that the clean-up still reaches it
	if err != nil {
		skipOrFail(t, err)
	}
	t.Logf("kernel %s answered after %v", c.Kernel.Release, time.Since(begun).Round(time.Millisecond))
	t.Cleanup(func() {
		m.Stop()
		if t.Failed() {
			t.Logf("console:\n%s", m.Console())
		}
	})
	return m, dir
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

// build builds a command and returns the file.
func build(t *testing.T, arch, pkg string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
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
