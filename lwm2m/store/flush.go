package store

import (
	"context"
	"sync"
	"time"
)

// Wait returns when everything up to a mark is durable. Many callers share one flush of the disk: whoever finds nobody
// writing writes for all.
func (s *Store) Wait(ctx context.Context, m Mark) error {
	for {
		s.mu.RLock()
		done, broken := s.durable >= m, s.broken
		s.mu.RUnlock()
		if done || broken != nil {
			return broken
		}
		select {
		case s.turn <- struct{}{}:
			err := s.write()
			<-s.turn
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Flush makes everything durable that was put so far.
func (s *Store) Flush() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.write()
}

// write brings what is in memory to the disk. Its caller holds the turn. What the disk has no space for stays in memory, and
// is tried again.
func (s *Store) write() error {
	for {
		next, err := s.prepare()
		if err != nil {
			return err
		}
		buf, target, err := s.begin(next)
		if err != nil || buf == nil {
			return err
		}
		if _, err := target.file.WriteAt(buf, s.sizeOf(target)); err != nil {
			return failed("write "+target.name(), err)
		}
		if err := target.file.Sync(); err != nil {
			return s.fail(failed("flush "+target.name(), err))
		}
		s.finish()
	}
}

// prepare makes the log that is to follow the active one, if it is time for it.
func (s *Store) prepare() (*segment, error) {
	s.mu.RLock()
	wanted := s.active != nil && len(s.writing) == 0 && (s.roll || s.active.size+int64(len(s.pending)) >= s.options.SegmentBytes)
	s.mu.RUnlock()
	if !wanted {
		return nil, nil
	}
	return s.newLog()
}

// begin hands out what is to be written now, nil if nothing is; from here on records go to next, unless it is nil. What was
// left when a write failed comes first.
func (s *Store) begin(next *segment) (buf []byte, target *segment, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, nil, s.broken
	}
	if len(s.writing) > 0 {
		return s.writing, s.target, nil
	}
	if len(s.pending) > 0 {
		s.writing, s.target, s.written = s.pending, s.active, s.appended
		s.pending, s.spare = s.spare[:0], nil
	}
	if next != nil {
		s.active, s.roll = next, false
		s.segments = append(s.segments, next)
		signal(s.compact)
	}
	return s.writing, s.target, nil
}

func (s *Store) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target.size += int64(len(s.writing))
	s.durable = s.written
	if cap(s.writing) <= 1<<20 { // a burst's buffer is not kept
		s.spare = s.writing[:0]
	}
	s.writing, s.target = nil, nil
}

// fail ends all durability: after a failed flush nobody knows what the disk has.
func (s *Store) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
	return err
}

// Run flushes at the latest a window after something was put, and compacts, until the context ends; then it flushes for the
// last time.
func (s *Store) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { s.runCompaction(ctx) })
	defer work.Wait()
	timer := time.NewTimer(s.options.Window)
	timer.Stop()
	defer timer.Stop()
	ticking, lastError := false, ""
	for {
		select {
		case <-ctx.Done():
			return s.Flush()
		case <-s.dirty:
			if !ticking {
				ticking = true
				timer.Reset(s.options.Window)
			}
		case <-timer.C:
			ticking = false
			if err := s.Flush(); err != nil {
				if err.Error() != lastError {
					s.options.Logger.Error("the store could not write", "error", err)
				}
				lastError, ticking = err.Error(), true
				timer.Reset(max(s.options.Window, time.Second))
				continue
			}
			lastError = ""
		}
	}
}
