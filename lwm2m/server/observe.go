package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// ObservationID names an observation, over restarts too. It is the token that its notifications carry, and so a secret
// between server and device.
type ObservationID uint64

func (id ObservationID) token() coap.Token { return tokenOf(uint64(id)) }

func tokenOf(id uint64) coap.Token {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], id)
	return coap.TokenOf(b[:])
}

func observationOf(t coap.Token) (ObservationID, bool) {
	var b [8]byte
	if n := copy(b[:], t.Bytes()); n < len(b) {
		return 0, false
	}
	return ObservationID(binary.BigEndian.Uint64(b[:])), true
}

// observation is one that is wanted of a device.
type observation struct {
	token    uint64
	path     lwm2m.Path
	paths    []lwm2m.Path // of a composite one
	under    uint64       // the registration that it was begun under, 0: not yet
	sequence uint32       // of the newest notification
	received int64        // when that came; 0: none since the server started
}

func (o *observation) id() ObservationID { return ObservationID(o.token) }

func (o *observation) request() *Request {
	if o.paths != nil {
		return &Request{Operation: OpObserveComposite, Paths: o.paths}
	}
	return &Request{Operation: OpObserve, Path: o.path}
}

// what is the observation in words, for errors.
func (o *observation) what(d *device) string { return o.request().what(d.endpoint) }

func (o *observation) notified(d *device, tree lwm2m.Tree, err error) Event {
	return Event{Kind: Notified, Endpoint: d.endpoint, Observation: o.id(), Path: o.path, Tree: tree, Err: err}
}

func (o *observation) ended(d *device, why error) Event {
	return Event{Kind: Ended, Endpoint: d.endpoint, Observation: o.id(), Path: o.path, Err: why}
}

func (o *observation) is(r *Request) bool {
	if r.Operation == OpObserveComposite {
		return slices.Equal(o.paths, r.Paths)
	}
	return o.paths == nil && o.path == r.Path
}

// Observation is an observation that is going on.
type Observation struct {
	ID    ObservationID
	Path  lwm2m.Path   // "/" of a composite one
	Paths []lwm2m.Path // of a composite one
}

// Observations returns what of a device is observed.
func (s *Server) Observations(endpoint string) ([]Observation, error) {
	d, err := s.find(endpoint)
	if err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	all := make([]Observation, 0, len(d.observations))
	for _, o := range d.observations {
		all = append(all, Observation{ID: o.id(), Path: o.path, Paths: slices.Clone(o.paths)})
	}
	return all, nil
}

// Forget ends an observation without telling the device, whose next notification is refused by a reset (Core 1.2 §6.4.4).
func (s *Server) Forget(endpoint string, id ObservationID) error {
	d, err := s.find(endpoint)
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	if s.dropObservation(d, id) == nil {
		return unknownObservation(endpoint)
	}
	return nil
}

func unknownObservation(endpoint string) error {
	return &Error{Code: "lwm2m-server.unknown-observation", CoAP: coap.NotFound, What: "find an observation of device " + quoted(endpoint), Why: "there is none of this number",
		Hint: "list the device's observations"}
}

// observe begins an observation, or renews one.
func (s *Server) observe(ctx context.Context, d *device, r *Request) (Answer, error) {
	composite := r.Operation == OpObserveComposite
	if composite && !s.knowsComposite(d) {
		return s.observeEach(ctx, d, r)
	}
	o, added, err := s.addObservation(d, r)
	if err != nil {
		return Answer{}, err
	}
	answer, err := s.establish(ctx, d, o)
	if err == nil {
		answer.Observations = []ObservationID{o.id()}
		return answer, nil
	}
	switch {
	case added:
		d.mu.Lock()
		s.dropObservation(d, o.id())
		d.mu.Unlock()
	case !answer.observed && !withoutAnswer(err): // whoever observed it already is told
		s.endObservation(d, o, err)
	}
	if composite && ctx.Err() == nil && s.lacksComposite(d, err) {
		return s.observeEach(ctx, d, r)
	}
	return answer, err
}

// addObservation notes an observation, before the device is asked, because its first notification may be faster than its
// answer. The tables know it from here on.
func (s *Server) addObservation(d *device, r *Request) (o *observation, added bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return nil, false, gone(d.endpoint)
	}
	for _, o := range d.observations {
		if o.is(r) {
			return o, false, nil
		}
	}
	if len(d.observations) >= s.config.Limits.Observations {
		return nil, false, &Error{Code: "lwm2m-server.too-many-observations", CoAP: coap.ServiceUnavailable, What: r.what(d.endpoint),
			Why: fmt.Sprintf("%d are going on", len(d.observations)), Hint: "observe the instance or the object as a whole"}
	}
	o = &observation{token: randomID(), path: r.Path}
	if r.Operation == OpObserveComposite {
		o.path, o.paths = lwm2m.Path{}, slices.Clone(r.Paths)
	}
	d.observations = append(d.observations[:len(d.observations):len(d.observations)], o)
	s.byToken.put(o.token, d)
	return o, true, nil
}

// establish has the device begin an observation, under its present registration. The device may observe though its answer can't be read.
func (s *Server) establish(ctx context.Context, d *device, o *observation) (Answer, error) {
	d.mu.Lock()
	sequence, received := o.sequence, o.received
	d.mu.Unlock()
	r := o.request()
	if r.Operation == OpObserveComposite {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.config.Times.Composite)
		defer stop()
	}
	answer, err := s.ask(ctx, d, r, o.id().token())
	if err == nil && !answer.observed {
		err = notObservable(r.what(d.endpoint))
	}
	if !answer.observed {
		return answer, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o.under = answer.under
	if o.sequence == sequence && o.received == received { // no notification was faster
		o.sequence, o.received = answer.sequence, milliseconds(time.Now()) // the device may count anew
	}
	s.saveObservations(d)
	if d.id != answer.under && !d.gone { // the device has registered anew meanwhile, and perhaps forgotten it
		d.flags |= followUp
		s.work.add(d)
	}
	return answer, err
}

// dropObservation forgets one and returns it. The device is locked.
func (s *Server) dropObservation(d *device, id ObservationID) *observation {
	for i, o := range d.observations {
		if o.id() == id {
			s.byToken.remove(o.token, d)
			d.observations = slices.Delete(slices.Clone(d.observations), i, i+1)
			s.saveObservations(d)
			return o
		}
	}
	return nil
}

// endObservation forgets an observation that has ended at the device, and tells subscribers.
func (s *Server) endObservation(d *device, o *observation, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.dropObservation(d, o.id()) != nil {
		s.emit(o.ended(d, why))
	}
}

// cancel ends an observation here, and then at the device.
func (s *Server) cancel(ctx context.Context, d *device, r *Request) (Answer, error) {
	d.mu.Lock()
	o := s.dropObservation(d, r.Observation)
	d.mu.Unlock()
	if o == nil {
		return Answer{}, unknownObservation(d.endpoint)
	}
	for {
		answer, err := s.cancelAt(ctx, d, o)
		if !toRepeat(err, true) {
			return answer, err
		}
	}
}

// cancelAt has a device cancel an observation where it is now.
func (s *Server) cancelAt(ctx context.Context, d *device, o *observation) (Answer, error) {
	d.mu.Lock()
	t := d.target()
	d.mu.Unlock()
	observe := o.request()
	f, ok := observe.format(&t)
	if !ok {
		f = lwm2m.FormatTLV
	}
	m, err := observe.message(&t, f)
	if err != nil {
		return Answer{}, err
	}
	m.Token = o.id().token()
	m.SetUint(coap.Observe, 1)
	response, err := s.exchange(ctx, d, &t, m, true)
	switch {
	case err != nil:
		return Answer{}, failed("cancel: "+observe.what(t.endpoint), err)
	case !response.Code.IsSuccess():
		return Answer{}, refused("cancel: "+observe.what(t.endpoint), response)
	}
	return s.answer(&t, observe, response)
}
