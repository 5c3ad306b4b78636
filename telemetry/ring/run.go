package ring

import (
	"context"
	"math"
	"time"
)

// Run does what time brings until ctx ends: it evaluates the expressions of selections, and drops
// what has left the window.
func (s *Store) Run(ctx context.Context) error {
	trimEvery := max(s.config.Window/30, time.Second)
	trimDue := s.config.Clock().Add(trimEvery)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.poke:
		case <-timer.C:
		}
		now := s.config.Clock()
		if !now.Before(trimDue) {
			s.trim(now.UnixMilli())
			trimDue = now.Add(trimEvery)
		}
		next := min(trimDue.Sub(now), s.evaluateDue(ctx, now))
		timer.Reset(max(next, time.Millisecond))
	}
}

// wake makes Run look at what is due.
func (s *Store) wake() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// evaluateDue evaluates the expressions whose time has come, and returns how long the next can wait.
func (s *Store) evaluateDue(ctx context.Context, now time.Time) time.Duration {
	s.mu.RLock()
	all := make([]*Selection, 0, len(s.expressions))
	for sel := range s.expressions {
		all = append(all, sel)
	}
	s.mu.RUnlock()
	next := time.Duration(math.MaxInt64)
	for _, sel := range all {
		next = min(next, sel.evaluate(ctx, now))
	}
	return next
}

func (sel *Selection) evaluate(ctx context.Context, now time.Time) time.Duration {
	sel.mu.Lock()
	wait := time.Duration(sel.dueMS-now.UnixMilli()) * time.Millisecond
	if 0 < wait && wait <= sel.request.Every { // a longer wait: the clock was set back
		sel.mu.Unlock()
		return wait
	}
	sel.dueMS = now.Add(sel.request.Every).UnixMilli()
	sel.mu.Unlock()

	res, err := sel.store.Query(ctx, sel.request.Query, now)
	if err != nil && ctx.Err() == nil {
		sel.store.config.Logger.Warn("expression failed", "query", sel.request.Query, "error", err)
	}
	sel.take(res, now)
	return sel.request.Every
}

// take reduces the result of an expression and reports crossings.
func (sel *Selection) take(res Result, now time.Time) {
	a := accumulator{how: sel.request.Reduce}
	for _, series := range res.Series {
		for _, p := range series.Points {
			a.add(p.UnixMS, p.Value)
		}
	}
	sel.mu.Lock()
	sel.set(a.reading(), a.expiresMS(sel.store.config.Lookback.Milliseconds()))
	sel.mu.Unlock()
	sel.settle()
}
