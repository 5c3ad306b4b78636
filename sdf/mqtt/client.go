package mqtt

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Client asks a gateway's things. It is safe for use by several goroutines.
type Client struct {
	bus    Bus
	config ClientConfig
	reply  string
	stop   func()

	mu      sync.Mutex
	waiting map[string]chan *Message // by correlation data
	ears    ears
	returns returns
	warned  rarely
}

// ClientConfig of a Client. Its zero value is useful.
type ClientConfig struct {
	CBOR    bool          // ask and be answered in CBOR
	Timeout time.Duration // of a request whose context has no deadline; 30 s
	Lease   time.Duration // how often an observation is renewed, at a third of it; 1 h, as ServeConfig.Lease
	Logger  *slog.Logger  // told once a minute at most what is wrong with what the broker says; slog.DiscardHandler
}

func randomName() string { return rand.Text()[:12] }

// ErrNoAnswer is in the error of a request that nobody answered in time, a gateway's timeout neither.
var ErrNoAnswer = errors.New("no answer")

// NewClient listens for answers on bus. Close ends that; the bus stays open.
func NewClient(ctx context.Context, bus Bus, config ClientConfig) (*Client, error) {
	config.Timeout = cmp.Or(config.Timeout, 30*time.Second)
	config.Lease = cmp.Or(config.Lease, time.Hour)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	own := string(appendSegment([]byte(topicReply+"/"), bus.Name(), false))
	c := &Client{bus: bus, config: config, reply: own + "/" + rand.Text(), waiting: map[string]chan *Message{}}
	stop, err := bus.Subscribe(ctx, c.reply, c.answered)
	if err != nil {
		return nil, fmt.Errorf("listen for answers: %w", err)
	}
	c.stop = stop
	return c, nil
}

// Close has answers that are still to come ignored.
func (c *Client) Close() {
	c.stop()
	c.returns.close()
}

func (c *Client) answered(m *Message) {
	c.mu.Lock()
	ch := c.waiting[string(m.Correlation)]
	delete(c.waiting, string(m.Correlation))
	c.mu.Unlock()
	if ch != nil {
		ch <- m // has room for one, and gets one
	}
}

// Do asks, and waits for the answer. The error of an answer that says no is an [*Error], and the response is returned with it.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout(ctx))
	defer cancel()
	r.CBOR = c.config.CBOR
	m, err := c.exchange(ctx, &r)
	if own, ok := errors.AsType[*Error](err); ok {
		return nil, own
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Operation, r.Topic, err)
	}
	answer, err := decodeResponse(m.Payload, m.ContentType == TypeCBOR)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", r.Operation, r.Topic, err)
	}
	return answer, answer.Err()
}

func (c *Client) timeout(ctx context.Context) time.Duration {
	if until, ok := ctx.Deadline(); ok {
		return time.Until(until)
	}
	return c.config.Timeout
}

func (c *Client) exchange(ctx context.Context, r *Request) (*Message, error) {
	payload, err := encodeRequest(r)
	if err != nil {
		return nil, err
	}
	correlation, ch := c.await()
	defer c.forget(correlation)
	back := make(chan struct{}, 1)
	c.returns.add(ctx, c, back)
	defer c.returns.remove(back)
	m := &Message{
		Topic: r.Topic.String(), Payload: payload, ContentType: contentType(r.CBOR), ResponseTopic: c.reply, Correlation: []byte(correlation),
		Pointer: r.Pointer(), Expiry: c.timeout(ctx),
	}
	if err := c.bus.Publish(ctx, m); err != nil {
		if ctx.Err() != nil {
			return nil, c.noAnswer(ctx) // nobody can answer what did not get out in time
		}
		return nil, err
	}
	select {
	case m := <-ch:
		return m, nil
	case <-back:
		return c.afterReturn(ctx, ch, r)
	case <-ctx.Done():
		return nil, c.noAnswer(ctx)
	}
}

// noAnswer says as well if it can't be known whether there is a gateway at all.
func (c *Client) noAnswer(ctx context.Context) error {
	if blind := c.returns.blind(); blind != nil {
		return fmt.Errorf("%w: %w; whether the gateway is there can't be seen: %w", ErrNoAnswer, context.Cause(ctx), blind)
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, context.Cause(ctx))
}

// grace is how long a gateway that came back may take for the answer to a request that it got just before it told so.
const grace = time.Second

// afterReturn waits for an answer of a gateway that came back: what it was asked before that it knows nothing of.
func (c *Client) afterReturn(ctx context.Context, ch chan *Message, r *Request) (*Message, error) {
	select {
	case m := <-ch:
		return m, nil
	case <-ctx.Done():
		return nil, c.noAnswer(ctx)
	case <-time.After(grace):
		return nil, &Error{
			Status: Unavailable, Code: "gateway.started-anew", Message: fmt.Sprintf("%s %s", r.Operation, r.Topic),
			Why: "the gateway was started anew, or cut off, before it answered, and nobody knows whether it was done", Hint: "see how the device is, and ask again",
		}
	}
}

func (c *Client) await() (correlation string, ch chan *Message) {
	correlation, ch = rand.Text(), make(chan *Message, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[correlation] = ch
	return correlation, ch
}

func (c *Client) forget(correlation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, correlation)
}

// Watcher is told who comes and goes. Functions that are nil are not called; none may block.
type Watcher struct {
	Thing     string // only this one; "": every one
	Announced func(*Announcement)
	Gone      func(*Farewell)
	Gateway   func(Presence)
}

// Watch tells w of each thing that is announced, and of those that come and go, until cancel is called.
func (c *Client) Watch(ctx context.Context, w Watcher) (cancel func(), err error) {
	which := "+"
	if w.Thing != "" {
		which = Topic{Thing: w.Thing}.String()
	}
	return c.subscribe(ctx, []listening{
		{topicGateway + "/+", c.taking(w.gateway)},
		{topicUnregister + "/" + which, c.taking(w.gone)},
		{topicAnnounce + "/" + which, c.taking(w.announced)}, // last: as many come as there are things, and the next acknowledgement behind them
	})
}

// taking tells why a message is not taken.
func (c *Client) taking(take func(*Message) error) func(*Message) {
	return func(m *Message) {
		if err := take(m); err != nil && c.warned.now(time.Now()) {
			c.config.Logger.Warn("a message is not taken", "topic", shorten(m.Topic), "error", err)
		}
	}
}

// listening is what receives the messages of a filter.
type listening struct {
	filter  string
	receive func(*Message)
}

func (c *Client) subscribe(ctx context.Context, all []listening) (cancel func(), err error) {
	var cancels []func()
	cancel = func() {
		for _, f := range cancels {
			f()
		}
	}
	for _, l := range all {
		stop, err := c.bus.Subscribe(ctx, l.filter, l.receive)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("subscribe to %s: %w", l.filter, err)
		}
		cancels = append(cancels, stop)
	}
	return cancel, nil
}

func (w *Watcher) announced(m *Message) error {
	if w.Announced == nil || len(m.Payload) == 0 {
		return nil // an empty one takes an announcement back: unregister tells why
	}
	var a Announcement
	thing, err := take(topicAnnounce, m, maxAnnouncement, &a)
	if err != nil {
		return err
	}
	a.Thing = thing // the topic is what access rules were checked against
	if err := a.check(); err != nil {
		return err
	}
	w.Announced(&a)
	return nil
}

func (w *Watcher) gone(m *Message) error {
	if w.Gone == nil {
		return nil
	}
	var f Farewell
	thing, err := take(topicUnregister, m, maxNote, &f)
	if err != nil {
		return err
	}
	f.Thing = thing
	w.Gone(&f)
	return nil
}

func (w *Watcher) gateway(m *Message) error {
	if w.Gateway == nil {
		return nil
	}
	var p Presence
	name, err := take(topicGateway, m, maxNote, &p)
	if err != nil {
		return err
	}
	p.Name = name
	w.Gateway(p)
	return nil
}

// Listen tells of all that the things told which filter names, until cancel is called: empty fields of filter stand for all. It asks no thing to tell anything.
func (c *Client) Listen(ctx context.Context, filter Topic, receive func(*Notification)) (cancel func(), err error) {
	return c.ears.add(ctx, c, ear{filter, receive})
}

func notification(m *Message) (*Notification, error) {
	t, err := ParseTopic(strings.TrimPrefix(m.Topic, topicEvent+"/"))
	if err != nil {
		return nil, err
	}
	n := &Notification{Topic: t}
	return n, n.decode(m.Payload, m.ContentType == TypeCBOR)
}

// Observe has a thing tell of the changes of t, and tells receive of them, until cancel is called. attributes are those of LwM2M's notifications (pmin, pmax, gt ...), nil for
// the thing's own. What OBSERVE itself answers, the value now, is returned; receive is told as well what has changed
// while a gateway was away. When ctx ends, so does all of it, without a word to the gateway: the lease ends it there.
func (c *Client) Observe(ctx context.Context, t Topic, attributes map[string]any, receive func(*Notification)) (first *Response, cancel func(), err error) {
	heard := &latest{receive: receive}
	stop, err := c.Listen(ctx, t, heard.tell)
	if err != nil {
		return nil, nil, err
	}
	r := Request{Topic: t, Operation: Observe}
	if attributes != nil {
		r.Data = attributes
	}
	back := make(chan struct{}, 1) // from before the first time: a return is not to be missed
	c.returns.add(ctx, c, back)
	if first, err = c.Do(ctx, r); err != nil {
		c.returns.remove(back)
		stop()
		return first, nil, err
	}
	heard.begin(first.Objects)
	renewing, end := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		c.renew(renewing, r, heard, back)
		c.returns.remove(back)
		stop()
	})
	return first, func() {
		end()
		done.Wait()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = c.Do(late, Request{Topic: t, Operation: Cancel}) // else its lease ends it
	}, nil
}

// renew asks again and again for what is asked for once: an observation lives no longer than its lease.
func (c *Client) renew(ctx context.Context, r Request, heard *latest, back <-chan struct{}) {
	tick := time.NewTicker(c.config.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = c.Do(ctx, r) // a failure is mended by the next
		case <-back:
			c.ask(ctx, r, heard)
		}
	}
}

// ask asks once more after a gateway has come back, and tells what is so now.
func (c *Client) ask(ctx context.Context, r Request, heard *latest) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(c.returns.spread()):
	}
	if now, err := c.Do(ctx, r); err == nil {
		heard.missed(&Notification{Topic: r.Topic, Time: time.Now(), Objects: now.Objects})
	}
}
