package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// changes collects the paths that objects say have changed, until the scheduler comes for them. It has a lock of its own, which is held for
// moments only, so that an object may tell of a change from wherever it is.
type changes struct {
	mu    sync.Mutex
	paths []lwm2m.Path
	poked chan struct{} // one slot
}

// maxChanges bounds the list; beyond it, everything counts as changed.
const maxChanges = 64

func (c *changes) add(p lwm2m.Path) {
	c.mu.Lock()
	switch {
	case len(c.paths) == maxChanges:
		c.paths = append(c.paths[:0], lwm2m.Path{})
	case len(c.paths) == 0 || c.paths[len(c.paths)-1] != p && c.paths[0] != (lwm2m.Path{}):
		c.paths = append(c.paths, p)
	}
	c.mu.Unlock()
	c.poke()
}

func (c *changes) poke() {
	select {
	case c.poked <- struct{}{}:
	default:
	}
}

// take moves the list to dst.
func (c *changes) take(dst []lwm2m.Path) []lwm2m.Path {
	c.mu.Lock()
	defer c.mu.Unlock()
	dst = append(dst[:0], c.paths...)
	c.paths = c.paths[:0]
	return dst
}

func (c *Client) poke() { c.changes.poke() }

// schedule watches what servers observe: one goroutine and one timer for all observations. Their number is bounded by Limits, so each
// round looks at all of them; RATIONALE.md says why there is no heap.
func (c *Client) schedule(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var changed []lwm2m.Path
	for {
		changed = c.changes.take(changed)
		if at, any := c.round(ctx, time.Now(), changed); any {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.changes.poked:
		}
	}
}

// round brings all observations up to now, and returns when the next one is due.
func (c *Client) round(ctx context.Context, now time.Time, changed []lwm2m.Path) (next time.Time, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.servers {
		for i := len(s.observations) - 1; i >= 0; i-- { // backwards: one that ends takes itself off the list
			o := s.observations[i]
			for _, p := range changed {
				o.dirty = o.dirty || o.overlaps(p)
			}
			if !c.attend(ctx, s, o, now) {
				continue
			}
			if at, due := c.wakeFor(s, o); due && (!any || at.Before(next)) {
				next, any = at, true
			}
		}
	}
	return next, any
}

// wakeFor is when an observation wants attention, as far as it could have it: what waits for a server that is away, or for an
// acknowledgement, is looked at again when that ends.
func (c *Client) wakeFor(s *server, o *observed) (time.Time, bool) {
	if s.sendable() {
		return o.due()
	}
	if !c.evaluates(s, o) {
		return time.Time{}, false
	}
	unsendable := o.observation
	unsendable.pending = false
	unsendable.attributes.Has &^= lwm2m.PMax
	return unsendable.due()
}

// evaluates tells whether values matter now: always while the server is there, else only if history is kept for it.
func (c *Client) evaluates(s *server, o *observed) bool {
	return s.now() == Registered || o.attributes.HQMax > 0 && c.serverFlag(s, serverStoring, true)
}

// sendable tells whether a notification could go out now.
func (s *server) sendable() bool {
	return s.now() == Registered && s.connection != nil && !s.notifying
}

// attend evaluates an observation and sends its notification, if either is due. It returns false when that has ended the observation.
func (c *Client) attend(ctx context.Context, s *server, o *observed, now time.Time) bool {
	evaluate := c.evaluates(s, o) && o.wantsValues(now)
	if !evaluate && !(s.sendable() && o.wantsToSend(now)) {
		return true
	}
	values, err := c.observedValues(s, o)
	if err == nil && evaluate {
		o.evaluate(now, values, c.limits.History-s.remembered())
	}
	if err == nil && s.sendable() && o.wantsToSend(now) {
		err = c.notify(ctx, s, o, values)
	}
	if err != nil {
		c.end(s, o, err)
	}
	return err == nil
}

func (s *server) remembered() int {
	n := 0
	for _, o := range s.observations {
		n += len(o.history)
	}
	return n
}

func (c *Client) observedValues(s *server, o *observed) (lwm2m.Tree, error) {
	if o.composite {
		return c.readPaths(s, o.paths)
	}
	return c.tree.read(nil, o.paths[0], c.permit(s, mayRead))
}

// notify sends values, or the history of them where the format can tell their times.
func (c *Client) notify(ctx context.Context, s *server, o *observed, values lwm2m.Tree) error {
	told := values
	if o.worth > 1 && timed(o.format) {
		told = append(lwm2m.Tree(nil), o.history...)
		told.Sort()
	}
	base := lwm2m.Path{}
	if !o.composite {
		base = o.paths[0]
	}
	m, err := c.encode(o.format, base, told)
	if err != nil {
		return err
	}
	o.sequence = (o.sequence + 1) & sequenceMask
	m.Token = o.token
	m.SetUint(coap.Observe, o.sequence)
	m.Type = coap.NonConfirmable
	if o.confirmable() {
		m.Type = coap.Confirmable
	}
	c.deliver(ctx, s, o, m, values)
	return nil
}

// timed are the formats that carry a time with each value.
func timed(f lwm2m.Format) bool {
	switch f.Canonical() {
	case lwm2m.FormatSenMLCBOR, lwm2m.FormatSenMLJSON:
		return true
	default:
		return false
	}
}

// confirmEvery makes one in so many notifications confirmable that would not be, so that a server that has forgotten the observation can
// end it (RFC 7641 section 4.5 wants one a day at least).
const confirmEvery = 16

func (o *observed) confirmable() bool {
	return o.attributes.Has&lwm2m.Con == 0 || o.attributes.Con || o.sequence%confirmEvery == 0
}

// deliver hands a notification to the endpoint. A confirmable one waits for its acknowledgement aside; until then the server gets no
// other one (RFC 7641 section 4.5.1).
func (c *Client) deliver(ctx context.Context, s *server, o *observed, m *coap.Message, values lwm2m.Tree) {
	connection, now := s.connection, time.Now()
	if m.Type != coap.Confirmable {
		if lost(connection.Notify(ctx, m)) {
			s.tell(eventLost)
		}
		o.delivered(now, values)
		return
	}
	s.notifying = true
	history, worth := o.history, o.worth
	o.delivered(now, values)
	c.running.Go(func() {
		err := connection.Notify(ctx, m)
		c.mu.Lock()
		defer c.mu.Unlock()
		s.notifying = false
		c.acknowledged(s, o, err, history, worth)
		if lost(err) && s.connection == connection && ctx.Err() == nil {
			s.tell(eventLost) // a connection that is over already was given up for a reason
		}
		c.poke()
	})
}

// lost tells whether an error means that the server is not there, or not where it was.
func lost(err error) bool {
	return errors.Is(err, coap.ErrTimeout) || errors.Is(err, coap.ErrUnreachable) || errors.Is(err, coap.ErrClosed)
}

// acknowledged notes what became of a confirmable notification. What did not arrive is due again when the server is back; what cannot be sent
// at all ends the observation, for it would fail again at once.
func (c *Client) acknowledged(s *server, o *observed, err error, history lwm2m.Tree, worth int) {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case !lost(err):
		s.cancel(o.token)
	case c.serverFlag(s, serverStoring, true):
		o.undelivered(history, worth, c.limits.History-s.remembered())
	}
}

// end tells the server that an observation is over, by the error as its last notification (RFC 7641 section 4.2).
func (c *Client) end(s *server, o *observed, err error) {
	s.cancel(o.token)
	if s.connection == nil || s.now() != Registered {
		return
	}
	m := refusal(err)
	m.Token, m.Type = o.token, coap.NonConfirmable
	_ = s.connection.Notify(context.Background(), m)
}
