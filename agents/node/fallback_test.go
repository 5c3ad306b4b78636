package node

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/host/extism/helper"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

// helperBeside builds the helper where this test program finds it: in PATH.
func helperBeside(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, helper.Program), "../../cmd/edgehold-plugin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// fans is a folder with files that an adapter may and may not reach.
func fans(t *testing.T, root string) (level string) {
	t.Helper()
	for name, text := range map[string]string{"srv/fans/bank1/level": "40\n", "srv/fans/bank1/secret": "s", "srv/fans/bank2/level": "7\n", "outside": "o"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../../outside", filepath.Join(root, "srv/fans/bank1/link")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "srv/fans/bank1/level")
}

func offersFans(c *config.Config) {
	c.Capabilities = []config.Capability{{Kind: "file", Paths: []string{"/srv/fans/bank*/level"}, Write: true}}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// An adapter that opens files itself serves on the fallback as any other does, and everybody is told.
func TestAdapterOnTheFallback(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin and a program")
	}
	raw := pluginstest.ExtismFiles(t)
	helperBeside(t)
	r := newRigWith(t, offersFans)
	level := fans(t, r.tree)
	result, err := r.offer(raw, api.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !result.Activated || !strings.Contains(strings.Join(result.Warnings, "\n"), "without fuel") {
		t.Fatalf("%+v", result)
	}
	m, err := r.Mechanisms.Get(t.Context(), "FanBank")
	if err != nil || !m.Available || m.Adapter == nil || m.Adapter.Engine != "go-sdk" || !strings.Contains(m.Adapter.Warning, "replay") {
		t.Fatalf("%+v, %v", m, err)
	}
	if !strings.Contains(auditText(t, r), "without fuel, recording and replay") {
		t.Error("the audit does not say on what it runs")
	}
	setLevel(t, r, 85)
	if got := content(t, level); got != "85" {
		t.Errorf("the file has %q", got)
	}
	killHelper(t, filepath.Join(r.config.StateDirectory, "adapters", "fan-files.helper"))
	if _, err := r.Mechanisms.Revert(t.Context(), "FanBank", nil, person); err != nil {
		t.Fatal(err)
	}
	if got := content(t, level); got != "40" {
		t.Errorf("after the helper was killed the file has %q", got)
	}
	setLevel(t, r, 90)
	if _, err := r.Policies.Disable(t.Context(), "fan-files", person); err != nil {
		t.Fatal(err)
	}
	if got := content(t, level); got != "40" {
		t.Errorf("of a disabled adapter the file has %q", got)
	}
	if left := helpers(t, filepath.Join(r.config.StateDirectory, "adapters", "fan-files.helper")); len(left) != 0 {
		t.Errorf("a helper runs for an adapter that is disabled: %v", left)
	}
}

func setLevel(t *testing.T, r *rig, level float64) {
	t.Helper()
	c := api.MechanismCommand{Settings: []api.Setting{{Knob: "fan/level", Value: api.NumberValue(level)}}}
	if _, err := r.Mechanisms.Apply(t.Context(), "FanBank", c, person); err != nil {
		t.Fatal(err)
	}
}

// helpers returns the processes that work in an adapter's folder.
func helpers(t *testing.T, dir string) (all []int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if at, err := os.Readlink(path); err == nil && at == dir {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pid)
		}
	}
	return all
}

func killHelper(t *testing.T, dir string) {
	t.Helper()
	all := helpers(t, dir)
	if len(all) != 1 {
		t.Fatalf("processes in %s: %v", dir, all)
	}
	if err := syscall.Kill(all[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func auditText(t *testing.T, r *rig) string {
	t.Helper()
	entries, err := r.Audit.List(t.Context(), api.AuditFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(entries)
}

// What can't serve on the fallback is refused with a reason: a policy, a node without the program.
func TestFallbackRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin")
	}
	raw := pluginstest.ExtismFiles(t)
	r := newRigWith(t, offersFans)
	t.Setenv("PATH", t.TempDir())
	_, err := r.offer(raw, api.UploadOptions{})
	wantErrorCode(t, err, "extism.helper")
	if !strings.Contains(err.Error(), "edgehold-plugin is not installed") {
		t.Error(err)
	}
	if m, err := wasmabi.ReadManifest(raw); err != nil || m.Validate() != nil {
		t.Fatal(err)
	}
}
