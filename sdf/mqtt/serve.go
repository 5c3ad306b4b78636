package mqtt

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"
)

// ServeConfig bounds what a gateway takes upon itself. Its zero value is useful.
type ServeConfig struct {
	Name         string                              // of the gateway, kept on gateway/<name>; "edgehold"
	Authorise    func(user string, r *Request) error // nil: the broker's access rules are enough; see Broker.Authorise
	Deadline     time.Duration                       // of a request whose message does not expire; 30 s
	MaxDeadline  time.Duration                       // 1 h
	MaxRequests  int                                 // at work or waiting; 16,384
	MaxPerThing  int                                 // of them for one thing; 32
	MaxPerClient int                                 // of them from one client; a quarter of MaxRequests
	MaxBytes     int                                 // of what they say; 256 MiB, of one client a quarter
	MaxObserved  int                                 // affordances under observation; 262,144
	MaxWatchers  int                                 // clients that hold one observation; 64
	Lease        time.Duration                       // how long an observation lasts that nobody renews; 1 h
	Observed     []Topic                             // what is under observation at the start; it ends after Lease unless somebody asks for it again
	Ready        func()                              // called when requests are heard; nil: nothing
	Now          func() time.Time                    // time.Now
	Logger       *slog.Logger                        // slog.DiscardHandler
}

func (c *ServeConfig) defaults() {
	c.Name = cmp.Or(c.Name, "edgehold")
	c.Deadline = cmp.Or(c.Deadline, 30*time.Second)
	c.MaxDeadline = cmp.Or(c.MaxDeadline, time.Hour)
	c.MaxRequests = cmp.Or(c.MaxRequests, 16<<10)
	c.MaxPerThing = cmp.Or(c.MaxPerThing, 32)
	c.MaxPerClient = cmp.Or(c.MaxPerClient, max(1, c.MaxRequests/4))
	c.MaxBytes = cmp.Or(c.MaxBytes, 256<<20)
	c.MaxObserved = cmp.Or(c.MaxObserved, 256<<10)
	c.MaxWatchers = cmp.Or(c.MaxWatchers, 64)
	c.Lease = cmp.Or(c.Lease, time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// requestFilters match what Topic can print, each topic once.
var requestFilters = []string{"+", "+/+", "+/+/+", "+/+/+/+/+", "+/+/+/+/+/+"}

// Serve answers requests that come over bus out of things, until ctx ends; then it lets those at work finish within their context, which has ended too.
// Requests for one thing are done one after the other in the order in which they came, those for different things side by side.
func Serve(ctx context.Context, bus Bus, things Things, config ServeConfig) error {
	config.defaults()
	s := &server{ctx: ctx, config: config, bus: bus, things: things, refusals: make(chan refusal, 256)}
	s.queues.init(config)
	s.watched.init(config)
	defer s.queues.close()
	for _, filter := range requestFilters {
		cancel, err := bus.Subscribe(ctx, filter, s.receive)
		if err != nil {
			return fmt.Errorf("serve things over MQTT: %w", err)
		}
		defer cancel()
	}
	if a, ok := things.(Announcer); ok {
		if bus, ok := bus.(*inline); ok {
			defer bus.keepBy(a)()
		}
	}
	if config.Ready != nil {
		config.Ready()
	}
	return s.run(ctx)
}

type server struct {
	ctx     context.Context
	config  ServeConfig
	bus     Bus
	things  Things
	queues  queues
	watched watched

	warned   rarely
	refusals chan refusal // to be answered from a goroutine that may wait for the bus
}

type refusal struct {
	task     *task
	response *Response
}

// refuse answers k without waiting for the bus. Of a flood of nonsense not everything is answered.
func (s *server) refuse(k *task, r *Response) {
	k.Data = nil // it may be large
	select {
	case s.refusals <- refusal{k, r}:
	default:
	}
}

// run keeps the gateway's presence, answers what is refused, and ends observations that nobody renews.
func (s *server) run(ctx context.Context) error {
	p := Presence{Name: s.config.Name, Online: true, Time: s.config.Now()}
	if err := s.bus.Publish(ctx, p.message()); err != nil && ctx.Err() == nil {
		return fmt.Errorf("tell that gateway %s is there: %w", p.Name, err)
	}
	defer func() {
		p.Online, p.Time = false, s.config.Now()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.bus.Publish(late, p.message()) // a broker that is gone tells it by itself
	}()
	tick := time.NewTicker(min(s.config.Lease/4, time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-s.refusals:
			s.answer(r.task, r.response)
		case <-tick.C:
			for _, t := range s.watched.expired(s.config.Now()) {
				s.admit(&task{Request: Request{Topic: t, Operation: Cancel}, internal: true})
			}
		}
	}
}

// task is a request on its way.
type task struct {
	Request
	reply       string // topic
	correlation []byte
	client      string // whom it counts for
	bytes       int    // that it takes while it waits
	deadline    time.Time
	internal    bool // nobody asked
}

// receive is called by the bus for each message that might be a request. It never blocks.
func (s *server) receive(m *Message) {
	t, err := ParseTopic(m.Topic)
	if err != nil || !s.things.Known(t.Thing) && m.ResponseTopic == "" {
		return // not for us, or for nobody and nobody to tell
	}
	if m.Retain {
		s.warn("request that a broker keeps is dropped: it would be done at each start", "topic", m.Topic)
		return
	}
	k := &task{correlation: m.Correlation, client: client(m), deadline: s.deadline(m), bytes: taskBytes + len(m.Payload) + len(m.Correlation) + len(m.ResponseTopic)}
	k.Request = Request{Topic: t, CBOR: m.ContentType == TypeCBOR, User: m.User}
	if m.ResponseTopic != "" {
		if err := s.checkReply(m.ResponseTopic); err != nil {
			s.warn("request without a place for its answer is dropped", "topic", m.Topic, "error", err)
			return
		}
		k.reply = m.ResponseTopic
	}
	if fail := s.check(k, m); fail != nil {
		s.refuse(k, fail)
		return
	}
	s.admit(k)
}

// taskBytes is about what a request takes besides what it says.
const taskBytes = 512

// warn says from time to time what strangers do wrong.
func (s *server) warn(what string, args ...any) {
	if s.warned.now(s.config.Now()) {
		s.config.Logger.Warn(what, args...)
	}
}

// client tells askers apart: by the client if the broker tells it, else by where they want their answers. It is kept for each observation, so it is never long.
func client(m *Message) string {
	who := cmp.Or(m.From, m.ResponseTopic)
	if len(who) <= 64 {
		return who
	}
	sum := sha256.Sum256([]byte(who))
	return string(sum[:])
}

func (s *server) deadline(m *Message) time.Time {
	d := m.Expiry
	if d <= 0 {
		d = s.config.Deadline
	}
	return s.config.Now().Add(min(d, s.config.MaxDeadline))
}

// check reads the payload and judges the request; nil: it may be done.
func (s *server) check(k *task, m *Message) *Response {
	if m.ContentType != "" && m.ContentType != TypeJSON && m.ContentType != TypeCBOR {
		return Fail(Unsupported, Error{Code: "request.content-type", Message: "read the request", Why: fmt.Sprintf("its content type is %.100q", m.ContentType), Hint: "send " + TypeJSON + " or " + TypeCBOR})
	}
	if err := k.decode(m.Payload); err != nil {
		return Fail(BadRequest, Error{Code: "request.malformed", Message: "read the request", Why: err.Error(), Hint: `send {"operation":"GET"}, with "data" where there is some`})
	}
	if !s.things.Known(k.Thing) {
		return Fail(NotFound, Error{Code: "device.unknown", Message: fmt.Sprintf("%s %s", k.Operation, k.Topic), Why: fmt.Sprintf("no device of the name %q is registered", k.Thing), Hint: "see what is announced: edgehold device list"})
	}
	if s.config.Authorise == nil {
		return nil
	}
	if err := s.config.Authorise(k.User, &k.Request); err != nil {
		return Fail(Forbidden, Error{Code: "request.forbidden", Message: fmt.Sprintf("%s %s", k.Operation, k.Topic), Why: err.Error(), Hint: "ask whoever runs the gateway for the right"})
	}
	return nil
}

// admit puts k in the line of its thing, if there is room.
func (s *server) admit(k *task) {
	if why := s.queues.put(k, s.work); why != "" {
		s.refuse(k, Fail(Unavailable, Error{Code: "gateway.busy", Message: fmt.Sprintf("%s %s", k.Operation, k.Topic), Why: why, Hint: "try again later"}))
	}
}

// work does k, in its thing's turn, and gives what answers it.
func (s *server) work(k *task) (answer func()) {
	r := s.inTime(k)
	k.Data = nil // it may be large, and is not counted any more
	return func() { s.answer(k, r) }
}

// inTime does k unless its time is over.
func (s *server) inTime(k *task) *Response {
	left := k.deadline.Sub(s.config.Now())
	if k.internal {
		left = s.config.Deadline
	}
	if left <= 0 {
		return late(k, "it waited for its turn until its time was over")
	}
	ctx, cancel := context.WithTimeout(s.ctx, left)
	defer cancel()
	if r := s.do(ctx, k); r != nil {
		return r
	}
	return late(k, "the device did not answer in time")
}

// do has the things do k. A panic of the things is one failed request.
func (s *server) do(ctx context.Context, k *task) (r *Response) {
	defer func() {
		if p := recover(); p != nil {
			s.config.Logger.Error("request panicked", "topic", k.Topic.String(), "panic", p)
			r = Fail(Internal, Error{Code: "gateway.internal", Message: fmt.Sprintf("%s %s", k.Operation, k.Topic), Why: "the gateway has a fault here", Hint: "report it, with the gateway's log"})
		}
	}()
	switch {
	case k.Operation == Observe:
		return s.observe(ctx, k)
	case k.Operation == Cancel && !k.internal:
		return s.cancel(ctx, k)
	}
	return s.things.Do(ctx, &k.Request)
}

func late(k *task, why string) *Response {
	return Fail(Timeout, Error{Code: "request.late", Message: fmt.Sprintf("%s %s", k.Operation, k.Topic), Why: why, Hint: "give it more time (message expiry); a device that sleeps answers when it wakes"})
}

// answer publishes r where k wants it. Answers carry no response topic: nobody answers them.
func (s *server) answer(k *task, r *Response) {
	if k.reply == "" {
		return
	}
	payload, err := encodeResponse(r, k.CBOR)
	if err != nil {
		s.config.Logger.Error("answer can't be encoded", "topic", k.Topic.String(), "error", err)
		payload, _ = encodeResponse(Fail(Internal, Error{Code: "gateway.internal", Message: "encode the answer", Why: err.Error()}), k.CBOR)
	}
	m := &Message{Topic: k.reply, Payload: payload, ContentType: contentType(k.CBOR), Correlation: k.correlation, Pointer: k.Pointer(), Expiry: time.Minute, To: k.User}
	if err := s.bus.Publish(s.ctx, m); err != nil && s.ctx.Err() == nil {
		s.config.Logger.Warn("answer could not be published", "topic", k.reply, "error", err)
	}
}
