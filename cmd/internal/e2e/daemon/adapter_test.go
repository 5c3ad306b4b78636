//go:build linux

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/plug/plugtest"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
)

// newPlug starts a plug and offers it to adapters.
func (h *home) newPlug(t *testing.T) *plugtest.Plug {
	t.Helper()
	p := plugtest.Start(t)
	f, err := os.OpenFile(h.path("config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, `
capabilities:
  - {kind: http, hosts: ["plug.example.org:80"], methods: [GET, PUT, POST, DELETE], address: "%s"}
  - {kind: kv, bytes: 1024}
`, p.Address)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wantFan(t *testing.T, p *plugtest.Plug, percent float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("the fan is at %v", percent), func() bool { return p.Turns(percent) })
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
	wantFan(t, p, 100)
	d.kill()
	wantFan(t, p, plugtest.Regulated)
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
	wantFan(t, p, 75) // with nobody there
	h.start(t)
	wantFan(t, p, plugtest.Regulated)
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
	wantFan(t, p, plugtest.Regulated)
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon goes on", func() bool {
		m, err := h.api.Mechanism(t.Context(), "SmartPlug")
		return err == nil && m.Available && m.Adapter != nil && m.Knobs[1].Lease == nil
	})
	h.turnFan(t, 60, time.Minute)
	wantFan(t, p, 60)
}
