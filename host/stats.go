package host

import (
	"math/bits"
	"sync/atomic"

	"github.com/edgehold/edgehold/host/internal/guest"
)

// Stats are a module's counters since Prepare.
type Stats struct {
	Calls         uint64
	Errors        map[Kind]uint64 // only kinds that occurred
	Latency       Histogram       // nanoseconds
	Fuel          Histogram       // units
	RequestBytes  uint64
	ResponseBytes uint64
	HostCalls     uint64
	LogDropped    uint64 // bytes
	Sessions      uint64
	Resets        uint64 // instances put back to the image
	Discards      uint64 // instances that could not be, and were given up
	Instances     int    // now, lent and idle
	MemoryBytes   uint64 // the largest linear memory seen at the end of a session
}

// HistogramBuckets is how many buckets a Histogram has.
const HistogramBuckets = 48

// Histogram counts values by their size: bucket n holds those of n binary digits, from 2^(n-1) to 2^n - 1.
type Histogram struct {
	Buckets [HistogramBuckets]uint64
	Sum     uint64
}

// Count returns how many values there are.
func (h *Histogram) Count() (n uint64) {
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// Quantile returns an upper bound, tight within a factor of two, of the q-th quantile; 0 if there are no values.
func (h *Histogram) Quantile(q float64) uint64 {
	rank := uint64(q * float64(h.Count()))
	for n, b := range h.Buckets {
		if b > 0 && rank < b {
			return 1<<n - 1
		}
		rank -= min(rank, b)
	}
	return 0
}

// histogram is a Histogram that calls on several goroutines add to.
type histogram struct {
	buckets [HistogramBuckets]atomic.Uint64
	sum     atomic.Uint64
}

func (h *histogram) add(v uint64) {
	h.buckets[min(bits.Len64(v), HistogramBuckets-1)].Add(1)
	h.sum.Add(v)
}

func (h *histogram) read() (out Histogram) {
	for n := range h.buckets {
		out.Buckets[n] = h.buckets[n].Load()
	}
	out.Sum = h.sum.Load()
	return out
}

// counters are what Stats is read from. The number of calls is the number of latencies.
type counters struct {
	errors                      [guest.Kinds]atomic.Uint64
	latency, fuel               histogram
	requestBytes, responseBytes atomic.Uint64
	hostCalls, logDropped       atomic.Uint64
	sessions, resets, discards  atomic.Uint64
	memory                      atomic.Uint64
}

func (c *counters) sawMemory(bytes uint64) {
	for old := c.memory.Load(); bytes > old && !c.memory.CompareAndSwap(old, bytes); old = c.memory.Load() {
	}
}

func (c *counters) read() Stats {
	s := Stats{
		Errors:        map[Kind]uint64{},
		Latency:       c.latency.read(),
		Fuel:          c.fuel.read(),
		RequestBytes:  c.requestBytes.Load(),
		ResponseBytes: c.responseBytes.Load(),
		HostCalls:     c.hostCalls.Load(),
		LogDropped:    c.logDropped.Load(),
		Sessions:      c.sessions.Load(),
		Resets:        c.resets.Load(),
		Discards:      c.discards.Load(),
		MemoryBytes:   c.memory.Load(),
	}
	s.Calls = s.Latency.Count()
	for k := range c.errors {
		if n := c.errors[k].Load(); n > 0 {
			s.Errors[Kind(k)] = n
		}
	}
	return s
}
