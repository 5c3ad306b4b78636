package route

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"

	"github.com/edgehold/edgehold/lwm2m"
)

// Publisher sends items to MQTT 5 brokers. It keeps one connection to each, and connects anew when one was lost.
type Publisher struct {
	ClientID string // of the device at every broker

	mu      sync.Mutex
	brokers map[string]*broker
}

// broker is one broker's connection. Its lock is held while something is sent, so that a lane waits for one before it.
type broker struct {
	mu     sync.Mutex
	client *paho.Client
}

// maxBrokers bounds the connections: one route leads to one broker.
const maxBrokers = MaxRoutes

const keepAlive = 60 * time.Second

// Send publishes an item with QoS 1 and waits for the broker's word.
func (p *Publisher) Send(ctx context.Context, to End, i Item) error {
	b := p.broker(to.Address)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.connect(ctx, to.Address, p.ClientID); err != nil {
		return fmt.Errorf("connect to mqtt://%s: %w", to.Address, err)
	}
	_, err := b.client.Publish(ctx, &paho.Publish{QoS: 1, Topic: to.Name, Payload: i.Payload, Properties: &paho.PublishProperties{ContentType: contentType(i.Format)}})
	if err != nil {
		b.drop()
		return fmt.Errorf("publish to mqtt://%s/%s: %w", to.Address, to.Name, err)
	}
	return nil
}

func contentType(f lwm2m.Format) string {
	if f == lwm2m.FormatText {
		return "text/plain"
	}
	return "application/octet-stream"
}

func (p *Publisher) broker(address string) *broker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.brokers == nil {
		p.brokers = map[string]*broker{}
	}
	b := p.brokers[address]
	if b == nil {
		if len(p.brokers) >= maxBrokers { // of routes that are gone
			for other, b := range p.brokers {
				b.close()
				delete(p.brokers, other)
				break
			}
		}
		b = &broker{}
		p.brokers[address] = b
	}
	return b
}

func (b *broker) connect(ctx context.Context, address, id string) error {
	if b.client != nil {
		select {
		case <-b.client.Done():
			b.client = nil
		default:
			return nil
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	client := paho.NewClient(paho.ClientConfig{ClientID: id, Conn: conn, Session: state.NewInMemory()})
	if _, err := client.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: uint16(keepAlive / time.Second)}); err != nil {
		_ = conn.Close()
		return err
	}
	b.client = client
	return nil
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
