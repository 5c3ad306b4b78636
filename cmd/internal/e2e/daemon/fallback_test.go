//go:build linux

package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/host/extism/helper"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// bank is a fan behind a plain file, and the adapter that opens it by itself.
type bank struct {
	h    *home
	file string
	raw  []byte
}

// newBank makes the file, offers it, and puts the helper into the daemon's PATH.
func (h *home) newBank(t *testing.T) *bank {
	t.Helper()
	raw := pluginstest.ExtismFiles(t)
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, helper.Program), "github.com/edgehold/edgehold/cmd/edgehold-plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the helper: %v\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("EDGEHOLD_TEST_SECRET", "not for plugins")
	b := &bank{h, h.path("tree/srv/fans/bank1/level"), raw}
	if err := os.MkdirAll(filepath.Dir(b.file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file, []byte("40\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(h.path("config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprint(f, "\ncapabilities:\n  - {kind: file, paths: [\"/srv/fans/bank*/level\"], write: true}\n"); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bank) wantLevel(t *testing.T, level string) {
	t.Helper()
	eventually(t, "the level is "+level, func() bool {
		text, err := os.ReadFile(b.file)
		return err == nil && strings.TrimSpace(string(text)) == level
	})
}

func (b *bank) turn(t *testing.T, level float64, lease time.Duration) {
	t.Helper()
	c := api.MechanismCommand{Settings: []api.Setting{{Knob: "fan/level", Value: api.NumberValue(level)}}, LeaseMS: lease.Milliseconds()}
	if _, err := b.h.api.ApplyMechanism(t.Context(), "FanBank", c); err != nil {
		t.Fatal(err)
	}
	b.wantLevel(t, strconv.FormatFloat(level, 'f', -1, 64))
}

// helpers returns the processes that work in the adapter's folder.
func (b *bank) helpers(t *testing.T) (all []int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if at, err := os.Readlink(path); err == nil && at == b.h.path("state/adapters/fan-files.helper") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pid)
		}
	}
	return all
}

func (b *bank) helper(t *testing.T) int {
	t.Helper()
	all := b.helpers(t)
	if len(all) != 1 {
		t.Fatalf("helpers: %v", all)
	}
	return all[0]
}

// The helper has nothing of the daemon's, and its end costs nobody a knob: not while it holds one, and not with the daemon.
func TestGuardRevertsThroughTheFallback(t *testing.T) {
	h := newHome(t)
	b := h.newBank(t)
	d := h.start(t)
	if r, err := h.api.UploadPolicy(t.Context(), b.raw, api.UploadOptions{}); err != nil || !r.Activated {
		t.Fatalf("%+v, %v", r, err)
	}
	b.turn(t, 85, time.Minute)
	pid := b.helper(t)
	wantConfined(t, pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.turn(t, 90, time.Minute)
	if next := b.helper(t); next == pid {
		t.Error("the helper is the one that was killed")
	}
	d.kill()
	b.wantLevel(t, "40")
	eventually(t, "no helper is left", func() bool { return len(b.helpers(t)) == 0 })
}

// Daemon, guard and helper are killed: the next daemon puts the knob back.
func TestNextDaemonRevertsThroughTheFallback(t *testing.T) {
	h := newHome(t)
	b := h.newBank(t)
	d := h.start(t)
	if _, err := h.api.UploadPolicy(t.Context(), b.raw, api.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	b.turn(t, 75, outlived)
	turned := time.Now()
	h.killBoth(t, d)
	time.Sleep(time.Until(turned.Add(outlived)))
	eventually(t, "the helper ends with the daemon", func() bool { return len(b.helpers(t)) == 0 })
	b.wantLevel(t, "75")
	h.start(t)
	b.wantLevel(t, "40")
}

// wantConfined looks at what a helper has: no environment, no descriptors of the daemon's, limits.
func wantConfined(t *testing.T, pid int) {
	t.Helper()
	at := fmt.Sprintf("/proc/%d/", pid)
	environment, err := os.ReadFile(at + "environ")
	if err != nil || len(environment) > 0 {
		t.Errorf("environment %q, %v", environment, err)
	}
	entries, err := os.ReadDir(at + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink(at + "fd/" + e.Name())
		if err != nil {
			continue // closed meanwhile
		}
		own := strings.HasPrefix(to, "/sys/fs/cgroup/") // Go's runtime looks there for how many processors it has
		if !strings.HasPrefix(to, "pipe:") && !strings.HasPrefix(to, "anon_inode:") && !own {
			t.Errorf("descriptor %s is %s", e.Name(), to)
		}
	}
	limits, err := os.ReadFile(at + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Max core file size        0 ", "Max open files            64 "} {
		if !strings.Contains(string(limits), want) {
			t.Errorf("no %q in\n%s", want, limits)
		}
	}
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max address space") && strings.Contains(line, "unlimited") {
			t.Error(line)
		}
	}
	status, err := os.ReadFile(at + "status")
	if err != nil || !strings.Contains(string(status), "NoNewPrivs:\t1") {
		t.Errorf("%v: no NoNewPrivs in\n%s", err, status)
	}
}
