// Package pause is how the two ends of LwM2M let time pass. It plans nothing: who has many things to do at times of their own keeps an agenda.
package pause

import (
	"context"
	"time"
)

// For waits so long, and says whether it did: false if ctx has ended before.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
