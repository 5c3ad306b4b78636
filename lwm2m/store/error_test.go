package store

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// What a folder refuses is no failure of its disk.
func TestFailed(t *testing.T) {
	for _, row := range []struct {
		errno      syscall.Errno
		code, hint string
	}{
		{syscall.EIO, "lwm2m-store.failed", "failures of its disk"},
		{syscall.ENOSPC, "lwm2m-store.disk-full", "free some space"},
		{syscall.EACCES, "lwm2m-store.no-rights", "owner of the state folder"},
		{syscall.EROFS, "lwm2m-store.no-rights", "another folder"},
	} {
		e := failed("open lock", &fs.PathError{Op: "open", Path: "lock", Err: row.errno}).(*Error)
		if e.Code != row.code || !strings.Contains(e.Hint, row.hint) {
			t.Errorf("%v: got %s, %s", row.errno, e.Code, e.Hint)
		}
	}
}
