package ring

import "sync/atomic"

// Stats counts what a store holds and what it did since it was made.
type Stats struct {
	Series, Selections, Metrics int
	Bytes                       int64 // of encoded samples

	Appended      uint64
	Duplicates    uint64 // samples dropped: the time was there already
	OutOfOrder    uint64 // samples dropped: older than the last
	TooOld        uint64 // samples dropped: left the window
	TooFar        uint64 // samples dropped: too far in the future
	RefusedSeries uint64 // samples whose series found no room
	RefusedLabels uint64 // samples whose labels break a bound
	EvictedSeries uint64
	Squeezed      uint64 // chunks given up because of the bound on bytes
	ClockResets   uint64 // series restarted because the clock was set back
	Crossings     uint64
	Queries       uint64
	FailedQueries uint64
}

type counts struct {
	appended, duplicates, outOfOrder, tooOld, tooFar      atomic.Uint64
	refusedSeries, refusedLabels, evictedSeries, squeezed atomic.Uint64
	clockResets, crossings, queries, failedQueries        atomic.Uint64
}

// Stats returns the counts now.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	series, selections, metrics := len(s.series), s.selections, len(s.families)
	s.mu.RUnlock()
	c := &s.counts
	return Stats{
		Series: series, Selections: selections, Metrics: metrics, Bytes: s.bytes.Load(),
		Appended: c.appended.Load(), Duplicates: c.duplicates.Load(), OutOfOrder: c.outOfOrder.Load(),
		TooOld: c.tooOld.Load(), TooFar: c.tooFar.Load(),
		RefusedSeries: c.refusedSeries.Load(), RefusedLabels: c.refusedLabels.Load(),
		EvictedSeries: c.evictedSeries.Load(), Squeezed: c.squeezed.Load(), ClockResets: c.clockResets.Load(),
		Crossings: c.crossings.Load(), Queries: c.queries.Load(), FailedQueries: c.failedQueries.Load(),
	}
}

// account books the outcome of one append.
func (s *Store) account(grown int64, err error) {
	switch err {
	case nil:
		s.counts.appended.Add(1)
		if s.bytes.Add(grown) > s.config.MaxBytes {
			s.squeeze()
		}
	case ErrDuplicate:
		s.counts.duplicates.Add(1)
	case ErrOutOfOrder:
		s.counts.outOfOrder.Add(1)
	case ErrTooOld:
		s.counts.tooOld.Add(1)
	case ErrTooFar:
		s.counts.tooFar.Add(1)
	}
}
