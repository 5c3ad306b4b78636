//go:build !unix

package store

import "os"

// acquire opens the lock file. Where there is no flock, nothing keeps a second process out.
func acquire(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
