package ring

// evictIdle drops the series that had no sample for a whole window; s.mu is held.
func (s *Store) evictIdle(nowMS int64) {
	s.sweptMS = nowMS
	oldestMS := nowMS - s.config.Window.Milliseconds()
	for _, r := range s.series {
		if freed, ok := r.retire(oldestMS); ok {
			s.delist(r)
			s.bytes.Add(-freed)
			s.counts.evictedSeries.Add(1)
		}
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

// squeeze takes the oldest samples of the series that holds most, until the bound on bytes holds
// with a sixteenth to spare: so that it is not needed again at once.
func (s *Store) squeeze() {
	if !s.squeezing.TryLock() {
		return
	}
	defer s.squeezing.Unlock()
	goal := s.config.MaxBytes - s.config.MaxBytes/16
	for s.bytes.Load() > goal {
		freed := s.largest().dropOldest()
		if freed == 0 {
			return // only last chunks are left; the bound on series bounds them
		}
		s.bytes.Add(-freed)
		s.counts.squeezed.Add(1)
	}
}

func (s *Store) largest() *Series {
	var most int64
	largest := &Series{}
	for _, r := range s.match(nil) {
		if n := r.size(); n > most {
			most, largest = n, r
		}
	}
	return largest
}
