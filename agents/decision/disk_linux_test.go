package decision

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	fill(t, filepath.Join(dir, "ballast"))
	var waits agents.Decision // the first whose outcome finds no room
	n := 0
	for ; waits.ID == "" && n < begun; n++ {
		d := example(n, agents.Landed)
		d.Reason = strings.Repeat("because ", 2_000)
		if err := l.Finish(t.Context(), d); err != nil {
			waits = d
		}
	}
	ds, err := l.Unfinished(t.Context())
	if err != nil || len(ds) != begun-n+1 || waits.ID == "" {
		t.Errorf("%d of %d are open after %d were finished: %v", len(ds), begun, n-1, err)
	}
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=8m"))
	must(t, l.Begin(t.Context(), example(9_000, agents.Open)))
	clear(l.newest)
	if d, err := l.Get(t.Context(), waits.ID); err != nil || d.Outcome != agents.Landed {
		t.Errorf("the outcome that waited for room: %s, %v", d.Outcome, err)
	}
	must(t, db.Close())
}

// fill takes what space is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}
