//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
)

// Machine is a booted guest. Its methods are the control channel's.
type Machine struct {
	*control.Client
	dir    string
	limits Limits
	life   context.Context // done when qemu has gone or must go, for the cause that Err tells
	end    context.CancelCauseFunc
	qemu   *exec.Cmd
	ended  chan struct{} // closed when qemu has gone
}

// Config is a machine to boot.
type Config struct {
	Kernel  *Kernel
	Board   Board
	Modules []string // by name; their dependencies come along
	Init    []byte   // the guest program, a static executable
	Files   []File   // more files of the RAM disk
	Limits  Limits   // by default those of [Defaults]
}

// Board is the part of a machine that depends on its architecture.
type Board struct {
	Program string   // qemu's executable
	Args    []string // board, processors, and the devices beyond the control channel
	Console string   // the kernel's name of the serial console
	Kernel  string   // more of the kernel's command line
}

// Limits are how long a machine may take. One that takes longer is ended, so that nobody waits for it for ever.
type Limits struct {
	Boot   time.Duration // from its start to its first answer
	Answer time.Duration // without a sign of life
	Off    time.Duration // to turn itself off
	Life   time.Duration // all in all
}

// Defaults are three times what a machine takes beside twenty busy programs on two processors. A machine is found frozen
// before a call to it fails by itself, so that the reason is known by then.
var Defaults = Limits{Boot: 90 * time.Second, Answer: 25 * time.Second, Off: 10 * time.Second, Life: 3 * time.Minute}

// memory of a machine in MiB: twice what the RAM disk and a daemon with a few policies take.
const memory = "512"

// Start boots a machine whose files lie in dir, a folder with a short path (a socket's name has 107 bytes at most), and waits until
// it answers. The caller must call Stop. The guest also ends with this process. A machine that does not answer is [Frozen].
func Start(ctx context.Context, dir string, c Config) (*Machine, error) {
	if c.Limits == (Limits{}) {
		c.Limits = Defaults
	}
	image, err := c.prepare(dir)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "control"), Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	m, err := launch(ctx, dir, c, image)
	if err != nil {
		return nil, err
	}
	if err := m.greet(listener); err != nil {
		m.kill(err)
		return nil, fmt.Errorf("boot %s: %w; its console said:\n%s", c.Kernel.Release, err, m.Console())
	}
	go m.watch()
	return m, nil
}

// prepare writes the RAM disk and the kernel, whose file it returns.
func (c Config) prepare(dir string) (image string, err error) {
	modules, err := c.Kernel.Modules(c.Modules...)
	if err != nil {
		return "", err
	}
	files := append([]File{{Name: "init", Executable: true, Contents: c.Init}}, modules...)
	disk, err := os.Create(filepath.Join(dir, "initramfs"))
	if err != nil {
		return "", err
	}
	if err := errors.Join(WriteInitramfs(disk, append(files, c.Files...)), disk.Close()); err != nil {
		return "", err
	}
	return c.Kernel.Image(dir)
}

var (
	errStopped = errors.New("the machine was turned off")
	errEnded   = errors.New("the machine ended by itself")
)

// launch starts qemu, which dies with this process and when the machine's life is over, and follows it.
func launch(ctx context.Context, dir string, c Config, image string) (*Machine, error) {
	ctx, expire := context.WithTimeoutCause(ctx, c.Limits.Life, fmt.Errorf("the machine's time of %v is up", c.Limits.Life))
	m := &Machine{dir: dir, limits: c.Limits, ended: make(chan struct{})}
	m.life, m.end = context.WithCancelCause(ctx)
	release := func(why error) { m.end(why); expire() }
	m.qemu = exec.CommandContext(m.life, c.Board.Program, append([]string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-m", memory,
		"-name", "edgehold,debug-threads=on", "-qmp", "unix:" + monitor + ",server=on,wait=off",
		"-serial", "file:console",
		"-kernel", image, "-initrd", "initramfs",
		"-append", "console=" + c.Board.Console + " quiet panic=-1 rdinit=/init " + c.Board.Kernel,
		"-chardev", "socket,id=control,path=control",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=control,name=edgehold.control",
	}, c.Board.Args...)...)
	m.qemu.Dir = dir
	m.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := os.Create(filepath.Join(dir, "qemu"))
	if err != nil {
		release(err)
		return nil, err
	}
	defer output.Close()
	m.qemu.Stdout, m.qemu.Stderr = output, output
	if err := m.qemu.Start(); err != nil {
		release(err)
		return nil, &Missing{c.Board.Program, err}
	}
	go func() {
		defer close(m.ended)
		m.qemu.Wait() //nolint:errcheck // it is killed as a rule
		release(errEnded)
	}()
	return m, nil
}

// greet waits for qemu's end of the control channel, and then for the guest's first answer.
func (m *Machine) greet(listener *net.UnixListener) error {
	ctx, cancel := context.WithTimeoutCause(m.life, m.limits.Boot, errSilent)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		listener.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // can't fail while it is open
	})()
	pipe, err := listener.Accept()
	if err == nil {
		if m.Client, err = control.NewClient(ctx, pipe); err != nil {
			pipe.Close()
		} else if err = m.Greet(ctx); err == nil {
			return nil
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second): // the pipe breaks before qemu has quite gone
	}
	switch cause := context.Cause(ctx); cause {
	case nil:
		return err
	case errSilent:
		return m.frozen(m.limits.Boot)
	default:
		return cause
	}
}

// Console is what the guest has printed so far, and what qemu had to complain about.
func (m *Machine) Console() string {
	console, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	complaints, _ := os.ReadFile(filepath.Join(m.dir, "qemu"))
	return string(complaints) + string(console)
}

// Err tells why a machine has gone that nobody turned off: it is [Frozen], it ended by itself, or its time was up.
func (m *Machine) Err() error {
	if err := context.Cause(m.life); err != errStopped {
		return err
	}
	return nil
}

// PullPlug ends the machine at once. What its kernel has not written to its disk is lost.
func (m *Machine) PullPlug() { m.kill(errStopped) }

func (m *Machine) kill(why error) {
	m.end(why)
	<-m.ended
	if m.Client != nil {
		m.Client.Close()
	}
}

// Stop turns the machine off after its kernel has written what it still had to, and pulls the plug if that takes too long. It
// may have ended before.
func (m *Machine) Stop() error {
	ctx, cancel := context.WithTimeout(m.life, m.limits.Off)
	defer cancel()
	defer m.PullPlug()
	m.PowerOff(ctx) //nolint:errcheck // the answer goes down with the machine
	<-ctx.Done()
	if m.life.Err() != nil {
		return nil
	}
	return fmt.Errorf("turn the machine off: it still runs after %v; %s", m.limits.Off, m.diagnosis())
}
