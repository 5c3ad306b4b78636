package server

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// A device without security that registers for the first time may be a forged name at a forged address. As long as workers are free
// that costs nothing: the device is read, and answers or not. When all of them wait for answers, those in the line are asked by a
// single message each that nobody waits for, and who answers that is served with the others that are where they say.

const (
	mostAsked = 2               // messages to a newcomer
	round     = 5 * time.Second // between two of them
)

// scout asks the newcomers in line where they are, while all their workers are busy. It is guarded by the lock of work.
type scout struct {
	out   bool
	began time.Time     // of its round
	news  chan struct{} // holds one when somebody has joined the line
}

// sendScout sends the scout out if newcomers wait in vain. The lock is held.
func (w *work) sendScout(c *crew) {
	if w.ctx == nil || c.length == 0 || c.workers < w.server.config.Limits.Workers {
		return
	}
	if w.scout.out {
		select {
		case w.scout.news <- struct{}{}:
		default:
		}
		return
	}
	w.scout = scout{out: true, began: time.Now(), news: make(chan struct{}, 1)}
	c.unasked = c.first
	ctx, news := w.ctx, w.scout.news
	w.running.Go(func() { w.seek(ctx, c, news) })
}

// seek asks one after the other, as slowly as all follow-ups go, round by round.
func (w *work) seek(ctx context.Context, c *crew, news <-chan struct{}) {
	for {
		d, wait, ok := w.nextUnasked(ctx, c)
		switch {
		case !ok:
			return
		case d != nil:
			if w.server.followUps.Wait(ctx) == nil {
				w.server.hail(d)
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// nextUnasked is whom the scout asks next, or how long there is nobody. It returns false if the scout is needed no more.
func (w *work) nextUnasked(ctx context.Context, c *crew) (d *device, wait time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || c.length == 0 {
		w.scout.out = false
		return nil, 0, false
	}
	if c.unasked == nil {
		if wait := round - time.Since(w.scout.began); wait > 0 {
			return nil, wait, true
		}
		c.unasked, w.scout.began = c.first, time.Now()
	}
	d = c.unasked
	c.unasked = d.standing.behind
	return d, 0, true
}

// hail asks a newcomer where it is. The question's token is the registration's number: only who is there has read it. A device that
// has let enough of them go by is served when it says something.
func (s *Server) hail(d *device) {
	d.mu.Lock()
	s.work.change(d) // something may be wanted of it by now
	id, p, root := d.id, d.peer, d.links.root
	tell := !d.gone && d.crew() == forNewcomers
	if tell && (d.asked >= mostAsked || d.asleep()) {
		s.work.drop(d)
		tell = false
	}
	if tell {
		d.asked++
	}
	d.mu.Unlock()
	if !tell {
		return
	}
	q := question(root)
	q.Token = tokenOf(id)
	if err := s.endpoint.Tell(p, q); err != nil {
		s.config.Logger.Debug("a new device could not be asked where it is", "endpoint", d.endpoint, "peer", p.String(), "error", err)
	}
}

// question asks for Supported Binding and Modes, which every device has; that it refuses is an answer too.
func question(root string) *coap.Message {
	q := &coap.Message{Code: coap.GET}
	q.SetPath(root + "/3/0/16")
	q.SetUint(coap.Accept, uint32(lwm2m.FormatText))
	return q
}

// hailed takes the answer to a hail. It returns false if it is none.
func (s *Server) hailed(id uint64, p coap.Peer) bool {
	d := s.byID.get(id)
	if d == nil {
		return false
	}
	d.mu.Lock()
	if d.gone || d.id != id || d.peer.Identity != p.Identity || whereIs(d.peer) != whereIs(p) {
		d.mu.Unlock()
		return false
	}
	s.prove(d)
	s.heard(d, milliseconds(time.Now())) // unlocks
	return true
}

// prove notes that a device is where it says. It is locked.
func (s *Server) prove(d *device) {
	if d.flags&proven == 0 {
		d.flags |= proven
		s.work.change(d)
	}
}

// makeRoom removes a newcomer that let everything go by that it was asked: of a few devices, the one that registered first. Without
// that, who forges names would keep all others out for as long a lifetime as he tells.
func (s *Server) makeRoom() bool {
	const few = 16
	var longest *device
	since := int64(0)
	for _, d := range s.byEndpoint.some(few) {
		d.mu.Lock()
		if d.silent() && (longest == nil || d.registered < since) {
			longest, since = d, d.registered
		}
		d.mu.Unlock()
	}
	if longest == nil {
		return false
	}
	longest.mu.Lock()
	if !longest.silent() {
		longest.mu.Unlock()
		return false
	}
	s.end(longest, Removed) // unlocks
	return true
}

// silent reports whether a device is a newcomer that has not answered. It is locked.
func (d *device) silent() bool { return !d.gone && d.asked >= mostAsked && d.crew() == forNewcomers }
