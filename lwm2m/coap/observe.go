package coap

import (
	"sync"
	"time"
)

// Newer says whether a notification with Observe value next, got at nextTime, is newer than the one with value last got at
// lastTime (RFC 7641 section 3.4).
func Newer(last uint32, lastTime time.Time, next uint32, nextTime time.Time) bool {
	const half = 1 << 23
	return last < next && next-last < half || last > next && last-next > half || nextTime.Sub(lastTime) > 128*time.Second
}

// refused takes a reset that no exchange waits for.
func (e *Endpoint) refused(j *job) {
	if e.config.Refused == nil {
		return
	}
	if token, ok := e.notified.take(j.key, j.message.ID); ok {
		e.config.Refused(j.peer, token)
	}
}

// notified remembers the newest non-confirmable notifications, so that a reset can be told whose it is.
type notified struct {
	mu   sync.Mutex
	ring [256]struct {
		key   key
		id    uint16
		token Token
	}
	next int
}

func (n *notified) put(k key, id uint16, t Token) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := &n.ring[n.next%len(n.ring)]
	e.key, e.id, e.token = k, id, t
	n.next++
}

func (n *notified) take(k key, id uint16) (Token, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.ring {
		if e := &n.ring[i]; e.key == k && e.id == id {
			t := e.token
			e.key = key{}
			return t, true
		}
	}
	return Token{}, false
}
