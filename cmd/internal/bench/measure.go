package main

import (
	"slices"
	"time"
)

// How long one sample of one side takes, and how many of them each side gets, alternating.
const (
	sampleTime = 10 * time.Millisecond
	samples    = 40
)

// typical is the quantile of the samples that counts: below the middle, because what else the machine does to the
// caches only ever makes a sample longer.
const typical = 0.3

// compare takes the processor time of two operations in turn, so that what else the machine does falls on both.
func compare(ours, theirs func(n int)) Measured {
	a, b := repeats(ours), repeats(theirs)
	var x, y []time.Duration
	for range samples {
		x = append(x, timed(ours, a))
		y = append(y, timed(theirs, b))
	}
	return nanoseconds(quantile(x, typical), quantile(y, typical))
}

// timed returns how long one of n takes.
func timed(f func(n int), n int) time.Duration {
	start := cpuTime()
	f(n)
	return max((cpuTime()-start)/time.Duration(n), 1)
}

// repeats finds how many make a sample.
func repeats(f func(n int)) int {
	for n := 1; ; n *= 4 {
		start := cpuTime()
		f(n)
		if took := cpuTime() - start; took > sampleTime/8 {
			return max(int(float64(n)*float64(sampleTime)/float64(took)), 1)
		}
	}
}

func quantile(v []time.Duration, q float64) time.Duration {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}
