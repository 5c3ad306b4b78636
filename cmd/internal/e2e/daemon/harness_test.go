//go:build linux

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/wasmabi"
)

// home is a folder that daemons live in, one after the other.
type home struct {
	dir string
	bin string
	api *apiclient.Client
}

// patience bounds the waits for what other processes bring about in their own time, on a machine that does other work too.
const patience = time.Minute

// settings are what tests change in the configuration.
type settings struct {
	socket string        // empty: the one that the home's client knows
	grace  time.Duration // how long the guard waits for the next daemon; 0: so short that knobs may have gone back before it is there
	lease  time.Duration // of what policies set; 0: the default
}

// newHome lays down a tree of knobs and a configuration.
func newHome(t *testing.T) *home {
	t.Helper()
	if testing.Short() {
		t.Skip("runs daemons and kills them: not in short mode")
	}
	h := &home{dir: shortDir(t), bin: daemonProgram(t)}
	t.Cleanup(func() { h.endGuards(t) })
	if err := trees.Write(h.path("tree"), "intel_pstate-passive"); err != nil {
		t.Fatal(err)
	}
	h.configure(t, settings{})
	var err error
	if h.api, err = apiclient.New(apiclient.Config{Socket: h.path("socket")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.api.Close)
	return h
}

// endGuards ends the guards of daemons that were killed: they would look for knobs in a folder that is gone.
func (h *home) endGuards(t *testing.T) {
	for _, p := range h.processes(t) {
		if pid, err := strconv.Atoi(p); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (h *home) path(elem ...string) string { return filepath.Join(append([]string{h.dir}, elem...)...) }

// configure writes the configuration.
func (h *home) configure(t *testing.T, s settings) {
	t.Helper()
	lease := ""
	if s.lease > 0 {
		lease = fmt.Sprintf("lease: %v", s.lease)
	}
	text := fmt.Sprintf(`
state_directory: state
telemetry:
  monitor_interval: 500ms
mechanism_plugins:
  root: tree
  guard_grace: %v
  envelope:
    CPUFrequency:
      "*/max_frequency":
        min_period: 1ms
  %s
api:
  socket: %s
`, cmp.Or(s.grace, 2*time.Second), lease, cmp.Or(s.socket, "socket"))
	if err := os.WriteFile(h.path("config.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// limit reads the knob that the tests watch, in kHz.
func (h *home) limit(t *testing.T) int {
	t.Helper()
	return h.frequency(t, "policy0/scaling_max_freq")
}

// frequency reads a file of the tree's cpufreq folder, in kHz.
func (h *home) frequency(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(h.path("tree/sys/devices/system/cpu/cpufreq", file))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// process is a running daemon.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start starts a daemon and waits until it answers.
func (h *home) start(t *testing.T) *process {
	t.Helper()
	p := h.launch(t)
	deadline := time.After(patience)
	for {
		_, err := h.api.Version(t.Context())
		if err == nil {
			return p
		}
		select {
		case <-p.ended:
			t.Fatalf("the daemon ended:\n%s", p.said())
		case <-deadline:
			t.Fatalf("the daemon does not answer: %v\n%s", err, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// launch starts a daemon and waits for nothing.
func (h *home) launch(t *testing.T) *process {
	t.Helper()
	log, err := os.CreateTemp(h.dir, "log-")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{log: log.Name(), ended: make(chan struct{})}
	p.cmd = exec.Command(h.bin, "run", "--config", h.path("config.yaml"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); p.cmd.Wait() }()
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("a daemon said:\n%s", p.said())
		}
	})
	return p
}

func (p *process) said() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// signal sends a signal and waits for the daemon's end, whose code it returns.
func (p *process) signal(s syscall.Signal) int {
	p.cmd.Process.Signal(s)
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// end lets the daemon put its knobs back, unless it takes long.
func (p *process) end() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
	}
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

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

// built is made once for all tests of the process.
var built struct {
	dir           string
	daemon, pulse sync.Once
	err           error
	module        []byte
	manifest      *wasmabi.Manifest
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "edgehold-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func daemonProgram(t *testing.T) string {
	t.Helper()
	file := filepath.Join(built.dir, "edgeholdd")
	built.daemon.Do(func() {
		cmd := exec.Command("go", "build", "-o", file, "github.com/edgehold/edgehold/cmd/edgeholdd")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the daemon: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return file
}

// pulse returns the counting policy as version v.
func pulse(t *testing.T, v string) []byte { return pulseThat(t, v, 0) }

// pulseThat returns version v, which traps in its first pass if traps is 1.
func pulseThat(t *testing.T, v string, traps float64) []byte {
	t.Helper()
	built.pulse.Do(func() {
		b, err := scaffold.Build(context.Background(), "testdata/pulse", filepath.Join(built.dir, "pulse.wasm"), scaffold.BuildOptions{})
		if err != nil {
			built.err = err
			return
		}
		built.manifest = b.Manifest
		built.module, built.err = os.ReadFile(b.Path)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	m := *built.manifest
	m.Version = v
	m.Parameters = slices.Clone(m.Parameters)
	m.Parameters[0].Default = traps
	bare, err := wasmabi.StripManifest(built.module)
	if err != nil {
		t.Fatal(err)
	}
	module, err := plugins.Pack(bare, &m)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// eventually waits for something that another process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited %v in vain: %s", patience, what)
}
