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

// evaluate evaluates the expression if it is time, and returns how long the next time can wait. An
// expression that takes long is evaluated less often: it may use a twentieth of a processor.
func (sel *Selection) evaluate(ctx context.Context, now time.Time) time.Duration {
	sel.mu.Lock()
	wait := sel.due.Sub(now)
	sel.mu.Unlock()
	if 0 < wait && wait <= longestWait { // a longer wait: the clock was set back
		return wait
	}
	begin := time.Now()
	res, err := sel.store.Query(ctx, sel.request.Query, now)
	wait = min(max(sel.request.Every, 20*time.Since(begin)), longestWait)
	sel.take(res, err, now.Add(wait))
	return wait
}

const longestWait = time.Minute

// take reduces the result of an expression and reports crossings.
func (sel *Selection) take(res Result, err error, due time.Time) {
	a := accumulator{how: sel.request.Reduce}
	for _, series := range res.Series {
		for _, p := range series.Points {
			a.add(p.UnixMS, p.Value)
		}
	}
	sel.mu.Lock()
	sel.due = due
	sel.set(a.reading(), a.expiresMS(sel.store.config.Lookback.Milliseconds()))
	news := (err != nil) != sel.failing
	sel.failing = err != nil
	sel.mu.Unlock()
	if news && err != nil {
		sel.store.config.Logger.Warn("an expression that a policy asked for failed", "query", sel.request.Query, "error", err)
	}
	sel.settle()
}
