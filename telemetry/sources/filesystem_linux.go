package sources

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func measure(dir string) (usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return usage{}, fmt.Errorf("measure the file system of %s: %w", dir, err)
	}
	block := float64(st.Bsize)
	return usage{
		size: float64(st.Blocks) * block, free: float64(st.Bfree) * block, available: float64(st.Bavail) * block,
		files: float64(st.Files), filesFree: float64(st.Ffree),
	}, nil
}
