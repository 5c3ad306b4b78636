package ring

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// StaleNaN, appended as a value, says that the series has ended for now.
var StaleNaN = math.Float64frombits(value.StaleNaN)

// Series is one series of a store. It stays usable after it has been evicted: the next sample
// brings it back, if there is room.
type Series struct {
	store  *Store
	family *family
	key    string
	labels labels.Labels // __name__ included

	selections atomic.Pointer[[]*Selection] // replaced under store.mu

	mu     sync.Mutex
	dead   bool // evicted
	chunks []chunk
	head   chunkenc.Appender // of the last chunk; nil if there is none
	lastMS int64             // of the last sample; before the first, when the series was made
	last   float64
}

// chunk holds samples from firstMS to lastMS. All but a series' last chunk are sealed.
type chunk struct {
	firstMS, lastMS int64
	samples         int
	data            *chunkenc.XORChunk
}

func (c *chunk) bytes() int64 { return int64(len(c.data.Bytes())) }

// Append adds one sample and tells the selections that read this series.
func (r *Series) Append(unixMS int64, v float64) error {
	live, err := r.add(unixMS, v)
	if err != nil {
		return err
	}
	for _, sel := range live.readers() {
		sel.touch()
	}
	return nil
}

func (r *Series) readers() []*Selection {
	if p := r.selections.Load(); p != nil {
		return *p
	}
	return nil
}

// add stores the sample without telling selections. It returns the series that took it: not r if r
// was evicted and another handle has made the series anew.
func (r *Series) add(unixMS int64, v float64) (live *Series, err error) {
	nowMS := r.store.nowMS()
	grown, err := r.push(nowMS, unixMS, v)
	if err == errDead {
		if r, err = r.store.revive(r); err == nil {
			grown, err = r.push(nowMS, unixMS, v)
		}
	}
	r.store.account(grown, err)
	return r, err
}

// push returns by how many bytes the series has grown, which may be negative.
func (r *Series) push(nowMS, unixMS int64, v float64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return 0, errDead
	}
	freed, err := r.admit(nowMS, unixMS)
	if err != nil {
		return 0, err
	}
	grown := r.encode(unixMS, v) - freed
	r.lastMS, r.last = unixMS, v
	return grown, nil
}

// setBackMS is how far a series' last sample may lie ahead of the clock before a sample that does not
// is taken as proof that the clock was set back.
const setBackMS = 5000

// admit checks the time of a sample. If the clock was set back, what is there can't be ordered with
// what comes, so it makes room.
func (r *Series) admit(nowMS, unixMS int64) (freed int64, err error) {
	switch {
	case unixMS > nowMS+r.store.config.MaxAhead.Milliseconds():
		return 0, ErrTooFar
	case unixMS < nowMS-r.store.config.Window.Milliseconds():
		return 0, ErrTooOld
	case len(r.chunks) == 0 || unixMS > r.lastMS:
		return 0, nil
	case unixMS <= nowMS && r.lastMS > nowMS+setBackMS:
		r.store.counts.clockResets.Add(1)
		return r.clear(), nil
	case unixMS == r.lastMS:
		return 0, ErrDuplicate
	}
	return 0, ErrOutOfOrder
}

func (r *Series) encode(unixMS int64, v float64) int64 {
	grown := r.cut(unixMS)
	c := &r.chunks[len(r.chunks)-1]
	before := c.bytes()
	r.head.Append(0, unixMS, v)
	c.lastMS = unixMS
	c.samples++
	return grown + c.bytes() - before
}

// cut starts a new chunk when the last is full or spans an eighth of the window, and drops the
// chunks that have left the window.
func (r *Series) cut(unixMS int64) (grown int64) {
	windowMS := r.store.config.Window.Milliseconds()
	if n := len(r.chunks); n > 0 {
		c := &r.chunks[n-1]
		if c.samples < samplesPerChunk && unixMS-c.firstMS <= windowMS/8 {
			return 0
		}
		c.data.Compact()
		grown -= r.dropBefore(unixMS - windowMS)
	}
	data := chunkenc.NewXORChunk()
	r.head, _ = data.Appender() // never fails on an empty chunk
	r.chunks = append(r.chunks, chunk{firstMS: unixMS, lastMS: unixMS, data: data})
	return grown + int64(len(data.Bytes()))
}

// dropBefore drops chunks that ended before unixMS and returns the bytes freed.
func (r *Series) dropBefore(unixMS int64) (freed int64) {
	n := 0
	for n < len(r.chunks) && r.chunks[n].lastMS < unixMS {
		freed += r.chunks[n].bytes()
		n++
	}
	r.dropFirst(n)
	return freed
}

func (r *Series) dropFirst(n int) {
	if n == 0 {
		return
	}
	kept := copy(r.chunks, r.chunks[n:])
	clear(r.chunks[kept:])
	r.chunks = r.chunks[:kept]
	if kept == 0 {
		r.head = nil
	}
}

func (r *Series) clear() (freed int64) {
	for i := range r.chunks {
		freed += r.chunks[i].bytes()
	}
	r.chunks, r.head = nil, nil
	return freed
}

// size returns the bytes that the series could give up: all but its last chunk.
func (r *Series) size() (sealed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i < len(r.chunks)-1; i++ {
		sealed += r.chunks[i].bytes()
	}
	return sealed
}

// dropOldest gives up the oldest sealed chunk.
func (r *Series) dropOldest() (freed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.chunks) < 2 {
		return 0
	}
	freed = r.chunks[0].bytes()
	r.dropFirst(1)
	return freed
}

// latest returns the last sample; ok is false if there is none or the series has ended.
func (r *Series) latest() (unixMS int64, v float64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.chunks) == 0 || value.IsStaleNaN(r.last) {
		return 0, 0, false
	}
	return r.lastMS, r.last, true
}
