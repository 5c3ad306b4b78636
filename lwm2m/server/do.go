package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Do asks a device and waits for its answer. If the device sleeps, the request waits in the device's queue for as long as
// ctx allows. A deadline is given to a ctx that has none: [Times].Queue if the device sleeps and [Times].Exchange if not.
func (s *Server) Do(ctx context.Context, endpoint string, r Request) (Answer, error) {
	if err := r.check(); err != nil {
		return Answer{}, err
	}
	d, err := s.find(endpoint)
	if err != nil {
		return Answer{}, err
	}
	if d.asleep() || d.queue.length() > 0 {
		return s.await(ctx, d, &r) // unlocks
	}
	d.mu.Unlock()
	answer, err := s.performNow(ctx, d, &r)
	if err == nil || ctx.Err() != nil || !r.repeatable() || !s.fellAsleep(d, err) {
		return answer, err
	}
	d.mu.Lock()
	return s.await(ctx, d, &r) // unlocks
}

func (s *Server) performNow(ctx context.Context, d *device, r *Request) (Answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, s.config.Times.Exchange)
		defer stop()
	}
	return s.perform(ctx, d, r)
}

// await puts a request into the device's queue and waits for its answer. The device is locked; await unlocks it.
func (s *Server) await(ctx context.Context, d *device, r *Request) (Answer, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(s.config.Times.Queue)
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, deadline)
		defer stop()
	}
	j := &job{id: s.requests.next(), request: r, deadline: milliseconds(deadline), ctx: ctx, done: make(chan result, 1)}
	if err := s.push(d, j); err != nil {
		d.mu.Unlock()
		return Answer{}, err
	}
	if !d.asleep() {
		s.work.add(d)
	}
	d.mu.Unlock()
	select {
	case r := <-j.done:
		return r.answer, r.err
	case <-ctx.Done():
	}
	d.mu.Lock()
	waited := d.queue.remove(j)
	d.mu.Unlock()
	if waited {
		return Answer{}, overdueError(d.endpoint, r)
	}
	result := <-j.done // a worker has it, and its context is ours
	return result.answer, result.err
}

// fellAsleep reports whether an error means that a device in queue mode sleeps, though it was to be awake still: then the request
// can wait. One that waited for its turn behind the one that found this out has not been sent at all.
func (s *Server) fellAsleep(d *device, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone || d.flags&queueMode == 0 {
		return false
	}
	return isUnreached(err) || errors.Is(err, ErrAsleep) || d.asleep() && errors.Is(err, context.DeadlineExceeded)
}

func isUnreached(err error) bool {
	return errors.Is(err, coap.ErrTimeout) || errors.Is(err, coap.ErrUnreachable)
}

// perform asks the device, in one format after the other until it likes one.
func (s *Server) perform(ctx context.Context, d *device, r *Request) (Answer, error) {
	switch r.Operation {
	case OpObserve, OpObserveComposite:
		return s.observe(ctx, d, r)
	case OpCancel:
		return s.cancel(ctx, d, r)
	case OpReadComposite, OpWriteComposite:
		return s.composite(ctx, d, r)
	case OpCreate:
		return s.create(ctx, d, r)
	}
	answer, err := s.ask(ctx, d, r, coap.Token{})
	if err == nil && r.Operation == OpWriteAttributes {
		s.want(d, r)
	}
	return answer, err
}

// ask sends a request, with a token if it is not zero.
func (s *Server) ask(ctx context.Context, d *device, r *Request, token coap.Token) (Answer, error) {
	d.mu.Lock()
	old := d.version.Compare(lwm2m.V1_1) < 0
	d.mu.Unlock()
	if old && r.Operation == OpRead && r.Path.Depth() == 4 { // 1.0 has no path for an instance of a resource
		answer, err := s.ask(ctx, d, &Request{Operation: OpRead, Path: r.Path.Parent()}, token)
		if answer.Tree = answer.Tree.Below(r.Path); err == nil && len(answer.Tree) == 0 {
			return Answer{}, refused(r.what(d.endpoint), &coap.Message{Code: coap.NotFound})
		}
		return answer, err
	}
	for {
		d.mu.Lock()
		t := d.target()
		d.mu.Unlock()
		f, ok := r.format(&t)
		if !ok {
			if !r.unnumbered() {
				s.unrefuse(d)
			}
			return Answer{}, noFormat(r.what(t.endpoint))
		}
		m, err := r.message(&t, f)
		if err != nil {
			return Answer{}, err
		}
		m.Token = token
		response, err := s.exchange(ctx, d, &t, m, r.repeatable())
		switch {
		case toRepeat(err, r.repeatable()):
			continue
		case err != nil:
			return Answer{}, failed(r.what(t.endpoint), err)
		case s.refusesFormat(d, r, f, response):
			continue
		case !response.Code.IsSuccess():
			return Answer{}, refused(r.what(t.endpoint), response)
		}
		return s.answer(&t, r, response)
	}
}

// exchange sends one message, which it may be safe to send twice, and notes whether the device is there.
func (s *Server) exchange(ctx context.Context, d *device, t *target, m *coap.Message, safe bool) (*coap.Message, error) {
	response, err := s.send(ctx, d, t, m, safe)
	if isUnreached(err) {
		s.unanswered(d, t)
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	if d.gone || d.peer != t.peer {
		d.mu.Unlock()
		return response, nil
	}
	s.prove(d)
	s.heard(d, milliseconds(time.Now())) // unlocks
	return response, nil
}

// unanswered notes a request that a device let go by, unless it has spoken since: one in queue mode sleeps then, another is lost
// after some.
func (s *Server) unanswered(d *device, t *target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone || d.messages != t.messages {
		return
	}
	if d.flags&queueMode != 0 {
		if d.flags&awake != 0 {
			d.flags &^= awake
			d.slept()
			s.emit(Event{Kind: Asleep, Endpoint: d.endpoint})
		}
		return
	}
	if d.failures < 255 {
		d.failures++
	}
	if int(d.failures) >= s.config.Limits.Lost && d.flags&lost == 0 {
		d.flags |= lost
		s.emit(Event{Kind: Lost, Endpoint: d.endpoint})
	}
}

// refusesFormat reports whether an answer says no more than that a format is not known, and remembers that of the device.
func (s *Server) refusesFormat(d *device, r *Request, f lwm2m.Format, response *coap.Message) bool {
	switch response.Code {
	case coap.NotAcceptable, coap.UnsupportedFormat:
	case coap.BadOption: // Accept is critical to some
		if r.Operation == OpDiscover {
			return false
		}
	default:
		return false
	}
	bit := formatBit(f)
	if f == lwm2m.FormatOpaque {
		bit = withOpaque
	}
	if bit == 0 || r.Operation == OpDiscover || r.Operation == OpExecute || r.Operation == OpDelete || r.Operation == OpWriteAttributes {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused&bit == 0 { // else another request has found out before
		d.refused |= bit
		s.saveFormats(d)
	}
	return true
}

// unrefuse lets all formats be tried again by the next request, as the device may have become another.
func (s *Server) unrefuse(d *device) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused &= noComposite
	s.saveFormats(d)
}

func noFormat(what string) error {
	return &Error{Code: "lwm2m-server.not-acceptable", CoAP: coap.NotAcceptable, What: what, Why: "the device refuses every format that the request can have",
		Hint: "the device may need a newer firmware"}
}

// answer reads a device's answer.
func (s *Server) answer(t *target, r *Request, response *coap.Message) (Answer, error) {
	a := Answer{Code: response.Code, under: t.id}
	a.sequence, a.observed = response.Uint(coap.Observe)
	var err error
	switch r.Operation {
	case OpRead, OpObserve:
		a.Tree, err = s.decode(t, r.Path, response)
	case OpReadComposite, OpObserveComposite:
		a.Tree, err = s.decode(t, lwm2m.Path{}, response)
	case OpDiscover:
		a.Links, err = lwm2m.ParseLinks(response.Payload)
		a.Links = r.shallow(t, a.Links)
	case OpCreate:
		a.Path = created(t, r, response)
	}
	if err != nil {
		return a, unreadable(r.what(t.endpoint), err)
	}
	return a, nil
}

// shallow leaves out what lies deeper than was asked for: devices before 1.2 can't be asked.
func (r *Request) shallow(t *target, all lwm2m.Links) lwm2m.Links {
	if r.Depth == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(l lwm2m.Link) bool {
		p, ok := l.Path(t.links.root)
		return ok && p.Depth() > r.Path.Depth()+int(r.Depth)
	})
}

// created is the path of a new instance: the one that the device tells, or else the one that it was given.
func created(t *target, r *Request, response *coap.Message) lwm2m.Path {
	if p, ok := (lwm2m.Link{Target: response.Location()}).Path(t.links.root); ok && p.Depth() == 2 {
		return p
	}
	if r.Path.Depth() == 1 && len(r.Tree) > 0 && !r.unnumbered() {
		return r.Tree[0].Path.Truncate(2)
	}
	return r.Path
}

// errUnreadable says that a device has answered, in a way that nobody understands.
var errUnreadable = errors.New("the device's answer can't be read")

func unreadable(what string, err error) error {
	err = fmt.Errorf("%w: %w", errUnreadable, err)
	return &Error{Code: "lwm2m-server.unreadable", CoAP: coap.BadGateway, What: what, Why: err.Error(),
		Hint: "the device, or the definition of the object that this server has, is not as it should be", Err: err}
}
