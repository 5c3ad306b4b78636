package server

import (
	"bytes"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// onUpdate answers an Update (Core 1.2 §6.2.2): 2.04, 4.00, 4.03, or 4.04 for a registration that is not known, which makes the
// device register again.
func (s *Server) onUpdate(id string, p coap.Peer, request, response *coap.Message) {
	d, err := s.owner(id, p)
	if err != nil {
		refuse(response, err)
		return
	}
	if err := s.update(d, p, request); err != nil { // unlocks
		refuse(response, err)
		return
	}
	response.Code = coap.Changed
}

// owner returns the device of a registration, locked, if p may speak for it.
func (s *Server) owner(id string, p coap.Peer) (*device, error) {
	number, ok := parseRegistrationID(id)
	if !ok {
		return nil, unknownRegistration()
	}
	d := s.byID.get(number)
	if d == nil {
		return nil, unknownRegistration()
	}
	d.mu.Lock()
	switch {
	case d.gone || d.id != number:
		d.mu.Unlock()
		return nil, unknownRegistration()
	case d.peer.Identity != p.Identity:
		d.mu.Unlock()
		return nil, takenBy(d.endpoint)
	}
	return d, nil
}

func unknownRegistration() error {
	return &Error{Code: "lwm2m-server.unknown-registration", CoAP: coap.NotFound, What: "find the registration", Why: "it is not known", Hint: "register again"}
}

// update changes a registration, once it is sure that the device is where the Update came from. The device is locked; it is
// unlocked when update returns.
func (s *Server) update(d *device, p coap.Peer, request *coap.Message) error {
	unlock := d.mu.Unlock
	var a application
	if err := a.apply(request); err != nil {
		unlock()
		return err
	}
	document, err := s.linksOf(request)
	if err != nil {
		unlock()
		return err
	}
	if s.mustVerify(d.peer, p) {
		defer unlock()
		id, late := d.id, bytes.Clone(document)
		if !s.verifyMove(d, p, func() { s.updateLate(d, id, p, &a, late) }) {
			return tooBusy(d.endpoint)
		}
		return nil
	}
	return s.updateNow(d, p, &a, document) // unlocks
}

// updateLate does what an Update from an address asked for that had to be checked first, if that is still where the device is.
func (s *Server) updateLate(d *device, id uint64, p coap.Peer, a *application, document []byte) {
	d.mu.Lock()
	if d.gone || d.id != id || whereIs(d.peer) != whereIs(p) {
		d.mu.Unlock()
		return
	}
	if err := s.updateNow(d, p, a, document); err != nil { // unlocks
		s.config.Logger.Warn("an update is done in part only", "endpoint", d.endpoint, "error", err)
	}
}

// updateNow changes a registration. The device is locked; it is unlocked when updateNow returns.
func (s *Server) updateNow(d *device, p coap.Peer, a *application, document []byte) error {
	changed := false
	if document != nil && string(document) != d.links.document {
		links, err := s.acquireLinks(document)
		if err != nil {
			d.mu.Unlock()
			return err
		}
		s.links.release(d.links)
		d.links, changed = links, true
	}
	changed = s.change(d, a) || changed
	moved := s.arrived(d, p)
	s.prove(d) // it has read the registration's number
	now := milliseconds(time.Now())
	d.refreshed = now
	if changed || moved {
		s.saveRegistration(d)
	}
	s.heard(d, now, Event{Kind: Updated, Endpoint: d.endpoint}) // unlocks
	return nil
}

// change takes over what an Update says of lifetime, binding and number. Queue mode changes with the binding of 1.0 only.
func (s *Server) change(d *device, a *application) (changed bool) {
	if a.has.lifetime {
		if l := s.lifetime(a); l != d.lifetime {
			d.lifetime, changed = l, true
			d.due = 0 // it may be due sooner
		}
	}
	if a.has.binding && a.binding != d.binding {
		d.binding, changed = internBinding(a.binding), true
		if d.version.Compare(lwm2m.V1_1) < 0 {
			d.setQueueMode(a.inQueueMode())
		}
	}
	if a.has.sms && a.sms != d.sms {
		d.sms, changed = a.sms, true
	}
	return changed
}

// arrived makes p, which needs no check, the device's peer. The device is locked.
func (s *Server) arrived(d *device, p coap.Peer) (moved bool) {
	moved = whereIs(d.peer) != whereIs(p)
	if p != d.peer {
		if p.Identity == d.endpoint {
			p.Identity = d.endpoint
		}
		s.move(d, p)
	}
	return moved
}

// onDeregister answers a De-register (Core 1.2 §6.2.3).
func (s *Server) onDeregister(id string, p coap.Peer, response *coap.Message) {
	d, err := s.owner(id, p)
	if err != nil {
		refuse(response, err)
		return
	}
	s.end(d, Deregistered) // unlocks
	response.Code = coap.Deleted
}
