package mqtt

import (
	"bytes"
	"crypto/tls"
	"strings"
	"sync"
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
	return bytes.IndexByte([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPacketRead, mochi.OnPublish, mochi.OnPublished, mochi.OnRetainMessage, mochi.OnQosPublish, mochi.OnWill, mochi.OnWillSent, mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnPacketProcessed}, b) >= 0
}

// OnConnectAuthenticate judges a client once: who it is, whether its session is its own, and whether its will may ever be published, since mochi does not
// check that when the time has come.
func (h *hook) OnConnectAuthenticate(c *mochi.Client, pk packets.Packet) bool {
	u := h.identify(c, pk)
	if u == nil {
		return false
	}
	if w := &c.Properties.Will; w.Flag != 0 && !u.leaves(w) {
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

// leaves says whether u may have w published. mochi would take a wildcard for a topic here.
func (u *account) leaves(w *mochi.Will) bool {
	return mochi.IsValidFilter(w.TopicName, true) && !unwieldy(w.TopicName) && userBytes(w.User) <= maxUserBytes && u.publishes(w.TopicName) && (u.Gateway || !w.Retain)
}

// OnWill lets no will be retained beyond what may be.
func (h *hook) OnWill(_ *mochi.Client, w mochi.Will) (mochi.Will, error) {
	pk := packets.Packet{TopicName: w.TopicName, Payload: w.Payload, Properties: packets.Properties{User: w.User}}
	pk.FixedHeader.Retain = w.Retain
	w.Retain = w.Retain && !h.broker.full(&pk)
	return w, nil
}

// OnWillSent is OnPublished of a will.
func (h *hook) OnWillSent(c *mochi.Client, pk packets.Packet) { h.broker.local.deliver(c, &pk) }

// admit lets nobody take over the session of another user, nor a name of this process, nor the last place twice.
func (h *hook) admit(c *mochi.Client) bool {
	h.broker.sessions.Lock()
	defer h.broker.sessions.Unlock()
	if _, taken := h.broker.inside.Load(c.ID); taken {
		return false
	}
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
		if unwieldy(pk.TopicName) || userBytes(pk.Properties.User) > maxUserBytes {
			return pk, refused(&pk, packets.ErrQuotaExceeded)
		}
	}
	if !h.broker.keeper.Load().keeps(c, pk.TopicName) && h.broker.full(&pk) {
		return pk, refused(&pk, packets.ErrQuotaExceeded)
	}
	return pk, nil
}

// OnPublished hands what was published to those who listen in this process. It is called when what is to be retained is: who begins to listen meanwhile
// gets it once or twice, and never not at all.
func (h *hook) OnPublished(c *mochi.Client, pk packets.Packet) { h.broker.local.deliver(c, &pk) }

// Bounds of what a client may have copied to each that listens, or kept in the tree of topics, where a level is some 500 bytes.
const (
	maxLevels    = 16
	maxUserBytes = 16 << 10
)

// unwieldy says whether a topic or a filter is longer or deeper than any of use.
func unwieldy(topic string) bool {
	return len(topic) > maxTopic || strings.Count(topic, "/") >= maxLevels
}

// refused has mochi acknowledge with the reason, where there is an acknowledgement, and drop the packet silently elsewhere: what it does not
// drop silently it would go on with.
func refused(pk *packets.Packet, reason packets.Code) error {
	if pk.FixedHeader.Qos > 0 && pk.ProtocolVersion == 5 {
		return reason
	}
	return packets.ErrRejectPacket
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
	_, inside := b.inside.Load(name)
	return (there || inside) && name != id
}

// strays says whether an answer would go to another user than its asker: who has connected by the name of a client that is gone.
func (b *Broker) strays(m *Message) bool {
	rest, ok := strings.CutPrefix(m.Topic, topicReply+"/")
	if !ok || m.To == "" {
		return false
	}
	own, _, _ := strings.Cut(rest, "/")
	name, err := segment(own, false)
	c, there := b.server.Clients.Get(name)
	return err == nil && (!there || string(c.Properties.Username) != m.To)
}

// warn says, once a minute and client, what was published that went nowhere. Of quality of service 1 the client is told, too.
func (b *Broker) warn(c *mochi.Client, pk *packets.Packet) {
	if b.warned.now(c.ID, time.Now()) {
		b.config.Logger.Warn("a client may not publish this, or not have its answer sent there", "client", c.ID, "user", string(c.Properties.Username), "topic", pk.TopicName,
			"response_topic", pk.Properties.ResponseTopic, "retain", pk.FixedHeader.Retain)
	}
}

// OnQosPublish is told of each message that will wait for a client's acknowledgement. What goes beyond the bound in bytes does not wait.
func (h *hook) OnQosPublish(c *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	n := 0
	for _, waiting := range c.State.Inflight.GetAll(false) {
		n += weight(&waiting)
	}
	if n > h.broker.config.Limits.InflightBytes {
		c.State.Inflight.Delete(pk.PacketID)
	}
}

// OnPacketRead gives a client back its right to a message (Receive Maximum) when it acknowledges one that mochi has forgotten: what had to wait for such
// a right is forgotten as soon as it is sent, and what OnQosPublish does not let wait, too. Without, each would take one for good.
func (h *hook) OnPacketRead(c *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type == packets.Puback {
		if _, waits := c.State.Inflight.Get(pk.PacketID); !waits {
			c.State.Inflight.IncreaseSendQuota()
		}
	}
	return pk, nil
}
