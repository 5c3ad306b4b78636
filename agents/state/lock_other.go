//go:build !unix

package state

import "os"

// lockFile says that the folder is open. Where there is no flock, nothing keeps
// a second process out.
type lockFile struct{ f *os.File }

func acquire(path string) (l *lockFile, unclean bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	unclean, err = mark(f)
	return &lockFile{f}, unclean, err
}

func (l *lockFile) release(clean bool) {
	if clean {
		unmark(l.f)
	}
	_ = l.f.Close()
}
