//go:build linux

package kernel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
)

// role is the variable of the environment that makes this test program play qemu.
const role = "EDGEHOLD_TEST_QEMU"

// ActAsQemu plays qemu and its guest, if this process was started for it.
func ActAsQemu() bool {
	how := os.Getenv(role)
	if how == "" {
		return false
	}
	pipe, err := net.Dial("unix", "control")
	if err != nil {
		panic(err)
	}
	switch how {
	case "ends":
	case "is silent":
		io.Copy(io.Discard, pipe)
	default:
		os.WriteFile("console", []byte(control.Ready), 0o600)
		control.Serve(pipe, actor(how))
		select {} // turned off by nobody
	}
	return true
}

// actor is the guest's side.
type actor string

func (actor) SetClock(time.Time) error {
	syscall.Kill(os.Getpid(), syscall.SIGSTOP) //nolint:errcheck // it freezes
	select {}
}

func (a actor) PowerOff() error {
	if a == "is well" {
		os.Exit(0)
	}
	return nil
}

// play starts a machine that is this test program.
func play(t *testing.T, how string, l Limits) (*Machine, error) {
	t.Helper()
	t.Setenv(role, how)
	dir, err := os.MkdirTemp("", "edgehold-") // t.TempDir's names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	k := &Kernel{Arch: ARM64, Release: "none", dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "lib/modules/none"), 0o700); err != nil {
		t.Fatal(err)
	}
	return Start(context.Background(), dir, Config{Kernel: k, Board: Board{Program: os.Args[0]}, Limits: l})
}

// long is a limit that is not meant.
const long = time.Minute

func TestAMachineThatNeverAnswersIsFrozen(t *testing.T) {
	_, err := play(t, "is silent", Limits{Boot: 200 * time.Millisecond, Answer: long, Off: long, Life: long})
	frozen, ok := errors.AsType[*Frozen](err)
	if !ok || !frozen.Booting || !strings.Contains(frozen.Diagnosis, "threads") {
		t.Fatalf("got %v", err)
	}
}

func TestAMachineThatEndsWhileItBootsIsNotFrozen(t *testing.T) {
	_, err := play(t, "ends", Limits{Boot: long, Answer: long, Off: long, Life: long})
	if !errors.Is(err, errEnded) {
		t.Fatalf("got %v", err)
	}
}

func TestAMachineThatFreezesFailsItsCalls(t *testing.T) {
	m, err := play(t, "is well", Limits{Boot: long, Answer: 200 * time.Millisecond, Off: long, Life: long})
	if err != nil {
		t.Fatal(err)
	}
	defer m.PullPlug()
	begun := time.Now()
	if err := m.SetClock(t.Context(), time.Now()); err == nil {
		t.Error("a call to a frozen machine was answered")
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("the call failed after %v only", took)
	}
	if frozen, ok := errors.AsType[*Frozen](m.Err()); !ok || frozen.Booting {
		t.Errorf("the cause is told as %v", m.Err())
	}
}

func TestAMachineLivesItsTime(t *testing.T) {
	m, err := play(t, "is well", Limits{Boot: long, Answer: long, Off: long, Life: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer m.PullPlug()
	<-m.ended
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "time of 1s is up") {
		t.Errorf("got %v", err)
	}
}

func TestStop(t *testing.T) {
	for how, fails := range map[string]bool{"is well": false, "stays on": true} {
		t.Run(how, func(t *testing.T) {
			off := long
			if fails {
				off = 200 * time.Millisecond
			}
			m, err := play(t, how, Limits{Boot: long, Answer: long, Off: off, Life: long})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Stop(); (err != nil) != fails {
				t.Errorf("got %v", err)
			}
			select {
			case <-m.ended:
			default:
				t.Error("it still runs")
			}
		})
	}
}
