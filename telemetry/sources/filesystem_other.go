//go:build !linux

package sources

import (
	"errors"
	"fmt"
)

func measure(dir string) (usage, error) {
	return usage{}, fmt.Errorf("measure the file system of %s: %w", dir, errors.ErrUnsupported)
}
