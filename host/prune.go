package host

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// keepUnused is how long a file stays in the cache that no module was prepared from: policies come back after a rollback or
// a season.
const keepUnused = 60 * 24 * time.Hour

// prune removes files from dir that were last used before the given time, and what a crash left half written. It goes on
// after a failure, because all that a file left behind costs is room.
func prune(dir string, before time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(before) {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// used marks a file as such.
func used(path string) error {
	now := time.Now()
	return os.Chtimes(path, now, now)
}
