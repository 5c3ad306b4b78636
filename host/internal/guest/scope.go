package guest

import (
	"context"
	"time"
)

// scope is the context that the engine carries through a guest's call. Host functions find their instance by its type;
// it answers the engine's own look-ups with nothing, at once, however deep the caller's context is.
type scope struct {
	*Instance
	handling context.Context // what handles get; made when the first one is called
	cancel   context.CancelFunc
}

type scopeKey struct{}

func (*scope) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*scope) Done() <-chan struct{}       { return nil }
func (*scope) Err() error                  { return nil }

// Value finds the scope itself, for the one time the engine wraps it: while a module's start function runs.
func (s *scope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return nil
}

// scopeOf returns the instance that a host function was called by.
func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.(*scope); ok {
		return s
	}
	return ctx.Value(scopeKey{}).(*scope)
}

// caller returns the context for work done on the guest's behalf: the caller's values, and the call's deadline.
func (s *scope) callerContext() context.Context {
	if s.handling == nil {
		s.handling, s.cancel = context.WithTimeout(s.meter.caller, time.Duration(s.meter.left()))
	}
	return s.handling
}

func (s *scope) finish() {
	if s.cancel != nil {
		s.cancel()
		s.handling, s.cancel = nil, nil
	}
}
