package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/internal/pause"
)

// errRejected is a server's no to a registration.
var errRejected = errors.New("server rejects the registration")

// run keeps the device registered with one server until ctx is done. It is the state machine of LwM2M Core 6.2: wait for the turn, reach the
// server, register, update; and begin again with whatever part has failed.
func (c *Client) run(ctx context.Context, s *server, before []*server) {
	s.backoff = c.backoffOf(s)
	defer s.settle()
	if !c.turn(ctx, s, before) {
		return
	}
	for ctx.Err() == nil {
		wait, err := c.registration(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.log.Warn("registration failed", "server", s.short, "error", err, "wait", wait)
		}
		s.become(stateFor(err))
		if !c.idle(ctx, s, wait) {
			return
		}
	}
}

func stateFor(err error) State {
	if err == nil {
		return Disabled
	}
	return Waiting
}

// backoffOf is how a server wants failed attempts repeated (resources 17 to 20 of the Server object).
func (c *Client) backoffOf(s *server) backoff {
	count, found := c.serverValue(s, serverRetryCount)
	if !found {
		return backoff{}
	}
	sequences, _ := c.serverValue(s, serverSequenceCount)
	return backoff{
		retries: int(min(count.Unsigned(), 1<<16)), first: max(c.serverSeconds(s, serverRetryTimer, time.Minute), time.Second),
		sequences: int(min(sequences.Unsigned(), 1<<16)), sequenceDelay: c.serverSeconds(s, serverSequenceDelay, 24*time.Hour),
	}
}

// turn waits until the servers before this one have been registered with, if this one has a place in the order, and then for its initial
// delay. It returns false if the turn never comes.
func (c *Client) turn(ctx context.Context, s *server, before []*server) bool {
	if _, ordered := c.serverValue(s, serverPriority); ordered {
		for _, b := range before {
			select {
			case <-ctx.Done():
				return false
			case <-b.settled:
			}
			if b.blocked {
				s.blocked = true
				return false
			}
		}
	}
	return pause.For(ctx, c.serverSeconds(s, serverInitialDelay, 0))
}

// registration reaches the server, registers, and serves until that ends. It returns how long to wait before the next one, and why this
// one ended; no error if the server has disabled the device.
func (c *Client) registration(ctx context.Context, s *server) (time.Duration, error) {
	s.become(Connecting)
	err := c.connect(ctx, s)
	if err != nil {
		return c.failed(s, err), err
	}
	defer c.disconnect(s)
	for ctx.Err() == nil {
		s.become(Registering)
		if err := c.enrol(ctx, s); err != nil {
			return c.failed(s, err), err
		}
		s.backoff.reset()
		s.settle()
		disabled, err := c.stay(ctx, s)
		if disabled {
			s.expires = time.Time{}
			return c.serverSeconds(s, serverDisableTimeout, 24*time.Hour), nil
		}
		if !errors.Is(err, errForgotten) {
			return c.failed(s, err), err
		}
		s.expires = time.Time{}
	}
	return 0, ctx.Err()
}

// enrol takes up a registration that should still hold with an Update, or else registers.
func (c *Client) enrol(ctx context.Context, s *server) error {
	if time.Now().Before(s.expires) {
		err := c.update(ctx, s, eventObjects|eventUpdate)
		if !errors.Is(err, errForgotten) && !errors.Is(err, errRejected) {
			return err
		}
	}
	return c.register(ctx, s)
}

// failed is the wait after a failure. What the server asks for by Max-Age goes before the device's own pace.
func (c *Client) failed(s *server, err error) time.Duration {
	wait, more := s.backoff.next(s.random)
	var busy *busyError
	if errors.As(err, &busy) {
		return max(jitter(busy.wait, s.random), wait)
	}
	if !more || errors.Is(err, errRejected) {
		s.blocked = c.serverFlag(s, serverFailureBlock, false)
		s.settle()
		if c.serverFlag(s, serverFailureBootstrap, true) && len(c.accounts.each(true)) > 0 {
			c.Bootstrap()
		}
	}
	return wait
}

func (c *Client) connect(ctx context.Context, s *server) error {
	target, err := s.account.Target()
	if err != nil {
		return err
	}
	// The endpoint outlives ctx by as long as a de-registration takes.
	endpoint, err := c.network.Connect(ctx, s.account, target, c.handler(s))
	if err != nil {
		return fmt.Errorf("reach %s: %w", s.account.URI, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.connection = &connection{Endpoint: endpoint, target: target}
	return nil
}

func (c *Client) disconnect(s *server) {
	c.mu.Lock()
	connection := s.connection
	s.connection = nil
	if !c.serverFlag(s, serverStoring, true) {
		for _, o := range s.observations {
			o.forget()
		}
	}
	c.mu.Unlock()
	if connection == nil {
		return
	}
	if err := connection.Close(); err != nil {
		c.log.Debug("connection did not end well", "server", s.short, "error", err)
	}
}

// register sends a Register (LwM2M Core 6.2.1), in a version that the server speaks.
func (c *Client) register(ctx context.Context, s *server) error {
	for {
		reply, err := c.ask(ctx, s.connection, c.registerRequest(s))
		if err != nil {
			return fmt.Errorf("register: %w", err)
		}
		switch {
		case reply.Code == coap.Created && reply.Location() != "/":
			c.registered(s, reply.Location())
			return nil
		case reply.Code == coap.PreconditionFailed && s.version != lwm2m.V1_0:
			s.version.Minor--
		default:
			return rejected(reply.Code)
		}
	}
}

// rejected is a server's no to Register. Of who may not register a server says no more, so the log says where to look.
func rejected(code coap.Code) error {
	if code == coap.Forbidden {
		return fmt.Errorf("register: %w: %s: see whether the server's list has this name with this credential, or without any if it has none", errRejected, code)
	}
	return fmt.Errorf("register: %w: %s", errRejected, code)
}

// registerRequest makes a Register. It tells everything, and a new registration knows of no observations (LwM2M Core 6.4): what there was of
// both is forgotten here and not when the answer is there, for a server may observe before its answer has been read.
func (c *Client) registerRequest(s *server) *coap.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.observations = nil
	s.take()
	m := &coap.Message{Code: coap.POST, Payload: c.tree.registration().Append(nil)}
	m.SetPath(s.connection.target.Prefix + "/rd")
	m.SetUint(coap.ContentFormat, uint32(lwm2m.FormatLinks))
	m.AddQuery("ep=" + c.config.Endpoint)
	m.AddQuery("lwm2m=" + s.version.String())
	c.addRegistration(s, m)
	return m
}

// addRegistration adds lifetime and binding to a Register or an Update.
func (c *Client) addRegistration(s *server, m *coap.Message) {
	m.AddQuery("lt=" + strconv.FormatInt(int64(c.lifetime(s)/time.Second), 10))
	binding, queue := "U", c.config.QueueMode
	if v, found := c.serverValue(s, serverBinding); found {
		binding, queue = withoutQueue(v.Text(), queue)
	}
	if s.version == lwm2m.V1_0 {
		if queue {
			binding += "Q"
		}
		m.AddQuery("b=" + binding)
		return
	}
	m.AddQuery("b=" + binding)
	if queue {
		m.AddQuery("Q")
	}
}

// withoutQueue splits the Q of LwM2M 1.0 off a binding.
func withoutQueue(binding string, queue bool) (string, bool) {
	out := ""
	for _, letter := range binding {
		if letter == 'Q' {
			queue = true
		} else {
			out += string(letter)
		}
	}
	return out, queue
}

func (c *Client) lifetime(s *server) time.Duration {
	return c.serverSeconds(s, serverLifetime, 24*time.Hour)
}

// registered notes a new registration.
func (c *Client) registered(s *server, location string) {
	lifetime := c.lifetime(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.location, s.expires = location, time.Now().Add(lifetime)
	s.become(Registered)
	c.log.Info("registered", "server", s.short, "location", location, "version", s.version.String())
	c.poke()
}

// errForgotten is a server's answer that it does not know the registration.
var errForgotten = errors.New("server does not know the registration")

// answerTime lets the answer to an Execute of Disable go out before the de-registration that follows it.
const answerTime = 100 * time.Millisecond

// settleObjects is how long changes of the list of objects are gathered before they are told.
const settleObjects = time.Second

// stay keeps a registration: updates in time and on what happens, sleep in between. It ends when the server disables the device, has
// forgotten it, or does not answer; and with a de-registration when ctx is done.
func (c *Client) stay(ctx context.Context, s *server) (disabled bool, err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	update := c.nextUpdate(s)
	for {
		timer.Reset(c.doze(s, update))
		select {
		case <-ctx.Done():
			c.leave(s)
			return false, ctx.Err()
		case <-timer.C:
		case <-s.wake:
		}
		events := s.take()
		switch {
		case events&eventDisable != 0:
			pause.For(ctx, answerTime)
			c.leave(s)
			return true, nil
		case events&eventObjects != 0 && !pause.For(ctx, settleObjects):
			continue
		case events != 0 || !time.Now().Before(update):
			if err := c.refreshRegistration(ctx, s, events|event(s.take())); err != nil {
				return false, err
			}
			update = c.nextUpdate(s)
		}
	}
}

func (c *Client) nextUpdate(s *server) time.Time {
	after := updateAfter(c.lifetime(s), s.random)
	if after == 0 {
		after = 365 * 24 * time.Hour // a registration without end
	}
	return time.Now().Add(after)
}

// doze puts the receiver to sleep when its time has come (queue mode), and returns how long to wait for the next thing to do.
func (c *Client) doze(s *server, update time.Time) time.Duration {
	wait := max(time.Until(update), 0)
	if !c.queues(s) {
		return wait
	}
	awake := time.Until(s.connection.Heard().Add(c.config.Awake))
	if awake > 0 {
		return min(wait, awake)
	}
	s.connection.Listen(false)
	return wait
}

func (c *Client) queues(s *server) bool {
	queue := c.config.QueueMode
	if v, found := c.serverValue(s, serverBinding); found {
		_, queue = withoutQueue(v.Text(), queue)
	}
	return queue
}

// refreshRegistration sends an Update (LwM2M Core 6.2.2) with what has changed, over a new connection if the old one does not do.
func (c *Client) refreshRegistration(ctx context.Context, s *server, events event) error {
	if events&(eventReconnect|eventLost) != 0 {
		return c.comeBack(ctx, s, events)
	}
	err := c.update(ctx, s, events)
	var busy *busyError
	switch {
	case err == nil, errors.Is(err, errForgotten), errors.Is(err, errRejected), errors.As(err, &busy), ctx.Err() != nil:
		return err
	default:
		return c.comeBack(ctx, s, events)
	}
}

// comeBack reaches the server anew and updates: the registration holds, whatever address it comes from.
func (c *Client) comeBack(ctx context.Context, s *server, events event) error {
	s.become(Connecting)
	c.disconnect(s)
	if err := c.connect(ctx, s); err != nil {
		return err
	}
	return c.update(ctx, s, events)
}

func (c *Client) update(ctx context.Context, s *server, events event) error {
	m := &coap.Message{Code: coap.POST}
	c.mu.Lock()
	connection := s.connection
	m.SetPath(s.location)
	if events&eventUpdate != 0 {
		c.addRegistration(s, m)
	}
	if events&eventObjects != 0 {
		m.Payload = c.tree.registration().Append(nil)
		m.SetUint(coap.ContentFormat, uint32(lwm2m.FormatLinks))
	}
	c.mu.Unlock()
	reply, err := c.ask(ctx, connection, m)
	switch {
	case err != nil:
		return fmt.Errorf("update: %w", err)
	case reply.Code == coap.Changed:
		s.expires = time.Now().Add(c.lifetime(s))
		s.become(Registered)
		c.poke()
		return nil
	case reply.Code == coap.NotFound:
		return fmt.Errorf("update: %w", errForgotten)
	default:
		return fmt.Errorf("update: %w: %s", errRejected, reply.Code)
	}
}

// leaveTime bounds a de-registration, which is a courtesy.
const leaveTime = 5 * time.Second

// leave de-registers (LwM2M Core 6.2.3). It works after the end of the run's context too.
func (c *Client) leave(s *server) {
	disabled := s.now() == Registered && !c.config.Stay
	s.become(Stopped)
	if !disabled {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	m := &coap.Message{Code: coap.DELETE}
	m.SetPath(s.location)
	if _, err := s.connection.Do(ctx, m); err != nil {
		c.log.Debug("de-registration was not answered", "server", s.short, "error", err)
	}
}

// idle waits between two registrations, unless something happens that makes the next one sensible at once.
func (c *Client) idle(ctx context.Context, s *server, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-s.wake:
			if s.take()&eventReconnect != 0 {
				return true
			}
		}
	}
}
