package fleet

import (
	"fmt"
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that are 1/16 wide of what they hold.
type Histogram struct {
	buckets [bucketCount]uint32
	count   uint64
	max     time.Duration
}

const (
	bucketSteps = 16
	bucketCount = 40 * bucketSteps // up to ten days of microseconds
)

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	h.buckets[bucketOf(d)]++
	h.count++
	h.max = max(h.max, d)
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < bucketSteps {
		return int(us)
	}
	exponent := bits.Len64(us) - 5 // us>>exponent is 16..31
	return min(exponent*bucketSteps+int(us>>exponent), bucketCount-1)
}

// upper is the greatest duration of a bucket.
func upper(bucket int) time.Duration {
	if bucket < 2*bucketSteps {
		return time.Duration(bucket+1)*time.Microsecond - 1
	}
	exponent := bucket/bucketSteps - 1
	return time.Duration((bucket%bucketSteps+bucketSteps+1)<<exponent)*time.Microsecond - 1
}

// Quantile returns a duration that this share of all is not above, a sixteenth too great at most.
func (h *Histogram) Quantile(share float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank, seen := uint64(share*float64(h.count-1))+1, uint64(0)
	for bucket, n := range h.buckets {
		if seen += uint64(n); seen >= rank {
			return min(upper(bucket), h.max)
		}
	}
	return h.max
}

// Count returns how many durations were counted, and Max the greatest.
func (h *Histogram) Count() uint64 { return h.count }

// Max is described at Count.
func (h *Histogram) Max() time.Duration { return h.max }

func (h *Histogram) merge(o *Histogram) {
	for bucket, n := range o.buckets {
		h.buckets[bucket] += n
	}
	h.count += o.count
	h.max = max(h.max, o.max)
}

// String sums it up.
func (h *Histogram) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", short(h.Quantile(0.5)), short(h.Quantile(0.99)), short(h.max), h.count)
}

func short(d time.Duration) time.Duration {
	if d > time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
