//go:build linux

package faredge

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/port"
)

const (
	// patience bounds the waits for what others bring about. A device whose gateway has lost its registration, and its DTLS association
	// with it, finds out with its next update, which it repeats for MAX_TRANSMIT_WAIT, 93 s, before it shakes hands anew.
	patience = 5 * time.Minute
	module   = "github.com/edgehold/edgehold/cmd/"
)

// key is every device's pre-shared key.
var key = []byte("0123456789abcdef")

// built is where the programs are, which are built once.
var built struct {
	dir  string
	once sync.Once
	err  error
}

func TestMain(m *testing.M) {
	var err error
	if built.dir, err = os.MkdirTemp("", "faredge-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is the file of one of our programs.
func program(t *testing.T, name string) string {
	t.Helper()
	built.once.Do(func() {
		build := exec.Command("go", "build", "-o", built.dir+"/", module+"edgehold", module+"edgeholdd", module+"edgehold-device")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the programs: %w\n%s", err, text)
		}
	})
	must(t, built.err)
	return filepath.Join(built.dir, name)
}

// tool finds a program of others, or skips.
func tool(t *testing.T, name string) string {
	t.Helper()
	file, err := exec.LookPath(name)
	if err != nil && os.Getenv("EDGEHOLD_SKIP_NOTHING") == "" {
		t.Skip(err)
	}
	must(t, err)
	return file
}

// eventually waits for what another process brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

// process is one of ours that runs.
type process struct {
	cmd *exec.Cmd
	log string
}

// launch starts a program, whose words go to a log that is shown if the test fails.
func launch(t *testing.T, dir, file string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(dir, filepath.Base(file)+"-*.log")
	must(t, err)
	defer log.Close()
	p := &process{cmd: exec.Command(file, args...), log: log.Name()}
	p.cmd.Dir, p.cmd.Stderr = dir, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	must(t, p.cmd.Start())
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s said:\n%s", filepath.Base(file), args[0], p.said())
		}
	})
	return p
}

func (p *process) said() string {
	const most = 8 << 10
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-most):])
}

// kill ends it as a loss of power does.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// end has it end by itself.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// site is a folder with a gateway, which can be killed and started again at its addresses.
type site struct {
	*testing.T
	dir           string
	plain, secure string // addresses
	gateway       *process
}

// newSite starts a gateway that knows the devices by key. Those called sensor-* may come without security.
func newSite(t *testing.T, devices []string, settings ...string) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("runs whole programs and kills them: not in short mode")
	}
	dir, err := os.MkdirTemp("", "faredge-") // a unix socket's name has to be short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{T: t, dir: dir, plain: port.Address(t), secure: port.Address(t)}
	var text strings.Builder
	text.WriteString("devices:\n")
	for _, name := range devices {
		fmt.Fprintf(&text, "- endpoint: %s\n  psk: {key: \"%x\"}\n", name, key)
	}
	s.write("devices.yaml", text.String())
	s.write("psk", hex.EncodeToString(key))
	s.write("signer.pub", trusted())
	s.write("gateway.yaml", fmt.Sprintf("state_directory: state\nlwm2m:\n  udp: [%q]\n  dtls: %q\n  credentials: devices.yaml\n  nosec: [\"sensor-*\"]\nmqtt:\n  listen: [\"unix://mqtt\"]\n%s",
		s.plain, s.secure, strings.Join(settings, "\n")))
	s.start()
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string) string {
	s.Helper()
	must(s, os.WriteFile(s.path(name), []byte(text), 0o600))
	return s.path(name)
}

func (s *site) broker() string { return "unix://" + s.path("mqtt") }

// start starts the gateway and waits until it serves.
func (s *site) start() {
	s.Helper()
	s.gateway = launch(s.T, s.dir, program(s.T, "edgeholdd"), "gateway", "--config", s.path("gateway.yaml"))
	eventually(s.T, "the gateway serves", func() bool {
		if said := s.gateway.said(); strings.Contains(said, "code:") {
			s.Fatal(said)
		}
		return strings.Contains(s.gateway.said(), "msg=ready")
	})
}

// settled waits for longer than the gateway gathers records before it flushes its log: what it had answered within the last
// 50 ms a kill may take, and a device learns so with its next update.
func settled() { time.Sleep(250 * time.Millisecond) }

// restart kills the gateway and starts it again.
func (s *site) restart() {
	s.Helper()
	s.gateway.kill()
	s.start()
}

// run runs a program to its end.
func (s *site) run(file string, args ...string) (string, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(file), strings.Join(args, " "), errors.Join(ctx.Err(), err), &errs)
	}
	return out.String(), nil
}

// try is `edgehold device`.
func (s *site) try(args ...string) (string, error) {
	s.Helper()
	return s.run(program(s.T, "edgehold"), append([]string{"device", "--broker", s.broker(), "--timeout", patience.String()}, args...)...)
}

// device is `edgehold device`, which has to succeed and to print each of what is wanted.
func (s *site) device(command string, want ...string) string {
	s.Helper()
	out, err := s.try(strings.Fields(command)...)
	if err != nil {
		s.Errorf("%v", err)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			s.Errorf("edgehold device %s: want %q in\n%s", command, w, out)
		}
	}
	return out
}

// refused is a command that has to fail and say why.
func (s *site) refused(command, why string) {
	s.Helper()
	if out, err := s.try(strings.Fields(command)...); err == nil || !strings.Contains(err.Error(), why) {
		s.Errorf("edgehold device %s: want a failure with %q, got %v\n%s", command, why, err, out)
	}
}

// ask is a request of D3.3, 6.3.2, by mosquitto_rr.
func (s *site) ask(topic, message string, want ...string) {
	s.Helper()
	out, err := s.run(tool(s.T, "mosquitto_rr"), "-V", "5", "--unix", s.path("mqtt"), "-W", "120", "-e", "answers", "-t", topic, "-m", message)
	if err != nil {
		s.Errorf("%v", err)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			s.Errorf("%s on %s: want %q in\n%s", message[:min(len(message), 100)], topic, w, out)
		}
	}
}

// registered is each device's registration, by name.
func (s *site) registered() map[string]uint64 {
	s.Helper()
	out, err := s.try("list", "-o", "json")
	must(s, err)
	return epochs(s.T, out)
}
