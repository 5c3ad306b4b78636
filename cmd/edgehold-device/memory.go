package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// A small heap is collected more often than a large one would be worth: RATIONALE.md has the figures.
const (
	collectPercent = 20
	memoryLimit    = 6 << 20 // of the Go runtime, a soft bound
	settles        = 5 * time.Second
	trimEvery      = time.Minute
)

// beSmall has the runtime prefer processor time over memory.
func beSmall() {
	debug.SetGCPercent(collectPercent)
	debug.SetMemoryLimit(memoryLimit)
	runtime.MemProfileRate = 0
}

// staySmall gives back, once the start is over and then from time to time, what is not in use.
func staySmall(ctx context.Context) {
	timer := time.NewTimer(settles)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			debug.FreeOSMemory()
			forgetCode()
			timer.Reset(trimEvery)
		}
	}
}
