package state

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of the given size until the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs the right to mount a tmpfs (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for _, n := range []int{64 << 10, 4 << 10} {
		for {
			if _, err := f.Write(make([]byte, n)); err != nil {
				break
			}
		}
	}
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "4m")
	d := open(t, dir, Options{})
	v := accept(t, d, "p", "1")
	must(t, d.Activate(t.Context(), "p", v.Digest))
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)

	_, err := d.Accept(t.Context(), Version{Policy: "p", Version: "2"}, make([]byte, 1<<20))
	if code(err) != "state.disk-full" {
		t.Errorf("accept: %v", err)
	}
	var full error
	for range 1_000 { // the write-ahead log may have room left
		if full = d.Audit(t.Context(), Entry{Actor: "ann", Detail: string(make([]byte, 4000))}); full != nil {
			break
		}
	}
	if code(full) != "state.disk-full" {
		t.Errorf("audit: %v", full)
	}
	t.Run("restart while full", func(t *testing.T) {
		_ = d.Close()
		d = open(t, dir, Options{})
		if p, err := d.Policy(t.Context(), "p"); err != nil || p.Active != v.Digest {
			t.Errorf("%+v, %v", p, err)
		}
		_, err := d.Module(v.Digest)
		must(t, err)
	})
	must(t, os.Remove(ballast))
	v2 := accept(t, d, "p", "2")
	must(t, d.Activate(t.Context(), "p", v2.Digest))
	_, err = d.VerifyAudit(t.Context())
	must(t, err)
	must(t, d.Close())
}

func TestReadOnlyFolder(t *testing.T) {
	dir := smallDisk(t, "4m")
	must(t, open(t, dir, Options{}).Close())
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if _, err := Open(t.Context(), dir, Options{}); code(err) != "state.read-only" {
		t.Errorf("got %v", err)
	}
}
