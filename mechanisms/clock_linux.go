package mechanisms

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime reads CLOCK_BOOTTIME.
func (SystemClock) Uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Since(time.Unix(0, 0)) // cannot happen on a kernel that runs Go; wall time still ends leases
	}
	return time.Duration(ts.Nano())
}
