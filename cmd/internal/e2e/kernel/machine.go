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
	dir   string
	kill  context.CancelFunc
	ended chan struct{} // closed when qemu has gone
}

// Config is a machine to boot.
type Config struct {
	Kernel  *Kernel
	Board   Board
	Modules []string // by name; their dependencies come along
	Init    []byte   // the guest program, a static executable
	Files   []File   // more files of the RAM disk
}

// Board is the part of a machine that depends on its architecture.
type Board struct {
	Program string   // qemu's executable
	Args    []string // board, processors, and the devices beyond the control channel
	Console string   // the kernel's name of the serial console
}

// memory of a machine in MiB: twice what the RAM disk and a daemon with a few policies take.
const memory = "512"

// Start boots a machine whose files lie in dir, a folder with a short path (a socket's name has 107 bytes at most), and waits until
// it answers. The caller must call Stop. The guest also ends with this process.
func Start(ctx context.Context, dir string, c Config) (*Machine, error) {
	m := &Machine{dir: dir, ended: make(chan struct{})}
	image, err := c.prepare(dir)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "control"), Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if m.kill, err = m.launch(ctx, c.Board, image); err != nil {
		return nil, err
	}
	if err := m.greet(ctx, listener); err != nil {
		m.kill()
		<-m.ended
		return nil, fmt.Errorf("boot %s: %w; its console said:\n%s", c.Kernel.Release, err, m.Console())
	}
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

// launch starts qemu, which dies with this process, and follows it.
func (m *Machine) launch(ctx context.Context, b Board, image string) (stop context.CancelFunc, err error) {
	ctx, stop = context.WithCancel(ctx)
	args := append([]string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-m", memory,
		"-serial", "file:console",
		"-kernel", image, "-initrd", "initramfs",
		"-append", "console=" + b.Console + " quiet panic=-1 rdinit=/init",
		"-chardev", "socket,id=control,path=control",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=control,name=edgehold.control",
	}, b.Args...)
	qemu := exec.CommandContext(ctx, b.Program, args...)
	qemu.Dir = m.dir
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := os.Create(filepath.Join(m.dir, "qemu"))
	if err != nil {
		stop()
		return nil, err
	}
	defer output.Close()
	qemu.Stdout, qemu.Stderr = output, output
	if err := qemu.Start(); err != nil {
		stop()
		return nil, &Missing{b.Program, err}
	}
	go func() {
		defer close(m.ended)
		defer stop()
		qemu.Wait() //nolint:errcheck // it is killed as a rule
	}()
	return stop, nil
}

// greet waits for qemu's end of the control channel, and then for the guest's first answer.
func (m *Machine) greet(ctx context.Context, listener *net.UnixListener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-m.ended:
			cancel(errors.New("the machine ended"))
			listener.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // can't fail while it is open
		case <-ctx.Done():
		}
	}()
	pipe, err := listener.Accept()
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	if m.Client, err = control.NewClient(ctx, pipe); err != nil {
		pipe.Close()
		return err
	}
	if _, err := m.ReadFile(ctx, "/proc/uptime"); err != nil {
		m.Client.Close()
		return errors.Join(context.Cause(ctx), err)
	}
	return nil
}

// Console is what the guest has printed so far, and what qemu had to complain about.
func (m *Machine) Console() string {
	console, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	complaints, _ := os.ReadFile(filepath.Join(m.dir, "qemu"))
	return string(complaints) + string(console)
}

// PullPlug ends the machine at once. What its kernel has not written to its disk is lost.
func (m *Machine) PullPlug() {
	m.kill()
	<-m.ended
	m.Client.Close()
}

// Stop turns the machine off after its kernel has written what it still had to. It may have ended before.
func (m *Machine) Stop() {
	m.PowerOff(context.Background()) //nolint:errcheck // the answer goes down with the machine
	m.Client.Close()
	<-m.ended
}
