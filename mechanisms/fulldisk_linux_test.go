package mechanisms

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("edgehold-test", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("needs to mount a file system: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func fill(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "filler")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not fill up: %v", err)
	}
	return name
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	b := &bench{rack: newRack(), clock: &hand{up: time.Hour}}
	b.cfg = Config{Dir: dir, BootID: "boot-1", Clock: b.clock}
	b.start(t)
	defer func() { b.Abandon() }()
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	filler := fill(t, dir)
	b.refused(t, turnTo("p", 0, "b", Number(50)), CodeJournal)
	b.want(t, "b", Number(20))

	b.clock.move(time.Hour) // what is held goes back all the same
	b.Expire(t.Context())
	b.want(t, "a", Number(10))

	os.Remove(filler)
	b.must(t, turnTo("p", 0, "b", Number(50)), Applied)
	b.restart(t)
	b.want(t, "b", Number(50))
	if n, err := VerifyAudit(dir, nil); err != nil || n == 0 {
		t.Errorf("audit: %d events, %v", n, err)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	dir := smallDisk(t)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip("needs to remount: ", err)
	}
	_, err := NewSupervisor(Config{Dir: dir, BootID: "boot-1"})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeJournal || !errors.Is(err, syscall.EROFS) {
		t.Errorf("got %v", err)
	}
}
