package ring

import (
	"container/heap"
	"slices"
)

// evictIdle drops the series that had no sample for a whole window; s.mu is held.
func (s *Store) evictIdle(nowMS int64) {
	s.sweptMS = nowMS
	oldestMS := nowMS - s.config.Window.Milliseconds()
	touched := make(map[*family]struct{})
	for key, r := range s.series {
		freed, retired := r.retire(oldestMS)
		if !retired {
			continue
		}
		delete(s.series, key)
		r.selections.Store(nil)
		touched[r.family] = struct{}{}
		s.bytes.Add(-freed)
		s.counts.evictedSeries.Add(1)
	}
	for f := range touched {
		s.prune(f)
	}
}

// retire marks r dead if its last sample is older than oldestMS.
func (r *Series) retire(oldestMS int64) (freed int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lastMS >= oldestMS {
		return 0, false
	}
	r.dead = true
	return r.clear(), true
}

func (r *Series) isDead() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dead
}

// prune forgets the dead series of f, and f itself if nothing is left; s.mu is held.
func (s *Store) prune(f *family) {
	f.series = slices.DeleteFunc(f.series, (*Series).isDead)
	for _, sel := range f.selections {
		sel.prune()
	}
	if len(f.series) == 0 && len(f.selections) == 0 {
		delete(s.families, f.name)
	}
}

// trim drops what has left the window, series by series.
func (s *Store) trim(nowMS int64) {
	s.mu.Lock()
	s.evictIdle(nowMS)
	s.mu.Unlock()
	oldestMS := nowMS - s.config.Window.Milliseconds()
	for _, r := range s.match(nil) {
		r.mu.Lock()
		freed := r.dropBefore(oldestMS)
		r.mu.Unlock()
		s.bytes.Add(-freed)
	}
}

// squeeze takes the oldest samples of the series that holds most, again and again, until the bound
// on bytes holds with a sixteenth to spare: so that it is not needed again at once.
func (s *Store) squeeze() {
	if !s.squeezing.TryLock() {
		return
	}
	defer s.squeezing.Unlock()
	largest := s.bySize()
	goal := s.config.MaxBytes - s.config.MaxBytes/16
	for len(largest) > 0 && s.bytes.Load() > goal {
		freed := largest[0].series.dropOldest()
		if freed == 0 {
			heap.Pop(&largest) // only its last chunk is left; the bound on series bounds those
			continue
		}
		largest[0].bytes -= freed
		heap.Fix(&largest, 0)
		s.bytes.Add(-freed)
		s.counts.squeezed.Add(1)
	}
}

func (s *Store) bySize() sizes {
	all := s.match(nil)
	largest := make(sizes, 0, len(all))
	for _, r := range all {
		largest = append(largest, sized{r.size(), r})
	}
	heap.Init(&largest)
	return largest
}

// sizes is a heap with the largest series on top.
type sizes []sized

type sized struct {
	bytes  int64
	series *Series
}

func (h sizes) Len() int           { return len(h) }
func (h sizes) Less(i, j int) bool { return h[i].bytes > h[j].bytes }
func (h sizes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sizes) Push(x any)        { *h = append(*h, x.(sized)) }
func (h *sizes) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
