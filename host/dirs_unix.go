//go:build unix

package host

import (
	"fmt"
	"os"
	"syscall"
)

// checkPrivate refuses a directory whose content somebody else could have put there: we execute it.
func checkPrivate(dir string, info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s has mode %#o, others may write to it: chmod go-w it, or choose another", dir, mode)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, this process runs as %d: choose another", dir, s.Uid, os.Geteuid())
	}
	return nil
}
