package mqtt

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"
)

// returns tells observations that a gateway came back: what was notified while it or its broker were away nobody has heard, so they ask again. And it
// tells requests, which are not answered any more.
type returns struct {
	mu    sync.Mutex
	since map[string]time.Time // of gateways that were seen
	told  map[chan struct{}]struct{}
	stop  func()

	refused error     // why the broker does not tell of gateways
	again   time.Time // when it is asked once more
}

// add has the channel, which has room for one, get something at each return. The first asks the bus to tell of gateways. Where the broker refuses that, which is not
// asked for again before the next lease, observations live by their leases alone, and requests wait for their deadline.
func (r *returns) add(ctx context.Context, c *Client, back chan struct{}) {
	r.mu.Lock()
	if r.told == nil {
		r.told, r.since = map[chan struct{}]struct{}{}, map[string]time.Time{}
	}
	r.told[back] = struct{}{}
	first := r.stop == nil && !time.Now().Before(r.again)
	if first {
		r.stop = func() {}
	}
	r.mu.Unlock()
	if !first {
		return
	}
	w := Watcher{Gateway: r.seen}
	stop, err := c.bus.Subscribe(ctx, topicGateway+"/+", c.taking(w.gateway))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop = stop; err != nil {
		r.stop = nil
	}
	if r.refused = nil; errors.Is(err, ErrRefused) {
		r.refused, r.again = err, time.Now().Add(c.config.Lease)
		c.config.Logger.Warn("the broker does not tell this client of gateways: that one was started anew is noticed late", "error", err, "again", c.config.Lease)
	}
}

// blind is why nobody knows whether a gateway is there, if the broker does not tell.
func (r *returns) blind() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

func (r *returns) remove(back chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.told, back)
}

// seen is called for what the broker keeps too, so the same gateway is often seen twice.
func (r *returns) seen(p Presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, known := r.since[p.Name]
	if !p.Online || since.Equal(p.Time) || !known && len(r.since) >= maxGateways {
		return
	}
	if r.since[p.Name] = p.Time; !known {
		return
	}
	for back := range r.told {
		select {
		case back <- struct{}{}:
		default:
		}
	}
}

// spread is the time before an observation is asked for again: a hundred a second in all, so that a gateway that has just come back is not run over.
func (r *returns) spread() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(rand.Int64N(int64(len(r.told)+1) * int64(10*time.Millisecond)))
}

func (r *returns) close() {
	r.mu.Lock()
	stop := r.stop
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// latest is what an observation has told last.
type latest struct {
	receive func(*Notification)

	mu      sync.Mutex
	objects Objects
}

func (l *latest) tell(n *Notification) {
	l.mu.Lock()
	l.objects = n.Objects
	l.mu.Unlock()
	l.receive(n)
}

// begin notes what OBSERVE answered, unless a notification was faster.
func (l *latest) begin(o Objects) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.objects == nil {
		l.objects = o
	}
}

// missed tells what is so now, if that was not told.
func (l *latest) missed(n *Notification) {
	l.mu.Lock()
	same := reflect.DeepEqual(l.objects, n.Objects)
	l.mu.Unlock()
	if !same {
		l.tell(n)
	}
}
