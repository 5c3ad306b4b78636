package host

import (
	"math/bits"
	"sync/atomic"

	"github.com/edgehold/edgehold/host/internal/guest"
)

// Stats are a module's counters since Prepare. A session adds its own every few calls and when it ends.
type Stats struct {
	Calls         uint64
	Errors        map[Kind]uint64 // only kinds that occurred
	Latency       Histogram       // nanoseconds; of the first calls of each session, and a sample of later ones
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

func (h *Histogram) add(v uint64) {
	h.Buckets[min(bits.Len64(v), HistogramBuckets-1)]++
	h.Sum += v
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
	count := h.Count()
	if count == 0 {
		return 0
	}
	rank := min(uint64(q*float64(count)), count-1)
	for n, b := range h.Buckets {
		if b > 0 && rank < b {
			return 1<<n - 1
		}
		rank -= min(rank, b)
	}
	return 0
}

// histogram is a Histogram that sessions on several goroutines add to.
type histogram struct {
	buckets [HistogramBuckets]atomic.Uint64
	sum     atomic.Uint64
}

func (h *histogram) merge(from *Histogram) {
	for n, b := range from.Buckets {
		if b > 0 {
			h.buckets[n].Add(b)
		}
	}
	h.sum.Add(from.Sum)
}

func (h *histogram) read() (out Histogram) {
	for n := range h.buckets {
		out.Buckets[n] = h.buckets[n].Load()
	}
	out.Sum = h.sum.Load()
	return out
}

// counters are what Stats is read from. The number of calls is the number of values of fuel.
type counters struct {
	errors                      [guest.Kinds]atomic.Uint64
	latency, fuel               histogram
	requestBytes, responseBytes atomic.Uint64
	hostCalls, logDropped       atomic.Uint64
	sessions, resets, discards  atomic.Uint64
	memory                      atomic.Uint64
}

// tally is what one session counted and did not add to the module's counters yet: a dozen atomic additions would be a
// third of the cost of a small call.
type tally struct {
	calls                                  uint64
	latency, fuel                          Histogram
	requestBytes, responseBytes, hostCalls uint64
}

// tallyCalls is after how many calls a session adds its tally.
const tallyCalls = 64

func (t *tally) add(request, response int, fuel uint64, hostCalls uint32) {
	t.calls++
	t.fuel.add(fuel)
	t.requestBytes += uint64(request)
	t.responseBytes += uint64(response)
	t.hostCalls += uint64(hostCalls)
}

func (c *counters) merge(t *tally) {
	if t.calls == 0 {
		return
	}
	c.latency.merge(&t.latency)
	c.fuel.merge(&t.fuel)
	c.requestBytes.Add(t.requestBytes)
	c.responseBytes.Add(t.responseBytes)
	c.hostCalls.Add(t.hostCalls)
	*t = tally{}
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
	s.Calls = s.Fuel.Count()
	for k := range c.errors {
		if n := c.errors[k].Load(); n > 0 {
			s.Errors[Kind(k)] = n
		}
	}
	return s
}
