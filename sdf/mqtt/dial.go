package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	mochi "github.com/mochi-mqtt/server/v2"
)

// DialConfig says how to reach a broker. Only Address is needed.
type DialConfig struct {
	Address  string // "mqtt://HOST:PORT", "mqtts://HOST:PORT", "unix:///PATH", "ws://..." or "wss://..."
	Name     string // client identifier; made from randomness if empty
	User     string
	Password string
	TLS      *tls.Config
	Gateway  string                  // name of the gateway that this connection is of: when it breaks the broker says so, on gateway/<name>, and it says itself that it is back
	Retry    bool                    // go on if the first attempt fails
	Up       func(context.Context)   // called after each connection, subscriptions made: the time to announce again. nil: nothing
	Down     func(error)             // called when the connection is lost, and for each attempt that fails. nil: nothing; it may not block
	Backoff  func(int) time.Duration // before attempt n of a row; nil: none before the first, then 100 ms doubled up to 10 s

	PacketBytes uint32 // of a packet that is taken from the broker; 8 MiB. One that sends more is cut off, over a websocket only asked not to
}

// Connection is a Bus at a broker outside this process, remade whenever it breaks.
type Connection struct {
	config  DialConfig
	manager *autopaho.ConnectionManager
	ctx     context.Context
	cancel  context.CancelFunc
	up      chan struct{} // closed after the first connection
	failed  chan error    // why the first was refused
	first   sync.Once
	work    sync.WaitGroup

	// of the connection that is or was; the manager's goroutine has them but for farewell
	farewell atomic.Pointer[error] // why the broker ended the connection, if it said so
	since    time.Time             // when the connection was made
	brief    int                   // connections in a row that did not last

	mu      sync.Mutex
	filters map[string][]*func(*Message)
	online  bool // what was said last of the gateway that this is the connection of
}

// Dial connects, and returns when it is connected. Close ends the connection; so does the end of ctx only until Dial returns.
func Dial(ctx context.Context, config DialConfig) (*Connection, error) {
	u, err := url.Parse(config.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to broker %q: %w", config.Address, err)
	}
	config.Name = cmp.Or(config.Name, "edgehold-"+randomName())
	config.PacketBytes = cmp.Or(config.PacketBytes, packetBytes)
	if config.Backoff == nil {
		config.Backoff = backoff
	}
	c := &Connection{config: config, up: make(chan struct{}), failed: make(chan error, 1), filters: map[string][]*func(*Message){}}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if c.manager, err = autopaho.NewConnection(c.ctx, c.settings(u)); err != nil {
		c.cancel()
		return nil, fmt.Errorf("connect to broker %s: %w", u.Redacted(), err)
	}
	if err := c.await(ctx); err != nil {
		c.Close()
		return nil, unreachable(u.Redacted(), err)
	}
	return c, nil
}

func unreachable(address string, err error) error {
	hint := "see that the broker runs there, and that its address is right"
	denied, unverified := (*autopaho.ConnackError)(nil), (*tls.CertificateVerificationError)(nil)
	switch {
	case errors.As(err, &denied):
		hint = "check user and password, or the certificate, and what the broker's access rules say of them"
	case errors.Is(err, fs.ErrPermission) && strings.HasPrefix(address, "unix:"):
		hint = "the socket is for its owner and its group: run it as root, or join that group"
	case errors.As(err, &unverified):
		hint = "name the certificates that vouch for the broker's (its CA), and the host as its certificate has it"
	}
	return &Error{Code: "broker.unreachable", Message: "connect to broker " + address, Why: err.Error(), Hint: hint, cause: err}
}

func (c *Connection) await(ctx context.Context) error {
	select {
	case <-c.up:
		return nil
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Connection) settings(u *url.URL) autopaho.ClientConfig {
	s := autopaho.ClientConfig{
		ServerUrls: []*url.URL{u}, TlsCfg: c.config.TLS, KeepAlive: 30, CleanStartOnInitialConnection: true,
		ReconnectBackoff: c.wait, ConnectTimeout: connectTimeout,
		ConnectUsername: c.config.User, ConnectPassword: []byte(c.config.Password),
		OnConnectionUp: func(*autopaho.ConnectionManager, *paho.Connack) {
			c.since = time.Now()
			c.farewell.Store(nil)
			c.work.Go(c.connected)
		},
		OnConnectionDown: func() bool { c.broke(); return true },
		OnConnectError:   c.refused,
		ClientConfig: paho.ClientConfig{
			ClientID:           c.config.Name,
			OnPublishReceived:  []func(paho.PublishReceived) (bool, error){c.received},
			OnServerDisconnect: c.dismissed,
		},
	}
	s.ConnectPacketBuilder = func(p *paho.Connect, _ *url.URL) (*paho.Connect, error) {
		if p.Properties == nil {
			p.Properties = &paho.ConnectProperties{RequestProblemInfo: true} // the default; without it mochi leaves user properties out
		}
		p.Properties.MaximumPacketSize = &c.config.PacketBytes
		return p, nil
	}
	if u.Scheme != "ws" && u.Scheme != "wss" {
		s.AttemptConnection = c.attempt
	}
	if c.config.Gateway != "" {
		will := Presence{Name: c.config.Gateway}.message()
		s.WillMessage = &paho.WillMessage{Topic: will.Topic, Payload: will.Payload, QoS: 1, Retain: true}
	}
	return s
}

func (c *Connection) attempt(ctx context.Context, _ autopaho.ClientConfig, u *url.URL) (net.Conn, error) {
	conn, err := connect(ctx, u, c.config.TLS)
	if err != nil {
		return nil, err
	}
	return checked(conn, int(c.config.PacketBytes)), nil
}

// takenOver is the reason code of MQTT v5, 4.13, for a session that another client has.
const takenOver = 0x8e

func (c *Connection) dismissed(d *paho.Disconnect) {
	err := fmt.Errorf("the broker ended the connection with reason 0x%02x", d.ReasonCode)
	if d.ReasonCode == takenOver {
		err = fmt.Errorf("another client has connected as %q: give each a name of its own", c.config.Name)
	}
	c.farewell.Store(&err)
}

func (c *Connection) broke() {
	if c.brief++; time.Since(c.since) > lasting {
		c.brief = 0
	}
	err := errors.New("the connection to the broker broke")
	if why := c.farewell.Swap(nil); why != nil {
		err = *why
	}
	c.down(err)
}

// lasting is how long a connection has to last to be no part of a row of brief ones, such as two clients of one name take from each other.
const lasting = time.Minute

// wait is how long the next attempt waits: for those before it that failed, and for connections before it that did not last.
func (c *Connection) wait(attempt int) time.Duration {
	return c.config.Backoff(max(attempt, c.brief-1))
}

func backoff(attempt int) time.Duration {
	if attempt == 0 {
		return 0
	}
	return min(100*time.Millisecond<<min(attempt-1, 10), 10*time.Second)
}

// connected runs after each connection, beside the goroutine that reads.
func (c *Connection) connected() {
	c.mu.Lock()
	filters := make([]string, 0, len(c.filters))
	for f := range c.filters {
		filters = append(filters, f)
	}
	c.mu.Unlock()
	for _, f := range filters {
		if err := c.subscribe(c.ctx, f); err != nil {
			c.down(fmt.Errorf("subscribe to %s again: %w", f, err))
		}
	}
	c.isBack()
	c.first.Do(func() { close(c.up) })
	if c.config.Up != nil {
		c.config.Up(c.ctx)
	}
}

// isBack says that the gateway is there after a break, if it was before: the will has said otherwise, or the broker has forgotten it. It is there since
// now: nobody has heard what was told meanwhile.
func (c *Connection) isBack() {
	c.mu.Lock()
	online := c.online
	c.mu.Unlock()
	if !online {
		return
	}
	p := Presence{Name: c.config.Gateway, Online: true, Time: time.Now()}
	if err := c.Publish(c.ctx, p.message()); err != nil {
		c.down(fmt.Errorf("tell that gateway %s is back: %w", p.Name, err))
	}
}

func (c *Connection) refused(err error) {
	c.down(err)
	if !c.config.Retry {
		select {
		case c.failed <- err:
		default:
		}
	}
}

func (c *Connection) down(err error) {
	if c.config.Down != nil {
		c.config.Down(err)
	}
}

// Close ends the connection, and waits until nothing of it runs. The broker does not publish the will then.
func (c *Connection) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.manager.Disconnect(ctx)
	c.cancel()
	c.work.Wait()
}

// Name is the client identifier.
func (c *Connection) Name() string { return c.config.Name }

// Publish sends m; what is to be retained is acknowledged by the broker, so that it lasts. While the connection is broken it fails.
func (c *Connection) Publish(ctx context.Context, m *Message) error {
	p := &paho.Publish{Topic: m.Topic, Payload: m.Payload, Retain: m.Retain, Properties: &paho.PublishProperties{
		ContentType: m.ContentType, ResponseTopic: m.ResponseTopic, CorrelationData: m.Correlation,
	}}
	if m.Expiry > 0 {
		s := seconds(m.Expiry)
		p.Properties.MessageExpiry = &s
	}
	if m.Pointer != "" {
		p.Properties.User.Add(pointerProperty, m.Pointer)
	}
	if m.Retain {
		p.QoS = 1
		c.note(m)
	}
	if _, err := c.manager.Publish(ctx, p); err != nil {
		return fmt.Errorf("publish to %s: %w", m.Topic, err)
	}
	return nil
}

// note keeps what is said of the gateway that this is the connection of: it is to be said again after each break.
func (c *Connection) note(m *Message) {
	if c.config.Gateway == "" || m.Topic != under(topicGateway, c.config.Gateway) {
		return
	}
	var p Presence
	_ = json.Unmarshal(m.Payload, &p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.online = p.Online
}

// Subscribe keeps filter subscribed through reconnections.
func (c *Connection) Subscribe(ctx context.Context, filter string, receive func(*Message)) (cancel func(), err error) {
	if !mochi.IsValidFilter(filter, false) {
		return nil, fmt.Errorf("subscribe to %q: not a topic filter", filter) // mosquitto would cut the connection
	}
	entry := &receive
	c.mu.Lock()
	c.filters[filter] = append(c.filters[filter], entry)
	c.mu.Unlock()
	cancel = func() { c.unsubscribe(filter, entry) }
	if err := c.subscribe(ctx, filter); err != nil {
		cancel()
		return nil, fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	return cancel, nil
}

// ErrRefused is in the error of a subscription that the broker does not grant.
var ErrRefused = errors.New("the broker refuses it")

func (c *Connection) subscribe(ctx context.Context, filter string) error {
	ack, err := c.manager.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1, NoLocal: true}}})
	if err != nil && ack != nil && len(ack.Reasons) == 1 {
		return fmt.Errorf("%w with reason 0x%02x", ErrRefused, ack.Reasons[0]) // MQTT v5, 3.9.3
	}
	return err
}

func (c *Connection) unsubscribe(filter string, entry *func(*Message)) {
	c.mu.Lock()
	kept := c.filters[filter][:0:0]
	for _, e := range c.filters[filter] {
		if e != entry {
			kept = append(kept, e)
		}
	}
	c.filters[filter] = kept
	if len(kept) == 0 {
		delete(c.filters, filter)
	}
	c.mu.Unlock()
	if len(kept) > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
	defer cancel()
	_, _ = c.manager.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{filter}})
}

// received is called by the goroutine that reads.
func (c *Connection) received(p paho.PublishReceived) (bool, error) {
	m := received(p.Packet)
	c.mu.Lock()
	var to []*func(*Message)
	for filter, entries := range c.filters {
		if matches(filter, m.Topic) {
			to = append(to, entries...)
		}
	}
	c.mu.Unlock()
	for _, f := range to {
		(*f)(m)
	}
	return true, nil
}

func received(p *paho.Publish) *Message {
	m := &Message{Topic: p.Topic, Payload: p.Payload, Retain: p.Retain}
	if q := p.Properties; q != nil {
		m.ContentType, m.ResponseTopic, m.Correlation = q.ContentType, q.ResponseTopic, q.CorrelationData
		m.setPointer(q.User.Get(pointerProperty))
		if q.MessageExpiry != nil {
			m.Expiry = time.Duration(*q.MessageExpiry) * time.Second
		}
	}
	return m
}
