package server

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// RequestID names a request that waits for its device; see [Server.Enqueue].
type RequestID uint64

// requestIDs are unique over restarts: they begin with the time.
type requestIDs struct{ last atomic.Uint64 }

func (r *requestIDs) next() RequestID {
	for {
		last := r.last.Load()
		next := max(last+1, uint64(time.Now().UnixMilli())<<16)
		if r.last.CompareAndSwap(last, next) {
			return RequestID(next)
		}
	}
}

// job is a request that waits for its device, or that a worker does.
type job struct {
	id       RequestID
	request  *Request
	deadline int64 // milliseconds since 1970
	durable  bool
	size     int             // of what is stored of it
	ctx      context.Context // of who waits; nil if nobody does
	done     chan result     // holds one; nil if nobody waits
}

type result struct {
	answer Answer
	err    error
}

// queue is what waits for a device, oldest first. A nil queue is empty.
type queue struct{ jobs []*job }

func (q *queue) length() int {
	if q == nil {
		return 0
	}
	return len(q.jobs)
}

// bytes is the size of what is stored of the queue.
func (q *queue) bytes() (n int) {
	for _, j := range q.jobs {
		n += j.size
	}
	return n
}

func (q *queue) nextDeadline() int64 {
	at := int64(math.MaxInt64)
	for _, j := range q.jobs {
		at = min(at, j.deadline)
	}
	return at
}

// overdue takes out what has waited too long.
func (q *queue) overdue(now int64) (late []*job) {
	if q == nil {
		return nil
	}
	rest := q.jobs[:0]
	for _, j := range q.jobs {
		if j.deadline <= now {
			late = append(late, j)
		} else {
			rest = append(rest, j)
		}
	}
	clear(q.jobs[len(rest):])
	q.jobs = rest
	return late
}

func (q *queue) takeAll() []*job {
	if q == nil {
		return nil
	}
	jobs := q.jobs
	q.jobs = nil
	return jobs
}

func (q *queue) remove(j *job) bool {
	if q == nil {
		return false
	}
	for i, other := range q.jobs {
		if other == j {
			q.jobs = append(q.jobs[:i], q.jobs[i+1:]...)
			return true
		}
	}
	return false
}

// Hold says how long a request may wait for its device, and through what.
type Hold struct {
	For     time.Duration // [Times].Queue if 0
	Durable bool          // outlives a restart of the server
}

// Waiting is a request that waits for its device.
type Waiting struct {
	ID       RequestID
	Request  Request
	Deadline time.Time
	Durable  bool
}

// Enqueue has a request done as soon as the device is awake, in the order in which its requests came, and returns at once,
// or with Durable when the request will survive a crash. The event [Answered] brings what became of it.
func (s *Server) Enqueue(ctx context.Context, endpoint string, r Request, h Hold) (RequestID, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	d, err := s.find(endpoint)
	if err != nil {
		return 0, err
	}
	wait := h.For
	if wait <= 0 {
		wait = s.config.Times.Queue
	}
	j := &job{id: s.requests.next(), request: &r, durable: h.Durable && s.config.Store != nil, deadline: milliseconds(time.Now().Add(wait))}
	if j.durable {
		j.size = len(j.encode())
	}
	if err := s.push(d, j); err != nil {
		d.mu.Unlock()
		return 0, err
	}
	saved := s.saveQueue(d, j)
	if !d.asleep() {
		s.work.add(d)
	}
	d.mu.Unlock()
	return j.id, saved(ctx)
}

// push adds a job, if there is room. The device is locked.
func (s *Server) push(d *device, j *job) error {
	if d.queue == nil {
		d.queue = new(queue)
	}
	if len(d.queue.jobs) >= s.config.Limits.Queue || d.queue.bytes()+j.size > s.config.Limits.QueueBytes {
		return queueFull(d.endpoint, j.request)
	}
	d.queue.jobs = append(d.queue.jobs, j)
	s.schedule(d)
	return nil
}

// Queued returns what waits for a device, oldest first.
func (s *Server) Queued(endpoint string) ([]Waiting, error) {
	d, err := s.find(endpoint)
	if err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	var all []Waiting
	for i := range d.queue.length() {
		j := d.queue.jobs[i]
		all = append(all, Waiting{ID: j.id, Request: *j.request, Deadline: timeOf(j.deadline), Durable: j.durable})
	}
	return all, nil
}

// Withdraw takes a request back that waits. It returns false if it is not there any more: done, or being done.
func (s *Server) Withdraw(endpoint string, id RequestID) (bool, error) {
	d, err := s.find(endpoint)
	if err != nil {
		return false, err
	}
	for i := range d.queue.length() {
		if j := d.queue.jobs[i]; j.id == id {
			d.queue.remove(j)
			s.saveQueue(d, j)
			d.mu.Unlock()
			s.finish(d, j, Answer{}, withdrawn(d.endpoint, j.request))
			return true, nil
		}
	}
	d.mu.Unlock()
	return false, nil
}

// drain does what waits for a device, one after the other, until it sleeps again.
func (s *Server) drain(ctx context.Context, d *device) {
	for ctx.Err() == nil {
		d.mu.Lock()
		if d.gone || d.asleep() || d.queue.length() == 0 {
			d.mu.Unlock()
			return
		}
		j := d.queue.jobs[0]
		d.queue.jobs = d.queue.jobs[1:]
		if len(d.queue.jobs) == 0 {
			d.queue.jobs = nil
		}
		d.mu.Unlock()
		if !s.attempt(ctx, d, j) {
			return
		}
	}
}

// attempt does a job, and returns whether the next one can follow. If the device has fallen asleep over it, or the server ends, it is
// put back.
func (s *Server) attempt(ctx context.Context, d *device, j *job) bool {
	jobCtx := j.ctx
	if jobCtx == nil {
		jobCtx = ctx
	}
	jobCtx, stop := context.WithTimeout(jobCtx, s.config.Times.Exchange)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	answer, err := s.perform(jobCtx, d, j.request)
	over := ctx.Err() != nil || errors.Is(err, coap.ErrClosed) // the server ends: its endpoint may be faster than its contexts
	if err != nil && (over || s.fellAsleep(d, err) && j.request.repeatable()) {
		d.mu.Lock()
		back := !d.gone && j.deadline > milliseconds(time.Now())
		if back {
			if d.queue == nil {
				d.queue = new(queue)
			}
			d.queue.jobs = append([]*job{j}, d.queue.jobs...)
			s.schedule(d)
			if !d.asleep() && !over { // it has spoken meanwhile
				s.work.add(d)
			}
		}
		d.mu.Unlock()
		if back {
			return false
		}
	}
	d.mu.Lock()
	s.saveQueue(d, j)
	d.mu.Unlock()
	s.finish(d, j, answer, err)
	return !over
}

// finish hands over what became of a job, to who waits or to the subscribers.
func (s *Server) finish(d *device, j *job, answer Answer, err error) {
	if j.done != nil {
		j.done <- result{answer, err}
		return
	}
	s.emit(Event{Kind: Answered, Endpoint: d.endpoint, Request: j.id, Path: j.request.Path, Tree: answer.Tree, Answer: &answer, Err: err})
}

func queueFull(endpoint string, r *Request) error {
	return &Error{Code: "lwm2m-server.queue-full", CoAP: coap.ServiceUnavailable, What: r.what(endpoint), Why: "as many requests wait for the device as may",
		Hint: "wait until it wakes up, or withdraw some", Err: ErrQueueFull}
}

func overdueError(endpoint string, r *Request) error {
	return &Error{Code: "lwm2m-server.asleep", CoAP: coap.GatewayTimeout, What: r.what(endpoint), Why: "the device did not wake up in time",
		Hint: "allow more time: it wakes up at the latest when its lifetime ends", Err: ErrAsleep}
}

func withdrawn(endpoint string, r *Request) error {
	return &Error{Code: "lwm2m-server.withdrawn", CoAP: coap.GatewayTimeout, What: r.what(endpoint), Why: "it was withdrawn", Hint: "ask again if it is wanted"}
}
