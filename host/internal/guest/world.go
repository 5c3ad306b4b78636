package guest

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Handle is a capability that a guest was granted; guests name it by its place in the session's list.
type Handle interface {
	// Call performs op and appends its result to dst. in is the guest's own memory: it is valid during the call only.
	Call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error)
}

// Observer is told what crosses the boundary during a call. Slices are valid during the call only.
type Observer interface {
	HostCall(handle, op uint32, in, out []byte, status wasmabi.Status)
	Metric(id uint32, value float64)
}

// World is what makes one session of an instance differ from another.
type World struct {
	Time     time.Time
	Seed     uint64
	Handles  []Handle
	Observer Observer // may be nil
}

// tick is how far the clock moves each time the guest looks at it: runtimes divide by elapsed time.
const tick = int64(time.Microsecond)

// clock is virtual: it starts where the session says, and moves when the guest looks at it or sleeps.
type clock struct{ start, elapsed int64 }

func (c *clock) set(t time.Time) { *c = clock{start: t.UnixNano()} }

func (c *clock) read() int64 {
	c.elapsed += tick
	return c.elapsed
}

func (c *clock) sleep(d int64) { c.elapsed += max(d, 0) }

// fill writes the next bytes of the seeded sequence, least significant byte first.
func fill(r *rand.PCG, b []byte) {
	for len(b) > 0 {
		v := r.Uint64()
		for k := range min(8, len(b)) {
			b[k] = byte(v >> (8 * k))
		}
		b = b[min(8, len(b)):]
	}
}

// golden separates the two halves of a generator's seed.
const golden = 0x9e3779b97f4a7c15
