package server

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// onRegister answers a Register (Core 1.2 §6.2.1): 2.01, 4.00, 4.03, 4.12, 4.13, or 5.03 in a herd. Nothing is asked of the
// device before it has its answer.
func (s *Server) onRegister(p coap.Peer, request, response *coap.Message) {
	if request.Code != coap.POST {
		response.Code = coap.MethodNotAllowed
		return
	}
	id, err := s.register(p, request)
	if errors.Is(err, errChallenge) {
		s.endpoint.Challenge(p, response)
		return
	}
	if err != nil {
		refuse(response, err)
		return
	}
	response.Code = coap.Created
	response.SetLocation("rd/" + registrationID(id))
}

func (s *Server) register(p coap.Peer, request *coap.Message) (id uint64, err error) {
	var a application
	if err := a.apply(request); err != nil {
		return 0, err
	}
	if err := a.check(p, s.config.Limits.EndpointBytes); err != nil {
		return 0, err
	}
	document, err := s.linksOf(request)
	if err != nil {
		return 0, err
	}
	if s.mustShow(p) {
		return 0, errChallenge
	}
	if !s.registrations.Allow() {
		return 0, tooBusy(a.endpoint)
	}
	links, err := s.acquireLinks(document)
	if err != nil {
		return 0, err
	}
	claim := Claim{Endpoint: a.endpoint, Peer: p, Version: a.version, Instances: links.instances}
	if err := s.config.Authorise(claim); err != nil {
		s.links.release(links)
		s.refusals.Do(func() {
			s.config.Logger.Warn("a registration is refused", "endpoint", a.endpoint, "peer", p, "error", err)
		})
		return 0, forbidden(a.endpoint, err)
	}
	return s.enter(&a, p, links)
}

// errChallenge says that a device has to show first that it is where it says.
var errChallenge = errors.New("show that you are there")

// mustShow reports whether a registration has to be challenged: one from an address that may be forged and that nothing is known of,
// when there are many.
func (s *Server) mustShow(p coap.Peer) bool {
	return s.config.Limits.Challenge > 0 && p.Identity == "" && s.byPlace.get(s.place(p)) == nil && !s.endpoint.Verified(p) && !s.unchallenged.Allow()
}

func tooBusy(endpoint string) error {
	return &Error{Code: "lwm2m-server.busy", CoAP: coap.ServiceUnavailable, What: "take in " + quoted(endpoint), Why: "too many devices register or move at once",
		Hint: "it comes back when Max-Age is over"}
}

// forbidden is what Authorise said, with a code that a device understands.
func forbidden(endpoint string, err error) error {
	if CodeOf(err).Class() == 4 {
		return err
	}
	return &Error{Code: "lwm2m-server.not-allowed", CoAP: coap.Forbidden, What: "register " + quoted(endpoint), Why: err.Error(), Hint: "see the server's configuration", Err: err}
}

// enter puts a registration that is allowed into the tables: of a new device, in place of the one that the device had, or
// for later if the address has to be checked first.
func (s *Server) enter(a *application, p coap.Peer, links *linkSet) (id uint64, err error) {
	id = randomID()
	for {
		d := s.byEndpoint.get(a.endpoint)
		if d == nil {
			if s.byEndpoint.size() >= s.config.Limits.Devices && !s.makeRoom() {
				s.links.release(links)
				return 0, tooManyDevices(a.endpoint, s.config.Limits.Devices)
			}
			d = &device{endpoint: a.endpoint}
			d.mu.Lock()
			if s.byEndpoint.add(a.endpoint, d) != d {
				d.mu.Unlock()
				continue // another was faster
			}
			s.take(d, a, p, links, id) // unlocks
			return id, nil
		}
		d.mu.Lock()
		switch {
		case d.gone:
			d.mu.Unlock()
		case !mayReplace(d.peer, p):
			d.mu.Unlock()
			s.links.release(links)
			return 0, takenBy(a.endpoint)
		case s.mustVerify(d.peer, p):
			d.mu.Unlock()
			return id, s.verifyRegistration(d, a, p, links, id)
		default:
			s.take(d, a, p, links, id) // unlocks
			return id, nil
		}
	}
}

// mayReplace says whether who comes from p may have the name that is registered from old: the same principal, or one that
// has proven to be it where before there was no proof.
func mayReplace(old, p coap.Peer) bool { return old.Identity == p.Identity || old.Identity == "" }

// mustVerify says whether p might be somebody who only claims to be at that address: without security or a connection, and
// elsewhere than before.
func (s *Server) mustVerify(old, p coap.Peer) bool {
	return p.Identity == "" && whereIs(old) != whereIs(p) && !s.verified[p.Transport]
}

func takenBy(endpoint string) error {
	return &Error{Code: "lwm2m-server.taken", CoAP: coap.Forbidden, What: "register " + quoted(endpoint), Why: "another principal is registered under this name",
		Hint: "wait until that registration has ended, or remove it"}
}

func tooManyDevices(endpoint string, most int) error {
	return &Error{Code: "lwm2m-server.full", CoAP: coap.ServiceUnavailable, What: "register " + quoted(endpoint), Why: "as many devices are registered as may be",
		Hint: "remove devices, or raise the limit"}
}

func randomID() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // which does not fail
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

// take makes a registration the device's. The device is in byEndpoint, and is locked; it is unlocked when take returns.
func (s *Server) take(d *device, a *application, p coap.Peer, links *linkSet, id uint64) {
	now := milliseconds(time.Now())
	if d.id != 0 {
		d.interrupt(errAnew)
		s.byID.remove(d.id, d)
	}
	s.links.release(d.links)
	if p.Identity == d.endpoint {
		p.Identity = d.endpoint // one string is enough
	}
	fresh := a.version != d.version || d.links == nil || d.links.formats != links.formats
	d.id, d.version, d.links, d.registered, d.refreshed = id, a.version, links, now, now
	d.lifetime, d.binding, d.sms = s.lifetime(a), internBinding(a.binding), a.sms
	if fresh {
		d.refused = 0 // it may have a newer firmware
	}
	d.setQueueMode(a.inQueueMode())
	d.asked = 0
	s.byID.put(id, d)
	s.move(d, p)
	if s.endpoint.Verified(p) {
		s.prove(d)
	}
	s.saveRegistration(d)
	d.flags |= followUp
	s.heard(d, now, Event{Kind: Registered, Endpoint: d.endpoint}) // unlocks
}

func (s *Server) lifetime(a *application) uint32 {
	lifetime := uint32(defaultLifetime)
	if a.has.lifetime {
		lifetime = a.lifetime
	}
	return uint32(min(int64(lifetime), int64(s.config.Times.MaxLife/time.Second)))
}

// internBinding returns one string for all devices of the usual bindings.
func internBinding(b string) string {
	switch b {
	case "", "U":
		return "U"
	case "UQ":
		return "UQ"
	case "T":
		return "T"
	}
	return b
}

// move makes p the device's peer. The device is locked.
func (s *Server) move(d *device, p coap.Peer) {
	if d.peer != (coap.Peer{}) && whereIs(d.peer) != whereIs(p) {
		d.interrupt(errMoved)
		s.byPlace.remove(s.place(d.peer), d)
	}
	d.peer = p
	s.byPlace.put(s.place(p), d)
}

// heard notes that the device has spoken, tells subscribers of it, beginning with told, and what follows of it, and unlocks the
// device.
func (s *Server) heard(d *device, now int64, told ...Event) {
	events := append(make([]Event, 0, 4), told...)
	d.seen, d.failures = now, 0
	d.messages++
	if d.flags&lost != 0 {
		d.flags &^= lost
		events = append(events, Event{Kind: Found, Endpoint: d.endpoint})
	}
	if d.flags&(queueMode|awake) == queueMode {
		d.flags |= awake
		events = append(events, Event{Kind: Awake, Endpoint: d.endpoint})
	}
	if len(told) > 0 && told[0].Kind == Registered && s.nothingFollows(d) {
		d.flags &^= followUp
		events = append(events, Event{Kind: Introduced, Endpoint: d.endpoint})
	}
	s.schedule(d)
	if d.flags&followUp != 0 || d.queue.length() > 0 {
		s.work.add(d)
	}
	// Told while it is locked, so that all subscribers see a device's events in their order.
	for _, e := range events {
		s.emit(e)
	}
	d.mu.Unlock()
}

// end takes a device out of all tables and forgets it, and unlocks it.
func (s *Server) end(d *device, why EventKind) {
	d.gone = true
	d.interrupt(ErrGone)
	s.forget(d) // before a new registration can have the name
	s.byEndpoint.remove(d.endpoint, d)
	s.byID.remove(d.id, d)
	s.byPlace.remove(s.place(d.peer), d)
	for _, o := range d.observations {
		s.byToken.remove(o.token, d)
	}
	s.agenda.remove(d)
	s.work.drop(d)
	s.links.release(d.links)
	jobs := d.queue.takeAll()
	s.emit(Event{Kind: why, Endpoint: d.endpoint})
	d.mu.Unlock()
	for _, j := range jobs {
		s.finish(d, j, Answer{}, gone(d.endpoint))
	}
}

func gone(endpoint string) error {
	return &Error{Code: "lwm2m-server.gone", CoAP: coap.NotFound, What: "reach device " + quoted(endpoint), Why: "its registration has ended", Hint: "wait until it registers again", Err: ErrGone}
}
