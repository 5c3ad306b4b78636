//go:build unix

package device

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock has a folder for one process. It is released when the file is closed, or the process ends.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) {
		return nil, nil // nobody can write here anyway
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: another process is the device of this folder", f.Name()), f.Close())
	}
	return f, nil
}
