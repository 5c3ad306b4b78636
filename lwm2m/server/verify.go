package server

import (
	"context"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// A device without security that speaks from a new address may be somebody else who forges its own: so the server asks
// something of that address, and moves the device only when it answers. Until then all stays as it was.

// candidate is an address being checked, one for each device at a time.
type candidate struct {
	peer  coap.Peer
	moved func()   // makes the address the device's; called without locks held
	then  []func() // what came from there meanwhile, done after that
}

const maxThen = 16 // of one address being checked

type candidates struct {
	mu  sync.Mutex
	all map[string]*candidate // by endpoint
}

// begin notes that an address is being checked. It returns false if one of the device is already, or too many are: then
// what came is to be dropped; the device will say it again.
func (c *candidates) begin(endpoint string, n *candidate, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[endpoint] != nil || len(c.all) >= most {
		return false
	}
	c.all[endpoint] = n
	return true
}

// join has then done after the device has moved, if that address of it is being checked.
func (c *candidates) join(endpoint string, p coap.Peer, then func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.all[endpoint]
	if n == nil || whereIs(n.peer) != whereIs(p) || len(n.then) == maxThen {
		return false
	}
	n.then = append(n.then, then)
	return true
}

// end forgets a check and returns what waited for it.
func (c *candidates) end(endpoint string) []func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.all[endpoint]
	delete(c.all, endpoint)
	return n.then
}

// verifyMove checks where a registered device claims to be now. Then is called after it has moved; nil is nothing. The device
// is locked.
func (s *Server) verifyMove(d *device, p coap.Peer, then func()) {
	id, root := d.id, d.links.root
	n := &candidate{peer: p}
	if then != nil {
		if s.candidates.join(d.endpoint, p, then) {
			return
		}
		n.then = []func(){then}
	}
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
	s.verify(d.endpoint, root, n)
}

// verifyRegistration checks where a device claims to be that registers again from elsewhere. Its answer is 2.01 all the same:
// if it is not there, nobody learns of it.
func (s *Server) verifyRegistration(d *device, a *application, p coap.Peer, links *linkSet, id uint64) error {
	application := *a
	taken := false
	began := s.verify(d.endpoint, links.root, &candidate{peer: p, moved: func() {
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
func (s *Server) verify(endpoint, root string, c *candidate, finally ...func()) bool {
	if !s.candidates.begin(endpoint, c, s.config.Limits.Verifications) {
		return false
	}
	began := s.work.do(func(ctx context.Context) {
		moved := false
		defer func() {
			then := s.candidates.end(endpoint)
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
		ctx, stop := context.WithTimeout(ctx, s.config.Times.Exchange)
		defer stop()
		question := coap.Message{Code: coap.GET}
		question.SetPath(root + "/3/0/16") // Supported Binding and Modes, which every device has; that it refuses is an answer too
		question.SetUint(coap.Accept, uint32(lwm2m.FormatText))
		if _, err := s.endpoint.Do(ctx, c.peer, &question); err != nil {
			s.config.Logger.Debug("a device is not where it was said to be", "endpoint", endpoint, "peer", c.peer.String(), "error", err)
			return
		}
		c.moved()
		moved = true
	})
	if !began {
		s.candidates.end(endpoint)
	}
	return began
}
