//go:build linux

package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
	"github.com/edgehold/edgehold/plugins"
)

// node is the daemon running in a machine, spoken to from outside.
type node struct {
	m       *kernel.Machine
	api     *apiclient.Client
	socket  string // of the host, leads to the daemon's
	command string // the command line's file
	pid     int
}

const (
	nodeSocket = "/run/edgehold.sock"
	nodeLog    = "/run/edgeholdd.log"
	nodeState  = "/var/lib/edgehold"
	nodeConfig = "/etc/edgehold.yaml"
)

// nodeFiles are the daemon and its configuration for the RAM disk.
func nodeFiles(t *testing.T, arch kernel.Arch, state string) []kernel.File {
	t.Helper()
	skipUnlessPatient(t)
	config := `
state_directory: ` + state + `
api:
  socket: ` + nodeSocket + `
telemetry:
  monitor_interval: 250ms
mechanism_plugins:
  guard_grace: 1s
guests:
  deadline: 1s  # an emulated processor takes its time
`
	return []kernel.File{
		{Name: "bin/edgeholdd", Executable: true, Contents: program(t, arch, "github.com/edgehold/edgehold/cmd/edgeholdd")},
		{Name: nodeConfig[1:], Contents: []byte(config)},
		{Name: "var/lib/.keep"},
	}
}

// startNode starts the daemon and waits until it answers outside.
func startNode(t *testing.T, m *kernel.Machine, dir string) *node {
	t.Helper()
	n := &node{
		m: m, socket: forward(t, m, filepath.Join(dir, "api"), nodeSocket),
		command: build(t, runtime.GOARCH, "github.com/edgehold/edgehold/cmd/edgehold"),
	}
	var err error
	if n.api, err = apiclient.New(apiclient.Config{Socket: n.socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.api.Close)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := m.ReadFile(context.Background(), nodeLog)
			t.Logf("the daemon said:\n%s", log)
		}
	})
	n.start(t)
	return n
}

func (n *node) start(t *testing.T) {
	t.Helper()
	var err error
	n.pid, err = n.m.Start(t.Context(), control.Command{Args: []string{"/bin/edgeholdd", "run", "--config", nodeConfig}, Output: nodeLog})
	if err != nil {
		t.Fatal(err)
	}
	running := fmt.Sprintf("/proc/%d/comm", n.pid)
	eventually(t, n.m, "the daemon answers", func() bool {
		if _, err := n.m.ReadFile(t.Context(), running); err != nil {
			t.Fatalf("the daemon ended: %v", err)
		}
		_, err := n.api.Version(t.Context())
		return err == nil
	})
}

// edgehold runs the command line outside, as a person would, and returns what it prints.
func (n *node) edgehold(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(n.command, append(args, "--socket", n.socket)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("edgehold %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (n *node) kill(t *testing.T) {
	t.Helper()
	if err := n.m.Signal(t.Context(), n.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := n.m.Wait(t.Context(), n.pid); err != nil {
		t.Fatal(err)
	}
}

// boostPolicy assembles the policy in testdata/boost and returns its file.
func boostPolicy(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "boost.wasm")
	if out, err := exec.Command("wat2wasm", "-o", file, "testdata/boost/boost.wat").CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		skipOrFail(t, &kernel.Missing{Capability: "wat2wasm", Err: err})
	} else if err != nil {
		t.Fatalf("assemble the policy: %v\n%s", err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/boost/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := plugins.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := plugins.Pack(module, manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, packed, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDaemonOnACPI(t *testing.T) {
	policy := boostPolicy(t)
	m, dir := bootX86(t, nodeFiles(t, kernel.AMD64, nodeState)...)
	story(t, m, dir, policy, hardware{slow: "1200000", fast: "3000000", evidence: func(t *testing.T, kHz string) bool {
		seen := transitions(t, m)
		return last(seen, 0) == number(kHz) && last(seen, 1) == number(kHz)
	}})
}

func TestDaemonOnARM(t *testing.T) {
	policy := boostPolicy(t)
	m, dir := bootARM(t, nodeFiles(t, kernel.ARM64, nodeState)...)
	story(t, m, dir, policy, hardware{slow: "299999", fast: "1199999", evidence: func(t *testing.T, kHz string) bool {
		return readOne(t, m, "policy0/scaling_cur_freq") == kHz
	}})
}

// hardware is what the story needs to know of a machine.
type hardware struct {
	slow, fast string                              // kHz
	evidence   func(t *testing.T, kHz string) bool // that every processor runs at that frequency
}
