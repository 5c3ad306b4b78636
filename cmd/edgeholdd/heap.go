package main

import (
	"runtime/debug"
	"runtime/metrics"
)

// collectAt is how much garbage there may be for what is alive, in percent: a node agent shares a small machine, and
// allocates little.
const collectAt = 50

// leastHeadroom is what the heap may grow by before the collector works harder.
const leastHeadroom = 4 << 20

// settleHeap gives garbage back to the system, and makes the collector keep the process near the size that is left. A
// later peak may pass this soft limit: the collector never takes more than half of the time.
func settleHeap() {
	debug.FreeOSMemory()
	size := mapped()
	debug.SetMemoryLimit(size + max(size/4, leastHeadroom))
}

// mapped is what the Go runtime holds of the system's memory, in bytes.
func mapped() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
