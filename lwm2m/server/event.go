package server

import (
	"context"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// EventKind says what has happened.
type EventKind uint8

// What happens.
const (
	Registered   EventKind = iota + 1 // new, or again: Registration.ID differs
	Updated                           // address, lifetime, binding or objects of a registration
	Deregistered                      // by the device
	Expired                           // lifetime and grace went by without a word
	Removed                           // by [Server.Remove]
	Introduced                        // after Registered: what was wanted is observed again, Tree is what [Config].FirstReads read
	Awake                             // a device in queue mode is there
	Asleep                            // a device in queue mode is to be taken as sleeping
	Lost                              // a device that is not in queue mode let several requests go unanswered
	Found                             // a lost device is there again
	Notified                          // an observation has new values
	Ended                             // an observation has ended, Err says why
	Sent                              // a device sent values by itself (the Send operation)
	Answered                          // a queued request is done, Tree or Err is its result
	Missed                            // the subscriber was too slow: Count events are gone
)

var eventNames = [...]string{"none", "registered", "updated", "deregistered", "expired", "removed", "introduced", "awake", "asleep", "lost", "found",
	"notified", "ended", "sent", "answered", "missed"}

// String returns the kind's name.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is one thing that happened. All subscribers share its Tree and must not change it.
type Event struct {
	Kind        EventKind
	Endpoint    string
	Time        time.Time
	Observation ObservationID // of Notified and Ended
	Request     RequestID     // of Answered
	Path        lwm2m.Path    // of Notified, Ended and Answered; "/" of composite ones
	Tree        lwm2m.Tree
	Answer      *Answer // of Answered
	Err         error
	Count       int // of Missed
}

// Subscription gets events, in the order of their device. What its owner is too slow for is lost, and it is told how much.
type Subscription struct {
	server *Server
	size   int
	ready  chan struct{} // holds one while there is something to take

	mu     sync.Mutex
	events []Event
	bytes  int // of the events' trees
	missed int
	closed bool
}

// subscriptionBytes bounds the trees of the events that a subscription holds.
const subscriptionBytes = 64 << 20

// Subscribe begins a subscription that holds at most size events (at least 16) and 64 MiB of values that were not taken yet. Events from here on are in it:
// who lists the devices after it misses none.
func (s *Server) Subscribe(size int) *Subscription {
	sub := &Subscription{server: s, size: max(size, 16), ready: make(chan struct{}, 1)}
	s.subscribers.Lock()
	defer s.subscribers.Unlock()
	s.subscriptions = append(s.subscriptions[:len(s.subscriptions):len(s.subscriptions)], sub)
	return sub
}

// Next waits for the next event.
func (sub *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		if e, ok := sub.take(); ok {
			return e, nil
		}
		select {
		case <-sub.ready:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

func (sub *Subscription) take() (Event, bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if len(sub.events) == 0 {
		if sub.missed == 0 {
			return Event{}, false
		}
		e := sub.gap()
		return e, true
	}
	e := sub.events[0]
	sub.bytes -= e.Tree.Size()
	sub.events[0] = Event{}
	if sub.events = sub.events[1:]; len(sub.events) == 0 {
		sub.events = nil
	}
	return e, true
}

func (sub *Subscription) gap() Event {
	e := Event{Kind: Missed, Time: time.Now(), Count: sub.missed}
	sub.missed = 0
	return e
}

// put adds an event, or counts it where there is no room. What was missed stands before what comes after it.
func (sub *Subscription) put(e Event) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	room, size := sub.size-len(sub.events), e.Tree.Size()
	if sub.bytes+size > subscriptionBytes && size > 0 {
		room = 0
	}
	switch {
	case sub.closed:
		return
	case sub.missed > 0 && room >= 2:
		sub.events = append(sub.events, sub.gap(), e)
		sub.bytes += size
	case sub.missed == 0 && room >= 1:
		sub.events = append(sub.events, e)
		sub.bytes += size
	default:
		sub.missed++
	}
	select {
	case sub.ready <- struct{}{}:
	default:
	}
}

// Close ends the subscription.
func (sub *Subscription) Close() {
	sub.mu.Lock()
	sub.closed, sub.events, sub.bytes, sub.missed = true, nil, 0, 0
	sub.mu.Unlock()
	s := sub.server
	s.subscribers.Lock()
	defer s.subscribers.Unlock()
	var rest []*Subscription
	for _, other := range s.subscriptions {
		if other != sub {
			rest = append(rest, other)
		}
	}
	s.subscriptions = rest
}

// emit tells all subscribers.
func (s *Server) emit(e Event) {
	s.subscribers.RLock()
	subscriptions := s.subscriptions
	s.subscribers.RUnlock()
	if len(subscriptions) == 0 {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	for _, sub := range subscriptions {
		sub.put(e)
	}
}
