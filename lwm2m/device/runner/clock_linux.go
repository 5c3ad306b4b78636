package runner

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns what f uses of a processor: waiting for other processes does not count.
func processorTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
	begun := time.Now()
	f()
	if err != nil || unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after) != nil {
		return time.Since(begun)
	}
	return time.Duration(after.Nano() - before.Nano())
}
