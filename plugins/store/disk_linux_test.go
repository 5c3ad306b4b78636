package store

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a tmpfs (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := open(t, dir, Options{})
	digest := put(t, s, "what runs")
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 2<<20), 0o600) // as much as fits

	big := bytes.Repeat([]byte("x"), 100_000)
	if _, err := s.Put(t.Context(), big); code(err) != "store.disk-full" {
		t.Errorf("put: %v", err)
	}
	p, err := s.Partial(t.Context(), Digest(big), int64(len(big)))
	if err == nil { // the name may fit where the content does not
		_, err = p.Write(big)
		must(t, p.Close())
	}
	if code(err) != "store.disk-full" {
		t.Errorf("download: %v", err)
	}
	s = open(t, dir, Options{}) // needs no space
	if _, err := s.Read(digest); err != nil {
		t.Error(err)
	}
	must(t, os.Remove(ballast))
	p, err = s.Partial(t.Context(), Digest(big), int64(len(big)))
	must(t, err)
	_, err = p.Write(big[p.Offset():])
	must(t, err)
	must(t, p.Commit())
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if _, err := s.Put(t.Context(), []byte("another")); code(err) != "store.read-only" {
		t.Errorf("read-only: %v", err)
	}
}
