package mechanisms

import "time"

// Clock tells the time twice: for people, and for deadlines. Uptime counts from the machine's start, suspended
// time included, and means the same in every process of one boot; setting the wall clock does not move it.
type Clock interface {
	Now() time.Time
	Uptime() time.Duration
}

// SystemClock is the machine's own.
type SystemClock struct{}

// Now returns the wall clock's time.
func (SystemClock) Now() time.Time { return time.Now() }
