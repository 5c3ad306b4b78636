package server

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// notification takes a notification. It returns false, so that the device is told to stop by a reset, if nobody observes by
// its token, or its peer is not who is observed. The answer of a newcomer comes this way too.
func (s *Server) notification(_ context.Context, p coap.Peer, m *coap.Message) bool {
	id, ok := observationOf(m.Token)
	if !ok {
		return false
	}
	d := s.byToken.get(uint64(id))
	if d == nil {
		return s.hailed(uint64(id), p)
	}
	d.mu.Lock()
	o := d.observation(id)
	if d.gone || o == nil || d.peer.Identity != p.Identity {
		d.mu.Unlock()
		return false
	}
	if s.mustVerify(d.peer, p) {
		late := m.Clone()
		s.verifyMove(d, p, func() { s.redeliver(d, id, late) })
		d.mu.Unlock()
		return true
	}
	if s.arrived(d, p) {
		s.saveRegistration(d)
	}
	s.prove(d)
	s.deliver(d, o, m) // unlocks
	return true
}

func (d *device) observation(id ObservationID) *observation {
	for _, o := range d.observations {
		if o.id() == id {
			return o
		}
	}
	return nil
}

// redeliver takes a notification whose sender had to be checked.
func (s *Server) redeliver(d *device, id ObservationID, m *coap.Message) {
	d.mu.Lock()
	o := d.observation(id)
	if d.gone || o == nil {
		d.mu.Unlock()
		return
	}
	s.deliver(d, o, m) // unlocks
}

// deliver tells subscribers what a notification says, unless it is older than one that came before (RFC 7641 §3.4). One that is no
// success, or has no Observe option, is the last (§3.2, §4.2). The device is locked; it is unlocked when deliver returns.
func (s *Server) deliver(d *device, o *observation, m *coap.Message) {
	now := time.Now()
	sequence, goesOn := m.Uint(coap.Observe)
	if goesOn && o.received != 0 && !coap.Newer(o.sequence, timeOf(o.received), sequence, now) {
		s.heard(d, milliseconds(now)) // unlocks
		return
	}
	o.sequence, o.received = sequence, milliseconds(now)
	var over error
	switch {
	case !m.Code.IsSuccess():
		over = refused(o.what(d), m)
	case !goesOn:
		over = observesNoMore(o.what(d))
	}
	events := make([]Event, 0, 2)
	switch {
	case !m.Code.IsSuccess(), partial(m) && !goesOn: // it says no value
	case partial(m):
		s.work.do(func(ctx context.Context) { s.readWhole(ctx, d, o) })
	default:
		t := d.target()
		tree, err := s.decode(&t, o.path, m)
		if err != nil {
			err = unreadable(o.what(d), err)
		}
		events = append(events, o.notified(d, tree, err))
	}
	if over != nil {
		s.dropObservation(d, o.id())
		events = append(events, o.ended(d, over))
	}
	s.heard(d, milliseconds(now), events...) // unlocks
}

// partial reports whether a message is the first block of what it should say.
func partial(m *coap.Message) bool {
	const more = 1 << 3 // RFC 7959 §2.2
	block, ok := m.Uint(coap.Block2)
	return ok && block&more != 0
}

// readWhole reads what is observed, because a notification had only its first block: reading the others of it would be the same
// request (RFC 7959 §2.6).
func (s *Server) readWhole(ctx context.Context, d *device, o *observation) {
	ctx, stop := context.WithTimeout(ctx, s.config.Times.Exchange)
	defer stop()
	r := &Request{Operation: OpRead, Path: o.path}
	if o.paths != nil {
		r = &Request{Operation: OpReadComposite, Paths: o.paths}
	}
	answer, err := s.perform(ctx, d, r)
	s.emit(o.notified(d, answer.Tree, err))
}

// onSend answers a Send (Core 1.2 §6.4.3): 2.04, 4.00, 4.15, or 4.04 for who is not registered.
func (s *Server) onSend(p coap.Peer, request, response *coap.Message) {
	if request.Code != coap.POST {
		response.Code = coap.MethodNotAllowed
		return
	}
	d := s.byPeer(p)
	if d == nil {
		refuse(response, unknownRegistration())
		return
	}
	t := d.target()
	tree, err := s.decodeSent(&t, request)
	if err != nil {
		d.mu.Unlock()
		refuse(response, err)
		return
	}
	response.Code = coap.Changed
	if s.arrived(d, p) {
		s.saveRegistration(d)
	}
	s.heard(d, milliseconds(time.Now()), Event{Kind: Sent, Endpoint: d.endpoint, Tree: tree}) // unlocks
}

func (s *Server) decodeSent(t *target, request *coap.Message) (lwm2m.Tree, error) {
	f, ok := request.Uint(coap.ContentFormat)
	switch lwm2m.Format(f).Canonical() {
	case lwm2m.FormatSenMLCBOR, lwm2m.FormatSenMLJSON, lwm2m.FormatCBORTree:
	default:
		ok = false
	}
	if !ok {
		return nil, &Error{Code: "lwm2m-server.bad-send", CoAP: coap.UnsupportedFormat, What: "take what a device sends", Why: "its format is none of 110, 112 and 11544", Hint: "send SenML"}
	}
	tree, err := s.decode(t, lwm2m.Path{}, request)
	if err != nil {
		return nil, &Error{Code: "lwm2m-server.bad-send", CoAP: coap.BadRequest, What: "take what a device sends", Why: err.Error(), Hint: "send what the format asks for", Err: err}
	}
	return tree, nil
}

// byPeer returns the device that speaks from p, locked: the one that did so last, or the one whose name its security vouches
// for.
func (s *Server) byPeer(p coap.Peer) *device {
	for _, d := range [...]*device{s.byPlace.get(s.place(p)), s.byIdentity(p)} {
		if d == nil {
			continue
		}
		d.mu.Lock()
		if !d.gone && d.peer.Identity == p.Identity && (p.Identity != "" || whereIs(d.peer) == whereIs(p)) {
			return d
		}
		d.mu.Unlock()
	}
	return nil
}

func (s *Server) byIdentity(p coap.Peer) *device {
	if p.Identity == "" {
		return nil
	}
	return s.byEndpoint.get(p.Identity)
}
