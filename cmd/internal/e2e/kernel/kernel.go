//go:build linux

package kernel

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Arch is a processor architecture, by the name that Debian and Go share.
type Arch string

// The architectures that machines exist for.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// metaPackage names the package that always depends on the newest kernel. The cloud variant is small; ARM's lacks frequency scaling.
var metaPackage = map[Arch]string{AMD64: "linux-image-cloud-amd64", ARM64: "linux-image-arm64"}

// kept are the files of a kernel package that a test machine has use for; the rest would take a third of a gigabyte.
var kept = regexp.MustCompile(`^(boot/vmlinuz-.*|lib/modules/[^/]*/kernel/drivers/(acpi|base|block|char|cpufreq|virtio)/.*\.ko)$`)

// Kernel is an unpacked kernel package.
type Kernel struct {
	Arch    Arch
	Release string // as uname -r says it
	dir     string
}

// Missing is an error that says what this machine lacks to run a test, which then is a reason to skip.
type Missing struct {
	Capability string
	Err        error
}

func (m *Missing) Error() string { return fmt.Sprintf("needs %s: %v", m.Capability, m.Err) }
func (m *Missing) Unwrap() error { return m.Err }

// Fetch returns Debian's kernel for arch, downloading it if the cache does not have it. The cache is the folder edgehold in the
// user's cache folder ($XDG_CACHE_HOME, by default ~/.cache); remove it to get a newer kernel.
func Fetch(ctx context.Context, arch Arch) (*Kernel, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, &Missing{"a cache folder", err}
	}
	dir := filepath.Join(cache, "edgehold", "kernel", string(arch))
	unlock, err := lock(ctx, dir)
	if err != nil {
		return nil, &Missing{"a cache folder", err}
	}
	defer unlock()
	if k, err := open(dir, arch); err == nil {
		return k, nil
	}
	if err := fetch(ctx, dir, arch); err != nil {
		return nil, &Missing{"Debian's kernel package for " + string(arch), err}
	}
	return open(dir, arch)
}

// lock makes dir and keeps other processes out of Fetch. It waits for one that is there, as ctx allows.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != unix.EWOULDBLOCK {
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process's download: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// open finds an unpacked kernel.
func open(dir string, arch Arch) (*Kernel, error) {
	root := filepath.Join(dir, "root")
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if len(images) != 1 {
		return nil, fmt.Errorf("find the kernel image in %s: %w", root, os.ErrNotExist)
	}
	release := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	return &Kernel{Arch: arch, Release: release, dir: root}, nil
}

// fetch downloads and unpacks into dir/root, which appears only when it is complete.
func fetch(ctx context.Context, dir string, arch Arch) error {
	work, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	a, err := newApt(work, arch)
	if err != nil {
		return err
	}
	deb, err := a.download(ctx, metaPackage[arch])
	if err != nil {
		return err
	}
	root := filepath.Join(work, "root")
	if err := unpack(ctx, deb, root); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
	}
	return os.Rename(root, filepath.Join(dir, "root"))
}

// unpack writes the files that are kept below root.
func unpack(ctx context.Context, deb, root string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	cmd.WaitDelay = helpersDelay
	stream, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = untar(stream, root)
	io.Copy(io.Discard, stream) //nolint:errcheck // so that the program can end
	return errors.Join(err, cmd.Wait())
}

func untar(stream io.Reader, root string) error {
	for archive := tar.NewReader(stream); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if name := path.Clean(h.Name); h.Typeflag == tar.TypeReg && kept.MatchString(name) {
			if err := writeFrom(archive, filepath.Join(root, name)); err != nil {
				return err
			}
		}
	}
}

func writeFrom(r io.Reader, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// Image writes the kernel in the form that boots fastest to a file of its own in dir and returns its name.
func (k *Kernel) Image(dir string) (string, error) {
	packed := filepath.Join(k.dir, "boot", "vmlinuz-"+k.Release)
	if k.Arch != AMD64 {
		return packed, nil
	}
	b, err := os.ReadFile(packed)
	if err != nil {
		return "", err
	}
	image, err := Vmlinux(b)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "vmlinux")
	return file, os.WriteFile(file, image, 0o644)
}
