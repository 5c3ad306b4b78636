package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine notes what it was asked for.
type machine struct {
	clock time.Time
	off   bool
}

func (m *machine) SetClock(t time.Time) error { m.clock = t; return nil }
func (m *machine) PowerOff() error            { m.off = true; return nil }

// join serves this very process as the guest over an in-memory pipe.
func join(t *testing.T) (*control.Client, *machine) {
	t.Helper()
	inside, outside := net.Pipe()
	m := &machine{}
	served := make(chan error, 1)
	go func() { served <- control.Serve(inside, m) }()
	c, err := control.NewClient(t.Context(), outside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return c, m
}

func TestFiles(t *testing.T) {
	c, _ := join(t)
	ctx := t.Context()
	name := filepath.Join(t.TempDir(), "scaling_max_freq")
	if err := c.WriteFile(ctx, name, []byte("1800000\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.ReadFile(ctx, name); err != nil || got != "1800000" {
		t.Errorf("read back %q, %v", got, err)
	}
	if got, err := c.Glob(ctx, filepath.Dir(name)+"/*"); err != nil || len(got) != 1 || got[0] != name {
		t.Errorf("glob gave %q, %v", got, err)
	}
	if _, err := c.ReadFile(ctx, name+"x"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("reading a missing file gave %v", err)
	}
}

func TestProcesses(t *testing.T) {
	c, _ := join(t)
	ctx := t.Context()
	out := filepath.Join(t.TempDir(), "out")
	pid, err := c.Start(ctx, control.Command{Args: []string{"/bin/sh", "-c", "echo $COLOUR; exit 3"}, Env: []string{"COLOUR=blue"}, Output: out})
	if err != nil {
		t.Fatal(err)
	}
	if exit, err := c.Wait(ctx, pid); err != nil || exit != (control.Exit{Code: 3}) {
		t.Errorf("exit %+v, %v", exit, err)
	}
	if b, _ := os.ReadFile(out); string(b) != "blue\n" {
		t.Errorf("output %q", b)
	}
	if _, err := c.Wait(ctx, 1<<30); err == nil {
		t.Error("waited for a process that was never started")
	}
}

func TestSignalEndsAProcess(t *testing.T) {
	c, _ := join(t)
	ctx := t.Context()
	pid, err := c.Start(ctx, control.Command{Args: []string{"/bin/sh", "-c", "while :; do read x; done < /dev/zero"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Signal(ctx, pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit, err := c.Wait(ctx, pid); err != nil || exit != (control.Exit{Code: -1, Signal: int(syscall.SIGKILL)}) {
		t.Errorf("exit %+v, %v", exit, err)
	}
}

func TestMachine(t *testing.T) {
	c, m := join(t)
	then := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := c.SetClock(t.Context(), then); err != nil || !m.clock.Equal(then) {
		t.Errorf("clock %v, %v", m.clock, err)
	}
	if err := c.PowerOff(t.Context()); err != nil || !m.off {
		t.Errorf("off %v, %v", m.off, err)
	}
}

func TestForwardCarriesConversationsSideBySide(t *testing.T) {
	c, _ := join(t)
	inside := listen(t)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})}
	go server.Serve(inside)
	t.Cleanup(func() { server.Close() })
	front := forward(t, c, inside.Addr().String())

	first, second := dial(t, front), dial(t, front)
	for i, conn := range []net.Conn{second, first, second} {
		body := strings.Repeat(fmt.Sprint(i), 100_000)
		go fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != body {
			t.Errorf("conversation %d came back with %d bytes, %v", i, len(got), err)
		}
	}
}

func TestForwardToNobodyEndsTheConversation(t *testing.T) {
	c, _ := join(t)
	front := forward(t, c, filepath.Join(t.TempDir(), "nobody"))
	for range 300 { // as one who waits for a server does
		conn := dial(t, front)
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if b, _ := io.ReadAll(conn); len(b) != 0 {
			t.Fatalf("read %q", b)
		}
	}
	if _, err := c.ReadFile(t.Context(), "/proc/uptime"); err != nil {
		t.Errorf("then the guest is out of reach: %v", err)
	}
}

func TestCallsToASilentGuestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside, outside := net.Pipe()
		go io.Copy(io.Discard, inside)
		c, err := control.NewClient(t.Context(), outside)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		begun := time.Now()
		_, err = c.ReadFile(t.Context(), "/proc/uptime")
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != 30*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begun = time.Now()
		_, err = c.Wait(ctx, 1)
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != time.Hour {
			t.Errorf("waiting for a process ended after %v: %v", took, err)
		}
	})
}

// One conversation that nobody reads inside, and one that nobody reads outside, must not keep a call from its answer.
func TestAStalledConversationHoldsUpNobody(t *testing.T) {
	c, _ := join(t)
	inside := listen(t)
	go func() {
		for {
			conn, err := inside.Accept()
			if err != nil {
				return
			}
			go io.Copy(conn, zeros{}) // and reads nothing
			t.Cleanup(func() { conn.Close() })
		}
	}()
	t.Cleanup(func() { inside.Close() })
	front := forward(t, c, inside.Addr().String())
	for range 3 {
		conn := dial(t, front)
		conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if n, err := io.Copy(conn, zeros{}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d bytes, %v", n, err)
		}
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := c.WriteFile(t.Context(), name, make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// forward gives the address of a socket outside that leads to the socket inside.
func forward(t *testing.T, c *control.Client, inside string) string {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Forward(ctx, l, "unix", inside) }()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
