//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
)

// serve readies the network and the drivers and answers calls until the pipe breaks; then the machine has no purpose and is turned off.
func serve() error {
	if err := errors.Join(loopback(), loadModules("/modules"), mountDisk()); err != nil {
		fmt.Println("guest:", err) // seen on the console; what works is served nevertheless
	}
	port, err := openPort("edgehold.control")
	if err != nil {
		return err
	}
	fmt.Println(control.Ready)
	err = control.Serve(control.Pipe(port), machine{})
	return errors.Join(err, machine{}.PowerOff())
}

func mount() error {
	var errs []error
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		errs = append(errs, os.MkdirAll(m.dir, 0o755))
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.dir, err))
		}
	}
	return errors.Join(errs...)
}

// mountDisk mounts the disk at /disk, if the machine has one.
func mountDisk() error {
	const device, dir = "/dev/vda", "/disk"
	if _, err := os.Stat("/sys/block/vda"); err != nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	return nil
}

// loopback brings the interface lo up; without it nothing can listen on 127.0.0.1.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// loadModules loads every module in the order of the files' names.
func loadModules(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("load modules: %w", err)
	}
	var errs []error
	for _, f := range files {
		image, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err == nil {
			err = unix.InitModule(image, "")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("load module %s: %w", f.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// openPort finds the virtio serial port of that name. The kernel announces ports some moments after the driver is loaded.
func openPort(name string) (control.Device, error) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, file := range names {
			if b, _ := os.ReadFile(file); string(bytes.TrimSpace(b)) == name {
				f, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(file)), os.O_RDWR, 0)
				return &early{File: f}, err
			}
		}
	}
	return nil, fmt.Errorf("open the serial port %s: it did not appear", name)
}

// early is a port that may have been opened before the kernel knew of its other end, which is another announcement. Until then
// every read is the end of the file.
type early struct {
	*os.File
	known bool // only the one reader uses it
}

func (e *early) Read(p []byte) (int, error) {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		n, err := e.File.Read(p)
		if e.known = e.known || n > 0 || time.Since(begun) > 30*time.Second; e.known || err != io.EOF {
			return n, err
		}
	}
}

// machine is the host that the calls act on.
type machine struct{}

func (machine) SetClock(t time.Time) error {
	tv := unix.NsecToTimeval(t.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

func (machine) PowerOff() error {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		return fmt.Errorf("power off: %w", err)
	}
	return nil
}
