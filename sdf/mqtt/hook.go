package mqtt

import (
	"bytes"
	"crypto/tls"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is where mochi asks the Broker: who may connect, what they may publish and hear, and what is kept for them.
type hook struct {
	mochi.HookBase
	broker *Broker
	first  sync.Map // *mochi.Client -> []packets.Subscription: filters whose retained messages it shall get, from OnSubscribe to OnPacketProcessed
}

func (h *hook) ID() string { return "edgehold" }

func (h *hook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnPublished, mochi.OnRetainMessage, mochi.OnQosPublish, mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnPacketProcessed}, b) >= 0
}

// OnConnectAuthenticate judges a client once: who it is, whether its session is its own, and whether its will may ever be published, since mochi does not
// check that when the time has come.
func (h *hook) OnConnectAuthenticate(c *mochi.Client, pk packets.Packet) bool {
	u := h.identify(c, pk)
	if u == nil {
		return false
	}
	will := c.Properties.Will
	if will.Flag != 0 && (!u.publishes(will.TopicName) || will.Retain && !u.Gateway && !h.broker.access.none()) {
		return false
	}
	c.Properties.Will.WillDelayInterval = 0 // mochi's loop, which does not run, would send it later
	if k := c.State.Keepalive; k == 0 || time.Duration(k)*time.Second > h.broker.config.Limits.KeepAlive {
		c.State.Keepalive, c.State.ServerKeepalive = uint16(h.broker.config.Limits.KeepAlive/time.Second), true
	}
	c.Properties.Username = []byte(u.Name)
	if !h.admit(c) {
		return false
	}
	if o, ok := c.Net.Conn.(*outbox); ok {
		o.known.Store(true)
	}
	return true
}

// admit lets nobody take over the session of another user, nor the last place twice.
func (h *hook) admit(c *mochi.Client) bool {
	h.broker.sessions.Lock()
	defer h.broker.sessions.Unlock()
	if old, there := h.broker.server.Clients.Get(c.ID); there {
		return bytes.Equal(old.Properties.Username, c.Properties.Username)
	}
	return !h.broker.crowded() && len(c.ID) <= 256
}

func (h *hook) identify(c *mochi.Client, pk packets.Packet) *account {
	a := &h.broker.access
	if a.none() {
		return everybody
	}
	if pk.Connect.UsernameFlag {
		return a.password(string(pk.Connect.Username), string(pk.Connect.Password))
	}
	o, ok := c.Net.Conn.(*outbox)
	if !ok {
		return nil
	}
	if t, ok := o.Conn.(*tls.Conn); ok {
		if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
			return a.users[chains[0][0].Subject.CommonName]
		}
	}
	return a.users[o.user]
}

// account is whom OnConnectAuthenticate found; nil for who was taken from the configuration since.
func (h *hook) account(c *mochi.Client) *account {
	if h.broker.access.none() {
		return everybody
	}
	return h.broker.access.users[string(c.Properties.Username)]
}

func (a *access) none() bool { return len(a.users) == 0 }

// OnACLCheck is asked for what a client publishes, for each message that would be delivered to it, and for each filter that it subscribes to; the
// last may be anything, as deliveries are judged one by one.
func (h *hook) OnACLCheck(c *mochi.Client, topic string, write bool) bool {
	u := h.account(c)
	switch {
	case u == nil:
		return false
	case write:
		if u.publishes(topic) {
			return true
		}
		h.broker.warn(c, &packets.Packet{TopicName: topic})
		return false
	case strings.ContainsAny(topic, "+#"):
		return !strings.HasPrefix(topic, "$")
	}
	return u.hears(topic, c.ID, h.broker.another)
}

// OnPublish refuses what may not be said or kept.
func (h *hook) OnPublish(c *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if !c.Net.Inline {
		if h.broker.repliesElsewhere(pk.Properties.ResponseTopic, c.ID) || pk.FixedHeader.Retain && !h.retains(c) {
			h.broker.warn(c, &pk)
			return pk, refused(&pk, packets.ErrNotAuthorized)
		}
	}
	if pk.FixedHeader.Retain && len(pk.Payload) > 0 && !h.broker.keeper.Load().keeps(c, pk.TopicName) && h.broker.full(pk.TopicName) {
		return pk, refused(&pk, packets.ErrQuotaExceeded)
	}
	return pk, nil
}

// OnRetainMessage takes out again what a keeper hands out. That it is retained has to be in the packet until it is delivered: clients may want to know
// (Retain As Published, MQTT v5, 3.8.3.1).
func (h *hook) OnRetainMessage(c *mochi.Client, pk packets.Packet, _ int64) {
	if h.broker.keeper.Load().keeps(c, pk.TopicName) && len(pk.Payload) > 0 {
		h.broker.server.Topics.RetainMessage(packets.Packet{TopicName: pk.TopicName})
	}
}

// OnPublished hands what was published to those who listen in this process. It is called when what is to be retained is: who begins to listen meanwhile
// gets it once or twice, and never not at all.
func (h *hook) OnPublished(c *mochi.Client, pk packets.Packet) { h.broker.local.deliver(c, &pk) }

// refused has mochi acknowledge with the reason, where there is an acknowledgement, and drop the packet silently elsewhere: what it does not
// drop silently it would go on with.
func refused(pk *packets.Packet, reason packets.Code) error {
	if pk.FixedHeader.Qos > 0 && pk.ProtocolVersion == 5 {
		return reason
	}
	return packets.ErrRejectPacket
}

// full says whether there is no room for another retained message, topic's.
func (b *Broker) full(topic string) bool {
	kept := b.server.Topics.Retained
	if kept.Len() < b.config.Limits.Retained {
		return false
	}
	_, again := kept.Get(topic)
	return !again
}

// retains: only gateways leave something behind.
func (h *hook) retains(c *mochi.Client) bool {
	u := h.account(c)
	return u != nil && (u.Gateway || h.broker.access.none())
}

// repliesElsewhere says whether topic is where a client other than id listens for its answers: nobody has any sent there.
func (b *Broker) repliesElsewhere(topic, id string) bool {
	rest, ok := strings.CutPrefix(topic, topicReply+"/")
	if !ok {
		return false
	}
	own, _, _ := strings.Cut(rest, "/")
	name, err := segment(own, false)
	return err != nil || b.another(name, id)
}

// another says whether name is a client's, and not id.
func (b *Broker) another(name, id string) bool {
	_, there := b.server.Clients.Get(name)
	return there && name != id
}

// warn says, once a minute and client, what was published that went nowhere. Of quality of service 1 the client is told, too.
func (b *Broker) warn(c *mochi.Client, pk *packets.Packet) {
	if b.warned.now(c.ID, time.Now()) {
		b.config.Logger.Warn("a client may not publish this, or not have its answer sent there", "client", c.ID, "user", string(c.Properties.Username), "topic", pk.TopicName,
			"response_topic", pk.Properties.ResponseTopic, "retain", pk.FixedHeader.Retain)
	}
}

// rarely lets something be said once a minute.
type rarely struct{ last atomic.Int64 }

func (r *rarely) now(t time.Time) bool {
	last := r.last.Load()
	return t.Unix()-last >= 60 && r.last.CompareAndSwap(last, t.Unix())
}

// complaints let something be said of each client once a minute, and of maxComplaints clients a minute.
type complaints struct {
	mu    sync.Mutex
	since time.Time
	of    map[string]bool
}

const maxComplaints = 64

func (c *complaints) now(client string, t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Sub(c.since) >= time.Minute {
		c.since, c.of = t, map[string]bool{}
	}
	if c.of[client] || len(c.of) == maxComplaints {
		return false
	}
	c.of[client] = true
	return true
}

// OnSubscribe drops filters beyond what one client may have, and takes retained messages upon itself.
func (h *hook) OnSubscribe(c *mochi.Client, pk packets.Packet) packets.Packet {
	limit := h.broker.config.Limits.Subscriptions
	var first []packets.Subscription
	for i := range pk.Filters {
		f := &pk.Filters[i]
		if c.State.Subscriptions.Len()+i >= limit {
			f.Filter = "" // refused as no filter at all
			continue
		}
		_, again := c.State.Subscriptions.Get(f.Filter)
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
		if kept, ok := h.broker.server.Topics.Retained.Get(topic); ok && !retained(c, o, f, kept.Copy(false)) {
			return
		}
	}
	k := h.broker.keeper.Load()
	for topic, thing := range k.topics(f.Filter) {
		if !h.OnACLCheck(c, topic, false) {
			continue
		}
		o.room() // before it is asked for: what waits is not to be old
		if m := k.message(topic, thing); m != nil && !retained(c, o, f, m.packet()) {
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
func retained(c *mochi.Client, o *outbox, f packets.Subscription, pk packets.Packet) bool {
	o.room()
	pk.ProtocolVersion = c.Properties.ProtocolVersion
	pk.FixedHeader.Retain, pk.FixedHeader.Qos = true, 0
	if f.Identifier > 0 {
		pk.Properties.SubscriptionIdentifier = []int{f.Identifier}
	}
	return c.WritePacket(pk) == nil
}

// OnQosPublish is told of each message that will wait for a client's acknowledgement. What goes beyond the bound in bytes does not wait.
func (h *hook) OnQosPublish(c *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	n := 0
	for _, waiting := range c.State.Inflight.GetAll(false) {
		n += len(waiting.Payload)
	}
	if n > h.broker.config.Limits.InflightBytes {
		c.State.Inflight.Delete(pk.PacketID)
	}
}
