//go:build !linux

package main

import "time"

var started = time.Now()

// cpuTime stands in for the processor time, which has no portable clock.
func cpuTime() time.Duration { return time.Since(started) }
