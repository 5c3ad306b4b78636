//go:build linux

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgehold/edgehold/agents/api"
)

func TestSecondDaemonIsRefused(t *testing.T) {
	h := newHome(t)
	h.start(t)
	second := h.launch(t)
	wantRefusal(t, second)
	h.configure(t, settings{socket: "socket2"}) // the same state folder, another socket
	wantRefusal(t, h.launch(t))
	if _, err := h.api.Version(t.Context()); err != nil {
		t.Errorf("the first daemon does not answer any more: %v", err)
	}
}

func TestReadOnlyStateFolder(t *testing.T) {
	h := newHome(t)
	remount := h.mountState(t, "64m")
	d := h.start(t)
	h.upload(t, 0)
	h.wantDecisions(t)
	d.signal(syscall.SIGTERM)

	remount(true)
	wantRefusal(t, h.launch(t))

	remount(false)
	h.start(t)
	if got := h.active(t); got != "1.0.0" {
		t.Errorf("version %q is active after the folder could be written again", got)
	}
	h.wantDecisions(t)
}

func TestFullDisk(t *testing.T) {
	h := newHome(t)
	h.mountState(t, "64m")
	d := h.start(t)
	h.upload(t, 0)
	h.wantDecisions(t)

	ballast := h.path("state/ballast")
	fill(t, ballast)
	_, err := h.api.UploadPolicy(t.Context(), pulse(t, "1.0.1"), api.UploadOptions{})
	var problem *api.Problem
	if !errors.As(err, &problem) || problem.Code == "" || problem.Hint == "" {
		t.Errorf("an upload onto a full disk gave %#v", err)
	}
	if got := h.active(t); got != "1.0.0" {
		t.Errorf("version %q is active on the full disk", got)
	}
	empty(t, ballast)
	h.wantDecisions(t)

	fill(t, ballast)
	time.Sleep(time.Second) // what it does without space it shall have time for
	d.kill()
	turned := h.limit(t)
	empty(t, ballast)
	h.start(t)
	if got := h.active(t); got != "1.0.0" {
		t.Errorf("version %q is active after the disk had space again", got)
	}
	if !h.decided(t, turned) {
		t.Errorf("on the full disk the knob was turned to %d kHz, and no decision says so", turned)
	}
	h.upload(t, 1)
	h.wantDecisions(t)
}

func TestDamagedStateFile(t *testing.T) {
	damages := []struct {
		name string
		do   func(t *testing.T, file string)
	}{
		{"head overwritten", func(t *testing.T, file string) { overwrite(t, file, 0) }},
		{"middle overwritten", func(t *testing.T, file string) { overwrite(t, file, size(t, file)/2) }},
		{"cut in half", func(t *testing.T, file string) { truncate(t, file, size(t, file)/2) }},
		{"emptied", func(t *testing.T, file string) { truncate(t, file, 0) }},
	}
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			h := newHome(t)
			original := h.limit(t)
			d := h.start(t)
			h.upload(t, 0)
			for _, pattern := range []string{
				"edgehold.db", "edgehold.db-wal", "modules/*.json", "mechanisms/journal.json", "mechanisms/leases.json",
				"mechanisms/audit.jsonl", "cache/*/*", "cache/*/*/*",
			} {
				h.wantDecisions(t)
				d.kill() // an unclean end is what makes the next start look closely
				for _, file := range h.files(t, pattern) {
					damage.do(t, file)
				}
				d = h.start(t)
				if got := h.active(t); got != "1.0.0" {
					t.Fatalf("with a damaged %s version %q is active; the daemon said:\n%s", pattern, got, d.said())
				}
			}
			h.wantDecisions(t)
			d.signal(syscall.SIGTERM)
			if got := h.limit(t); got != original {
				t.Errorf("the knob ended at %d kHz, want %d", got, original)
			}
		})
	}
}

func TestDamagedModule(t *testing.T) {
	h := newHome(t)
	d := h.start(t)
	h.upload(t, 0)
	h.wantDecisions(t)
	d.signal(syscall.SIGTERM)
	for _, file := range h.files(t, "modules/*.wasm") {
		truncate(t, file, size(t, file)/2)
	}
	d = h.start(t)
	eventually(t, "the policy is set aside and says why", func() bool {
		p, err := h.api.Policy(t.Context(), "pulse")
		return err == nil && p.State == api.PolicyQuarantined && strings.Contains(p.StateReason, "changed on the disk")
	})
	h.upload(t, 0)
	h.wantDecisions(t)
	d.signal(syscall.SIGTERM)
}

// files lists files of the state folder.
func (h *home) files(t *testing.T, pattern string) (files []string) {
	t.Helper()
	found, err := filepath.Glob(h.path("state", pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if s, err := os.Stat(f); err == nil && s.Mode().IsRegular() {
			files = append(files, f)
		}
	}
	return files
}

func truncate(t *testing.T, file string, size int64) {
	t.Helper()
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
}

// wantRefusal expects the daemon to end by itself, and to say why and what to do.
func wantRefusal(t *testing.T, p *process) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("the daemon runs; it said:\n%s", p.said())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, part := range []string{"why:", "what to do:", "code:"} {
		if !strings.Contains(p.said(), part) {
			t.Errorf("the refusal has no %q:\n%s", part, p.said())
		}
	}
}

// mountState puts the state folder on a small disk of its own, which remount makes read-only and back.
func (h *home) mountState(t *testing.T, bytes string) (remount func(readOnly bool)) {
	t.Helper()
	dir := h.path("state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes); err != nil {
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return func(readOnly bool) {
		t.Helper()
		flags := uintptr(unix.MS_REMOUNT)
		if readOnly {
			flags |= unix.MS_RDONLY
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size="+bytes); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes a file until the disk has no space left.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); err == nil; {
		_, err = f.Write(block)
	}
	for err = nil; err == nil; {
		_, err = f.Write([]byte{0})
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func empty(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, file string, at int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("no database ", 1000)), at); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	s, err := os.Stat(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	return s.Size()
}
