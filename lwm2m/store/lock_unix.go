//go:build unix

package store

import (
	"os"
	"syscall"
)

// acquire locks the folder for as long as the file is open.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed("open "+path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &Error{Code: "lwm2m-store.locked", What: "lock " + path, Why: "another process has the store open",
			Hint: "stop the other gateway, or give this one a folder of its own", Err: err}
	}
	return f, nil
}
