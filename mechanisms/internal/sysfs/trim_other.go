//go:build !linux

package sysfs

import "os"

func trim(f *os.File, size int64) error { return f.Truncate(size) }
