package mqtt

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// OnRetainMessage takes out again what a keeper hands out. That it is retained has to be in the packet until it is delivered: clients may want to know
// (Retain As Published, MQTT v5, 3.8.3.1).
func (h *hook) OnRetainMessage(c *mochi.Client, pk packets.Packet, _ int64) {
	if len(pk.Payload) > 0 && h.broker.keeper.Load().keeps(c, pk.TopicName) {
		pk.Payload = nil
		h.broker.server.Topics.RetainMessage(packets.Packet{TopicName: pk.TopicName})
	}
	h.broker.kept.note(&pk)
}

// kept is how much is retained.
type kept struct {
	mu    sync.Mutex
	bytes map[string]int // by topic
	total int
}

// note is told of what was retained, or taken back.
func (k *kept) note(pk *packets.Packet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.total -= k.bytes[pk.TopicName]
	if len(pk.Payload) == 0 {
		delete(k.bytes, pk.TopicName)
		return
	}
	n := weight(pk)
	k.bytes[pk.TopicName] = n
	k.total += n
}

// room says whether pk may be retained, too.
func (k *kept) room(pk *packets.Packet, l *Limits) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, again := k.bytes[pk.TopicName]
	return (again || len(k.bytes) < l.Retained) && k.total-before+weight(pk) <= l.RetainedBytes
}

func (k *kept) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprintf("%d topics, %d bytes", len(k.bytes), k.total)
}

// weight is about the memory that a message takes while it is kept.
func weight(pk *packets.Packet) int {
	p := &pk.Properties
	n := 256 + len(pk.TopicName) + len(pk.Payload) + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	return n + userBytes(p.User)
}

func userBytes(user []packets.UserProperty) (n int) {
	for _, u := range user {
		n += 32 + len(u.Key) + len(u.Val)
	}
	return n
}

// full says whether there is no room for pk among what is retained.
func (b *Broker) full(pk *packets.Packet) bool {
	return pk.FixedHeader.Retain && len(pk.Payload) > 0 && !b.kept.room(pk, &b.config.Limits)
}

// OnSubscribe drops filters beyond what one client may have, and those that are unwieldy, and takes retained messages upon itself.
func (h *hook) OnSubscribe(c *mochi.Client, pk packets.Packet) packets.Packet {
	room := h.broker.config.Limits.Subscriptions - c.State.Subscriptions.Len()
	var first []packets.Subscription
	for i := range pk.Filters {
		f := &pk.Filters[i]
		_, again := c.State.Subscriptions.Get(f.Filter)
		if !again {
			room--
		}
		if !again && room < 0 || unwieldy(f.Filter) {
			f.Filter = "" // refused as no filter at all
			continue
		}
		if f.RetainHandling == 0 || f.RetainHandling == 1 && !again {
			first = append(first, *f)
		}
		f.RetainHandling = 2 // for mochi: none
	}
	h.first.Store(c, first)
	return pk
}

// OnSubscribed leaves those filters that were granted.
func (h *hook) OnSubscribed(c *mochi.Client, pk packets.Packet, codes []byte) {
	granted := map[string]bool{}
	for i := range codes {
		granted[pk.Filters[i].Filter] = codes[i] < packets.ErrUnspecifiedError.Code
	}
	if first, ok := h.first.Load(c); ok {
		h.first.Store(c, slices.DeleteFunc(first.([]packets.Subscription), func(f packets.Subscription) bool { return !granted[f.Filter] }))
	}
}

// OnPacketProcessed gives a client the retained messages at the pace at which it reads, in the goroutine that serves only this client, when the
// acknowledgement of its subscription is written: clients wait for that only so long. mochi would put them into a queue that has to have room for all
// of them, and drop the others.
func (h *hook) OnPacketProcessed(c *mochi.Client, pk packets.Packet, err error) {
	if pk.FixedHeader.Type != packets.Subscribe {
		return
	}
	first, ok := h.first.LoadAndDelete(c)
	o, connected := c.Net.Conn.(*outbox)
	if !ok || !connected || err != nil {
		return
	}
	for _, f := range first.([]packets.Subscription) {
		h.retainedTo(c, o, f)
	}
}

func (h *hook) retainedTo(c *mochi.Client, o *outbox, f packets.Subscription) {
	for topic := range h.broker.retained(f.Filter) {
		if !h.OnACLCheck(c, topic, false) {
			continue
		}
		o.room() // before it is looked up: what waits is not to be old
		if kept, ok := h.broker.server.Topics.Retained.Get(topic); ok && !retained(c, f, kept.Copy(false)) {
			return
		}
	}
	k := h.broker.keeper.Load()
	for topic, thing := range k.topics(f.Filter) {
		if !h.OnACLCheck(c, topic, false) {
			continue
		}
		o.room() // before it is asked for: what waits is not to be old
		if m := k.message(topic, thing); m != nil && !retained(c, f, m.packet()) {
			return
		}
	}
}

// retained iterates over the topics that match filter and have a retained message. mochi's own look-up reads its tree without the lock that is held
// by who retains something.
func (b *Broker) retained(filter string) iter.Seq[string] {
	return func(yield func(string) bool) {
		kept := b.server.Topics.Retained
		if !strings.ContainsAny(filter, "+#") {
			if _, ok := kept.Get(filter); ok {
				yield(filter)
			}
			return
		}
		for topic := range kept.GetAll() {
			if matches(filter, topic) && !yield(topic) {
				return
			}
		}
	}
}

// retained writes what was kept to a client; false if that has failed.
func retained(c *mochi.Client, f packets.Subscription, pk packets.Packet) bool {
	pk.ProtocolVersion = c.Properties.ProtocolVersion
	pk.FixedHeader.Retain, pk.FixedHeader.Qos = true, 0
	if f.Identifier > 0 {
		pk.Properties.SubscriptionIdentifier = []int{f.Identifier}
	}
	return c.WritePacket(pk) == nil
}
