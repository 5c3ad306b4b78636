//go:build !linux

package sources

import "time"

// threadCPU is not known here; sources then count as free.
func threadCPU() time.Duration { return 0 }
