//go:build !linux

package mechanisms

import "time"

// Uptime falls back to the wall clock: systems other than Linux have no knobs of ours, only tests run there.
func (SystemClock) Uptime() time.Duration { return time.Since(time.Unix(0, 0)) }
