package server

import (
	"context"
	"errors"
	"slices"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// introduce does what follows a registration: the attributes and observations that are wanted, which a device forgets when it
// registers anew (Core 1.2 §6.2.1), and the first reads. All devices share one pace.
func (s *Server) introduce(ctx context.Context, d *device) {
	d.mu.Lock()
	id, links := d.id, d.links
	wanted := slices.Clone(d.wanted)
	var forgotten []*observation
	for _, o := range d.observations {
		if o.under != 0 && o.under != id { // 0: whoever begins it is at it
			forgotten = append(forgotten, o)
		}
	}
	d.mu.Unlock()
	i := introduction{server: s, device: d, ctx: ctx}
	for _, w := range wanted {
		i.ask(&Request{Operation: OpWriteAttributes, Path: w.path, Attributes: w.attributes})
	}
	for _, o := range forgotten {
		i.observe(o)
	}
	for _, p := range s.config.FirstReads {
		if links.has(p) {
			i.ask(&Request{Operation: OpRead, Path: p})
		}
	}
	i.done(id)
}

// nothingFollows reports whether a device can do without being introduced. It is locked.
func (s *Server) nothingFollows(d *device) bool {
	return len(s.config.FirstReads) == 0 && len(d.wanted) == 0 && len(d.observations) == 0
}

// introduction is one that is going on. It stops when the device does not answer.
type introduction struct {
	server  *Server
	device  *device
	ctx     context.Context
	tree    lwm2m.Tree
	stopped error
}

func (i *introduction) ask(r *Request) {
	if i.stopped != nil {
		return
	}
	if i.stopped = i.server.followUps.Wait(i.ctx); i.stopped != nil {
		return
	}
	ctx, stop := context.WithTimeout(i.ctx, i.server.config.Times.Exchange)
	defer stop()
	answer, err := i.server.ask(ctx, i.device, r, coap.Token{})
	i.note(err)
	i.tree = append(i.tree, answer.Tree...)
}

// note keeps the error of a device that does not answer at all, or is gone.
func (i *introduction) note(err error) {
	if withoutAnswer(err) {
		i.stopped = err
	}
}

// withoutAnswer reports whether an error says that a device did not answer, and not that it refused.
func withoutAnswer(err error) bool {
	if err == nil {
		return false
	}
	code := CodeOf(err)
	return code == coap.GatewayTimeout || code == coap.BadGateway && !errors.Is(err, errUnreadable) || errors.Is(err, ErrGone)
}

func (i *introduction) observe(o *observation) {
	if i.stopped != nil {
		return
	}
	if i.stopped = i.server.followUps.Wait(i.ctx); i.stopped != nil {
		return
	}
	d := i.device
	d.mu.Lock()
	o.received = 0 // a device that was restarted counts anew
	known := d.observation(o.id()) != nil
	d.mu.Unlock()
	if !known {
		return
	}
	ctx, stop := context.WithTimeout(i.ctx, i.server.config.Times.Exchange)
	defer stop()
	answer, err := i.server.establish(ctx, d, o)
	i.note(err)
	switch {
	case i.stopped != nil:
	case err != nil && !answer.observed:
		i.server.endObservation(d, o, err)
	default: // as with a notification, a value that can't be read ends nothing
		i.server.emit(o.notified(d, answer.Tree, err))
	}
}

// done tells that the device is introduced, or has the rest done when it is heard of again.
func (i *introduction) done(id uint64) {
	d := i.device
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.gone || d.id != id: // it registered anew meanwhile, which starts this anew
	case i.stopped != nil:
		d.flags |= followUp
		d.asked = mostAsked
	default:
		i.tree.Sort()
		i.server.emit(Event{Kind: Introduced, Endpoint: d.endpoint, Tree: i.tree})
	}
}

// want remembers attributes that were written, so that they are written again after the next registration.
func (s *Server) want(d *device, r *Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.wanted {
		if d.wanted[n].path == r.Path {
			d.wanted = slices.Clone(d.wanted)
			d.wanted[n].attributes = d.wanted[n].attributes.Apply(r.Attributes)
			if d.wanted[n].attributes.Has == 0 {
				d.wanted = slices.Delete(d.wanted, n, n+1)
			}
			s.saveAttributes(d)
			return
		}
	}
	attributes := lwm2m.Attributes{}.Apply(r.Attributes)
	if attributes.Has == 0 || len(d.wanted) >= s.config.Limits.Attributes {
		return
	}
	d.wanted = append(d.wanted[:len(d.wanted):len(d.wanted)], wantedAttributes{r.Path, attributes})
	s.saveAttributes(d)
}

// WantedAttributes returns the notification attributes that were written to a device, by path.
func (s *Server) WantedAttributes(endpoint string) (map[lwm2m.Path]lwm2m.Attributes, error) {
	d, err := s.find(endpoint)
	if err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	all := make(map[lwm2m.Path]lwm2m.Attributes, len(d.wanted))
	for _, w := range d.wanted {
		all[w.path] = w.attributes
	}
	return all, nil
}
