//go:build unix

package mechanisms

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errLocked means that another process has the lock.
var errLocked = errors.New("another process has the lock")

// tryLock takes an advisory lock that ends with the process at the latest. The file stays.
func tryLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("lock %s: %w", name, err)
}

// lockPatiently waits for the lock, but not for ever: its holder may have been stopped.
func lockPatiently(name string, patience time.Duration) (*os.File, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		f, err := tryLock(name)
		if err == nil || !errors.Is(err, errLocked) || patience <= 0 {
			return f, err
		}
		time.Sleep(min(wait, patience))
		patience -= wait
	}
}
