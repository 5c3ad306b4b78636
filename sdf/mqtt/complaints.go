package mqtt

import (
	"sync"
	"sync/atomic"
	"time"
)

// rarely lets something be said once a minute.
type rarely struct{ last atomic.Int64 }

func (r *rarely) now(t time.Time) bool {
	last := r.last.Load()
	return t.Unix()-last >= 60 && r.last.CompareAndSwap(last, t.Unix())
}

// complaints let something be said of each client once a minute, and of maxComplaints clients a minute.
type complaints struct {
	mu    sync.Mutex
	since time.Time
	of    map[string]bool
}

const maxComplaints = 64

func (c *complaints) now(client string, t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Sub(c.since) >= time.Minute {
		c.since, c.of = t, map[string]bool{}
	}
	if c.of[client] || len(c.of) == maxComplaints {
		return false
	}
	c.of[client] = true
	return true
}
