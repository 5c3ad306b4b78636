package route

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"

	"github.com/edgehold/edgehold/lwm2m"
)

// Publisher sends items to MQTT 5 brokers. It keeps one connection to each, and connects anew when one was lost.
type Publisher struct {
	ClientID string // of the device at every broker
	// Brokers is what is known of some, by "host:port". A route's URI never holds it: any server can read that.
	Brokers map[string]Broker

	mu      sync.Mutex
	brokers map[string]*broker
}

// Broker is what lets a device in at a broker.
type Broker struct {
	User, Password string
	Roots          *x509.CertPool // who vouches for the broker, by mqtts alone; nil: whom this machine trusts
}

// broker is one broker's connection. Its lock is held while something is sent, so that a lane waits for one before it.
type broker struct {
	mu     sync.Mutex
	client *paho.Client
}

// maxBrokers bounds the connections: one route leads to one broker.
const maxBrokers = MaxRoutes

const (
	keepAlive  = 60 * time.Second
	answerTime = keepAlive // for the broker's word to one packet; what bounds a send is its context
)

// Send publishes an item with QoS 1 and waits for the broker's word.
func (p *Publisher) Send(ctx context.Context, to End, i Item) error {
	where := to.broker()
	b := p.broker(where)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := p.connect(ctx, b, to); err != nil {
		return fmt.Errorf("connect to %s: %w", where, err)
	}
	ctx, stop := within(ctx, b.client.Done())
	defer stop()
	_, err := b.client.Publish(ctx, &paho.Publish{QoS: 1, Topic: to.Name, Payload: i.Payload, Properties: &paho.PublishProperties{ContentType: contentType(i.Format)}})
	if err != nil {
		b.drop()
		return fmt.Errorf("publish to %s/%s: %w", where, to.Name, cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

var errEnded = errors.New("the connection has ended")

// within returns a context that ends with a connection, too: paho waits for the broker's word also when nobody can give it any more.
func within(ctx context.Context, ended <-chan struct{}) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ended:
			cancel(errEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

func contentType(f lwm2m.Format) string {
	if f == lwm2m.FormatText {
		return "text/plain"
	}
	return "application/octet-stream"
}

func (p *Publisher) broker(where string) *broker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.brokers == nil {
		p.brokers = map[string]*broker{}
	}
	b := p.brokers[where]
	if b == nil {
		if len(p.brokers) >= maxBrokers { // of routes that are gone
			for other, b := range p.brokers {
				b.close()
				delete(p.brokers, other)
				break
			}
		}
		b = &broker{}
		p.brokers[where] = b
	}
	return b
}

// broker is the URI of the broker that an end names.
func (e End) broker() string {
	if e.Secure {
		return "mqtts://" + e.Address
	}
	return "mqtt://" + e.Address
}

func (p *Publisher) connect(ctx context.Context, b *broker, to End) error {
	if b.client != nil {
		select {
		case <-b.client.Done():
			b.client = nil
		default:
			return nil
		}
	}
	known := p.Brokers[to.Address]
	conn, err := known.dial(ctx, to)
	if err != nil {
		return err
	}
	client := paho.NewClient(paho.ClientConfig{
		ClientID: p.ClientID, Conn: conn, Session: state.NewInMemory(), PacketTimeout: answerTime,
	})
	if _, err := client.Connect(ctx, known.greeting(p.ClientID)); err != nil {
		_ = conn.Close()
		return err
	}
	b.client = client
	return nil
}

// errInTheClear keeps a password from going where anybody can read it: whoever writes routes chooses the scheme.
var errInTheClear = errors.New("this device knows who vouches for the broker: write mqtts://")

func (k *Broker) dial(ctx context.Context, to End) (net.Conn, error) {
	switch {
	case to.Secure:
		d := tls.Dialer{Config: &tls.Config{RootCAs: k.Roots, MinVersion: tls.VersionTLS12}}
		conn, err := d.DialContext(ctx, "tcp", to.Address)
		if err != nil {
			return nil, err
		}
		return packets.NewThreadSafeConn(conn), nil // a packet is several writes, and a ping may come in between
	case k.Roots != nil:
		return nil, errInTheClear
	}
	return new(net.Dialer).DialContext(ctx, "tcp", to.Address)
}

func (k *Broker) greeting(id string) *paho.Connect {
	return &paho.Connect{
		ClientID: id, CleanStart: true, KeepAlive: uint16(keepAlive / time.Second),
		Username: k.User, UsernameFlag: k.User != "", Password: []byte(k.Password), PasswordFlag: k.Password != "",
	}
}

// drop gives up a connection that does not work.
func (b *broker) drop() {
	if b.client != nil {
		_ = b.client.Disconnect(&paho.Disconnect{})
		<-b.client.Done()
		b.client = nil
	}
}

func (b *broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

// Close ends all connections.
func (p *Publisher) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.brokers {
		b.close()
	}
	p.brokers = nil
}
