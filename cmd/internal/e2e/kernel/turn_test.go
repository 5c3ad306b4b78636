//go:build linux

package kernel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel"
	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
)

// turning is the program turn running in a machine.
type turning struct {
	m    *kernel.Machine
	pid  int
	http *http.Client
}

const (
	turnSocket = "/run/turn.sock"
	turnLog    = "/run/turn.log"
)

// turnProgram builds it for the RAM disk.
func turnProgram(t *testing.T, arch kernel.Arch) kernel.File {
	t.Helper()
	skipUnlessPatient(t)
	return kernel.File{Name: "bin/turn", Executable: true, Contents: program(t, arch, "github.com/edgehold/edgehold/cmd/internal/e2e/kernel/turn")}
}

// startTurn starts it and waits until it answers.
func startTurn(t *testing.T, m *kernel.Machine, dir string) *turning {
	t.Helper()
	front := forward(t, m, filepath.Join(dir, "turn"), turnSocket)
	u := &turning{m: m, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", front)
		},
	}}}
	u.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := m.ReadFile(context.Background(), turnLog)
			t.Logf("turn said:\n%s", log)
		}
	})
	return u
}

func (u *turning) start(t *testing.T) {
	t.Helper()
	var err error
	u.pid, err = u.m.Start(t.Context(), control.Command{Args: []string{"/bin/turn", "/run/state", turnSocket}, Output: turnLog})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, u.m, "turn answers", func() bool { return u.try(t, http.MethodGet, "/state", nil, nil) == nil })
}

func (u *turning) try(t *testing.T, method, path string, q, a any) error {
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://turn"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := u.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || a == nil {
		return err
	}
	return json.Unmarshal(b, a)
}

// set holds a knob at a value for an hour.
func (u *turning) set(t *testing.T, knob string, v mechanisms.Value) mechanisms.Result {
	t.Helper()
	return u.hold(t, time.Hour, knob, v)
}

// hold holds a knob at a value for the time given.
func (u *turning) hold(t *testing.T, lease time.Duration, knob string, v mechanisms.Value) (r mechanisms.Result) {
	t.Helper()
	c := mechanisms.Command{
		Mechanism: cpufreq.Name, Verb: mechanisms.Set, Owner: "test", Lease: lease,
		Settings: []mechanisms.Setting{{Knob: knob, Value: v}},
	}
	if err := u.try(t, http.MethodPost, "/apply", c, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// revert puts every knob back.
func (u *turning) revert(t *testing.T) (r mechanisms.Result) {
	t.Helper()
	if err := u.try(t, http.MethodPost, "/revert", nil, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// kill ends it as the kernel does when memory runs out.
func (u *turning) kill(t *testing.T) {
	t.Helper()
	if err := u.m.Signal(t.Context(), u.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := u.m.Wait(t.Context(), u.pid); err != nil {
		t.Fatal(err)
	}
}

// forward makes a socket of the guest one of the host.
func forward(t *testing.T, m *kernel.Machine, outside, inside string) string {
	t.Helper()
	l, err := net.Listen("unix", outside)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); m.Forward(ctx, l, "unix", inside) }()
	t.Cleanup(func() { cancel(); <-done })
	return outside
}

// eventually waits for something that another machine does in its own time.
func eventually(t *testing.T, m *kernel.Machine, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
		if m.Err() != nil {
			t.Fatalf("waited for it when the machine went: %s", what) // the clean-up says why
		}
	}
	t.Fatalf("waited in vain: %s", what)
}
