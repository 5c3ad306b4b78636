//go:build unix

package state

import (
	"os"
	"syscall"
)

// lockFile is held for as long as a folder is open. Its content says whether
// that is so: after a crash it still does.
type lockFile struct{ f *os.File }

func acquire(path string) (l *lockFile, unclean bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, false, &Error{Code: "state.locked", What: "lock " + path, Why: "another process has the state open",
			Hint: "stop the other agent, or give this one a folder of its own", Err: err}
	}
	unclean, err = mark(f)
	if err != nil {
		_ = f.Close()
		return nil, false, err
	}
	return &lockFile{f}, unclean, nil
}

func (l *lockFile) release(clean bool) {
	if clean {
		unmark(l.f)
	}
	_ = l.f.Close()
}
