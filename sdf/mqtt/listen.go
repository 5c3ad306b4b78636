package mqtt

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// ears are who listens through one Client. A broker is asked for all of a thing's events once, however many listen to however much of it, and for those of
// all things at most once: subscriptions that overlap would bring a message once or several times, as the broker likes (MQTT v5, 3.3.4).
type ears struct {
	mu     sync.Mutex // held while subscribing: a second listener waits for the first one's subscription
	all    *head      // nil unless somebody has listened to all things
	things map[string]*head
}

// head is a thing's listeners, or all.
type head struct {
	mu     sync.RWMutex
	ears   []*ear
	cancel func()
}

type ear struct {
	filter  Topic
	receive func(*Notification)
}

func (e *ears) add(ctx context.Context, c *Client, one ear) (cancel func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	thing := one.filter.Thing
	h := e.head(thing)
	if h == nil {
		h = &head{}
		if h.cancel, err = c.bus.Subscribe(ctx, eventFilter(thing), c.taking(h.hear)); err != nil {
			return nil, fmt.Errorf("listen to events: %w", err)
		}
		e.put(thing, h)
	}
	h.change(func(list []*ear) []*ear { return append(list, &one) })
	return sync.OnceFunc(func() { e.remove(&one) }), nil
}

func (e *ears) head(thing string) *head {
	if e.all != nil {
		return e.all
	}
	return e.things[thing]
}

// put adds a head; that of all things takes over what the others heard.
func (e *ears) put(thing string, h *head) {
	if thing != "" {
		if e.things == nil {
			e.things = map[string]*head{}
		}
		e.things[thing] = h
		return
	}
	for _, other := range e.things {
		h.change(func(list []*ear) []*ear { return append(list, other.ears...) })
		other.cancel()
	}
	e.all, e.things = h, nil
}

func (e *ears) remove(one *ear) {
	e.mu.Lock()
	defer e.mu.Unlock()
	thing := one.filter.Thing
	h := e.head(thing)
	left := h.change(func(list []*ear) []*ear { return slices.DeleteFunc(list, func(x *ear) bool { return x == one }) })
	if left > 0 {
		return
	}
	h.cancel()
	if h == e.all {
		e.all = nil
	} else {
		delete(e.things, thing)
	}
}

func eventFilter(thing string) string {
	if thing == "" {
		return topicEvent + "/#"
	}
	return under(topicEvent, thing) + "/#"
}

func (h *head) change(f func([]*ear) []*ear) (left int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ears = f(slices.Clone(h.ears))
	return len(h.ears)
}

func (h *head) hear(m *Message) error {
	n, err := notification(m)
	if err != nil {
		return err
	}
	h.mu.RLock()
	list := h.ears
	h.mu.RUnlock()
	for _, e := range list {
		if e.filter.covers(n.Topic) {
			e.receive(n)
		}
	}
	return nil
}

// covers says whether t is what f addresses, or within it; empty fields of f stand for all.
func (f Topic) covers(t Topic) bool {
	return (f.Thing == "" || f.Thing == t.Thing) && (f.Object == "" || f.Object == t.Object) && (f.Label == 0 || f.Label == t.Label) &&
		(f.Affordance == None || f.Affordance == t.Affordance) && (f.Name == "" || f.Name == t.Name) && (f.Element == 0 || f.Element == t.Element)
}
