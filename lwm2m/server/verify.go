package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// A device without security that speaks from a new address may be somebody else who forges its own: so the server asks
// something of that address, and moves the device only when it answers. Until then all stays as it was.

// candidate is an address being checked.
type candidate struct {
	endpoint string
	peer     coap.Peer
	moved    func()   // makes the address the device's; called without locks held
	then     []func() // what came from there meanwhile, done after that
	stop     func()   // ends the check
}

const (
	maxThen       = 16 // of one address being checked
	maxCandidates = 16 // of one device
)

// candidates are the addresses being checked, oldest first. Anybody can name addresses where nobody answers, while who is where he says
// answers soon: so the oldest make room for others, and a forger would have to be faster than the device is.
type candidates struct {
	mu  sync.Mutex
	all []*candidate
}

// begin notes that an address is being checked. It returns false if that one of the device is already.
func (c *candidates) begin(n *candidate, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var oldest *candidate
	known := 0
	for _, o := range c.all {
		if o.endpoint != n.endpoint {
			continue
		}
		if whereIs(o.peer) == whereIs(n.peer) {
			return false
		}
		if oldest == nil {
			oldest = o
		}
		known++
	}
	switch {
	case known >= maxCandidates:
		c.remove(oldest)
		oldest.stop()
	case len(c.all) >= most:
		c.all[0].stop()
		c.remove(c.all[0])
	}
	c.all = append(c.all, n)
	return true
}

// join has then done after the device has moved, if that address of it is being checked.
func (c *candidates) join(endpoint string, p coap.Peer, then func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.all {
		if n.endpoint == endpoint && whereIs(n.peer) == whereIs(p) && len(n.then) < maxThen {
			n.then = append(n.then, then)
			return true
		}
	}
	return false
}

// end forgets a check and returns what waited for it.
func (c *candidates) end(n *candidate) []func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(n)
	return n.then
}

// remove takes a check out, if it is there. The lock is held.
func (c *candidates) remove(n *candidate) {
	if i := slices.Index(c.all, n); i >= 0 {
		c.all = slices.Delete(c.all, i, i+1)
	}
}

// verifyMove checks where a registered device claims to be now. Then is called after it has moved. It reports whether the check
// is under way: there is a bound on them. The device is locked.
func (s *Server) verifyMove(d *device, p coap.Peer, then func()) bool {
	if s.candidates.join(d.endpoint, p, then) {
		return true
	}
	id, root := d.id, d.links.root
	n := &candidate{endpoint: d.endpoint, peer: p, then: []func(){then}}
	n.moved = func() {
		d.mu.Lock()
		if d.gone || d.id != id {
			d.mu.Unlock()
			return
		}
		s.move(d, p)
		s.saveRegistration(d)
		s.heard(d, milliseconds(time.Now()), Event{Kind: Updated, Endpoint: d.endpoint}) // unlocks
	}
	return s.verify(root, n)
}

// verifyRegistration checks where a device claims to be that registers again from elsewhere. Its answer is 2.01 all the same:
// if it is not there, nobody learns of it.
func (s *Server) verifyRegistration(d *device, a *application, p coap.Peer, links *linkSet, id uint64) error {
	application := *a
	taken := false
	began := s.verify(links.root, &candidate{endpoint: d.endpoint, peer: p, moved: func() {
		d.mu.Lock()
		if d.gone || !mayReplace(d.peer, p) {
			d.mu.Unlock()
			return
		}
		taken = true
		s.take(d, &application, p, links, id) // unlocks
	}}, func() {
		if !taken {
			s.links.release(links)
		}
	})
	if !began {
		s.links.release(links)
		return tooBusy(a.endpoint)
	}
	return nil
}

// verify asks for something small and calls moved if there is any answer to it. It reports whether it has begun; finally is
// called in the end if so.
func (s *Server) verify(root string, c *candidate, finally ...func()) bool {
	check, stop := context.WithTimeout(context.Background(), s.config.Times.Exchange)
	c.stop = stop
	if !s.candidates.begin(c, s.config.Limits.Verifications) {
		stop()
		return false
	}
	began := s.work.do(func(ctx context.Context) {
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		moved := false
		defer func() {
			then := s.candidates.end(c)
			for _, f := range finally {
				f()
			}
			if !moved {
				return
			}
			for _, f := range then {
				f()
			}
		}()
		if _, err := s.endpoint.Do(check, c.peer, question(root)); err != nil {
			s.config.Logger.Debug("a device is not where it was said to be", "endpoint", c.endpoint, "peer", c.peer.String(), "error", err)
			return
		}
		c.moved()
		moved = true
	})
	if !began {
		s.candidates.end(c)
		stop()
	}
	return began
}
