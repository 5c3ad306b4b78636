package mqtt

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// local is who listens to a Broker inside its process.
type local struct {
	broker *Broker
	mu     sync.Mutex
	subs   atomic.Pointer[[]*subscription] // copied when it changes: reading costs nothing
}

type subscription struct {
	filter  string
	owner   *inline
	receive func(*Message)
}

// inline is a Bus without a network.
type inline struct {
	name   string
	client *mochi.Client
	broker *Broker
}

// Bus is the broker for a part of this process, which may do there what it likes. It lives as long as the broker, and nobody else may connect by its name.
func (b *Broker) Bus(name string) Bus {
	b.inside.Store(name, true)
	return &inline{name: name, client: b.server.NewClient(nil, mochi.LocalListener, name, true), broker: b}
}

func (i *inline) Name() string { return i.name }

// Publish delivers within the call.
func (i *inline) Publish(_ context.Context, m *Message) error {
	virtual := i.broker.keeper.Load().keeps(i.client, m.Topic)
	if (virtual || !m.Retain) && !i.heard(m.Topic) || i.broker.strays(m) {
		return nil
	}
	pk := m.packet()
	if m.Retain && !virtual && i.broker.full(&pk) {
		return fmt.Errorf("publish to %s: the broker keeps as much as it may: %s", m.Topic, &i.broker.kept)
	}
	if err := i.broker.server.InjectPacket(i.client, pk); err != nil {
		return fmt.Errorf("publish to %s: %w", m.Topic, err)
	}
	return nil
}

// packet is m as mochi has it.
func (m *Message) packet() packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: m.Retain},
		TopicName:   m.Topic,
		Payload:     m.Payload,
		Properties: packets.Properties{
			ContentType: m.ContentType, ResponseTopic: m.ResponseTopic, CorrelationData: m.Correlation,
			MessageExpiryInterval: seconds(m.Expiry),
		},
	}
	if m.Pointer != "" {
		pk.Properties.User = []packets.UserProperty{{Key: pointerProperty, Val: m.Pointer}}
	}
	return pk
}

const pointerProperty = "sdf-pointer"

// setPointer takes no pointer that can't be one of a topic.
func (m *Message) setPointer(p string) {
	if len(p) <= maxTopic {
		m.Pointer = p
	}
}

// seconds is a message expiry interval: never 0, which would be for ever.
func seconds(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min((d+time.Second-1)/time.Second, 1<<31))
}

func (i *inline) Subscribe(_ context.Context, filter string, receive func(*Message)) (cancel func(), err error) {
	if !mochi.IsValidFilter(filter, false) {
		return nil, fmt.Errorf("subscribe to %q: not a topic filter", filter)
	}
	s := &subscription{filter: filter, owner: i, receive: receive}
	i.broker.local.change(func(subs []*subscription) []*subscription { return append(subs, s) })
	for topic := range i.broker.retained(filter) {
		if pk, ok := i.broker.server.Topics.Retained.Get(topic); ok {
			receive(message(&pk, nil))
		}
	}
	k := i.broker.keeper.Load()
	for topic, thing := range k.topics(filter) {
		if m := k.message(topic, thing); m != nil {
			receive(m)
		}
	}
	return func() {
		i.broker.local.change(func(subs []*subscription) []*subscription {
			for n := range subs {
				if subs[n] == s {
					return append(subs[:n], subs[n+1:]...)
				}
			}
			return subs
		})
	}, nil
}

func (l *local) change(f func([]*subscription) []*subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var subs []*subscription
	if old := l.subs.Load(); old != nil {
		subs = append(subs, *old...)
	}
	subs = f(subs)
	l.subs.Store(&subs)
}

// deliver hands a packet to those whose filters match, but not to who published it.
func (l *local) deliver(c *mochi.Client, pk *packets.Packet) {
	subs := l.subs.Load()
	if subs == nil {
		return
	}
	for _, s := range *subs {
		if s.owner.client == c || !matches(s.filter, pk.TopicName) {
			continue
		}
		s.receive(message(pk, c))
	}
}

// matches is MQTT v5, 4.7, for filters that are valid.
func matches(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && filter[0] != '$' {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		t, tRest, tMore := strings.Cut(topic, "/")
		switch {
		case f == "#":
			return true
		case f != "+" && f != t:
			return false
		case !fMore && !tMore:
			return true
		case !tMore:
			return fRest == "#"
		case !fMore:
			return false
		}
		filter, topic = fRest, tRest
	}
}

// message is a packet as a Message; its payload is shared.
func message(pk *packets.Packet, from *mochi.Client) *Message {
	m := &Message{
		Topic: pk.TopicName, Payload: pk.Payload, ContentType: pk.Properties.ContentType, ResponseTopic: pk.Properties.ResponseTopic,
		Correlation: pk.Properties.CorrelationData, Expiry: time.Duration(pk.Properties.MessageExpiryInterval) * time.Second, Retain: pk.FixedHeader.Retain,
	}
	if from != nil {
		m.From, m.User = from.ID, string(from.Properties.Username)
	}
	for _, p := range pk.Properties.User {
		if p.Key == pointerProperty {
			m.setPointer(p.Val)
		}
	}
	return m
}
