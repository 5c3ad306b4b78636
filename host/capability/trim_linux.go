package capability

import (
	"os"

	"golang.org/x/sys/unix"
)

// trim cuts the rest of a longer old content off in a plain file. In sysfs a write replaces the value.
func trim(f *os.File, size int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err == nil && st.Type == unix.SYSFS_MAGIC {
		return nil
	}
	return f.Truncate(size)
}
