//go:build !linux

package runner

import "time"

// processorTime returns how long f takes, which is more than it uses when others want the processor too.
func processorTime(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}
