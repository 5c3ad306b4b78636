package decision

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

// On a full disk nothing can be begun, so nothing is acted on; what was begun
// before is all there.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs the right to mount a tmpfs (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	db, err := state.Open(t.Context(), dir, state.Options{})
	must(t, err)
	l, err := Open(t.Context(), db, Options{})
	must(t, err)
	begun := 0
	var full error
	for ; full == nil; begun++ {
		d := example(begun, agents.Open)
		d.Record = make([]byte, 10_000)
		full = l.Begin(t.Context(), d)
	}
	begun--
	var e *state.Error
	if !errors.As(full, &e) || e.Code != "state.disk-full" || begun < 10 {
		t.Fatalf("after %d: %v", begun, full)
	}
	ds, err := l.Unfinished(t.Context())
	if err != nil || len(ds) != begun {
		t.Errorf("%d of %d are left: %v", len(ds), begun, err)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "audit")))
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=8m"))
	must(t, l.Begin(t.Context(), example(9_000, agents.Open)))
	must(t, db.Close())
}
