//go:build linux

package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
)

// plug is the device of example 05: an HTTP server in a process of its own.
type plug struct {
	t             *testing.T
	address, file string
}

// newPlug starts a plug and offers it to adapters.
func (h *home) newPlug(t *testing.T) *plug {
	t.Helper()
	program := h.path("plug")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/edgehold/edgehold/examples/05-rest-device/device").CombinedOutput(); err != nil {
		t.Fatalf("build the plug: %v\n%s", err, out)
	}
	p := &plug{t: t, file: h.path("plug.json")}
	cmd := exec.Command(program, "-state", p.file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.address = strings.TrimSpace(line)
	f, err := os.OpenFile(h.path("config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, `
capabilities:
  - {kind: http, hosts: ["plug.example.org:80"], methods: [GET, PUT, POST, DELETE], address: "%s"}
  - {kind: kv, bytes: 1024}
`, p.address)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// regulated is where the plug keeps its fan by itself.
const regulated = 40

// fan is what the plug itself says.
func (p *plug) fan() (percent float64, auto bool) {
	b, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return regulated, true
	}
	var s struct {
		Fan struct {
			Percent float64
			Auto    bool
		}
	}
	if err := errors.Join(err, json.Unmarshal(b, &s)); err != nil {
		p.t.Fatal(err)
	}
	return s.Fan.Percent, s.Fan.Auto
}

func (p *plug) wantFan(percent float64) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("the fan is at %v", percent), func() bool {
		now, auto := p.fan()
		return now == percent && auto == (percent == regulated)
	})
}

// uploadExample builds an example and uploads it.
func (h *home) uploadExample(t *testing.T, dir string, o api.UploadOptions) api.UploadResult {
	t.Helper()
	b, err := scaffold.Build(context.Background(), filepath.Join("../../../../examples", dir), h.path(filepath.Base(dir)+".wasm"), scaffold.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	result, err := h.api.UploadPolicy(t.Context(), raw, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// turnFan has a person turn the fan.
func (h *home) turnFan(t *testing.T, percent float64, lease time.Duration) {
	t.Helper()
	_, err := h.api.ApplyMechanism(t.Context(), "SmartPlug", api.MechanismCommand{
		Settings: []api.Setting{{Knob: "fan/speed", Value: api.NumberValue(percent), Unit: "%"}}, LeaseMS: lease.Milliseconds(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// outlived is a lease that runs while daemon and guard are killed, and is over before the next daemon starts.
const outlived = 5 * time.Second

// killBoth kills the guard and its daemon, which has no time to start another one.
func (h *home) killBoth(t *testing.T, d *process) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(h.guard(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.kill()
}

// Killed for good, with a policy that holds an adapter's knob: the guard runs the adapter and gives the fan back.
func TestGuardRevertsThroughAnAdapter(t *testing.T) {
	h := newHome(t)
	p := h.newPlug(t)
	d := h.start(t)
	if r := h.uploadExample(t, "05-rest-device", api.UploadOptions{}); !r.Activated {
		t.Fatalf("got %+v", r)
	}
	h.uploadExample(t, "05-rest-device/cooler", api.UploadOptions{Parameters: map[string]float64{"high": 0}})
	p.wantFan(100)
	d.kill()
	p.wantFan(regulated)
}

// Without a guard the next daemon does it, through the version that it has stored.
func TestNextDaemonRevertsThroughAnAdapter(t *testing.T) {
	h := newHome(t)
	p := h.newPlug(t)
	d := h.start(t)
	h.uploadExample(t, "05-rest-device", api.UploadOptions{})
	h.turnFan(t, 75, outlived)
	turned := time.Now()
	h.killBoth(t, d)
	time.Sleep(time.Until(turned.Add(outlived)))
	p.wantFan(75) // with nobody there
	h.start(t)
	p.wantFan(regulated)
}

// A daemon that hangs does not keep an adapter's knob beyond its lease.
func TestDaemonThatHangsWithAnAdapter(t *testing.T) {
	h := newHome(t)
	p := h.newPlug(t)
	d := h.start(t)
	h.uploadExample(t, "05-rest-device", api.UploadOptions{})
	const lease = time.Second
	h.turnFan(t, 75, lease)
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.wantFan(regulated)
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon goes on", func() bool {
		m, err := h.api.Mechanism(t.Context(), "SmartPlug")
		return err == nil && m.Available && m.Adapter != nil && m.Knobs[1].Lease == nil
	})
	h.turnFan(t, 60, time.Minute)
	p.wantFan(60)
}
