package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// BrokerConfig sets up a Broker. Its zero value is a broker that only this process can reach.
type BrokerConfig struct {
	Listeners []Listener
	Access    []User // who may do what; none: everybody everything, which only listeners that the network does not reach accept
	Limits    Limits
	Logger    *slog.Logger // slog.DiscardHandler
}

// Listener is a place where clients connect.
type Listener struct {
	// Address is "mqtt://HOST:PORT", "mqtts://HOST:PORT" (with TLS), or "unix:///PATH".
	Address string
	TLS     *tls.Config // for mqtts; with ClientAuth and ClientCAs, a certificate's common name is the user
	User    string      // who connects here without credentials, for unix sockets, whose mode is what protects them
	Mode    uint32      // of a unix socket; 0660
}

// Limits bound what clients can make a Broker keep. Their zero values are the defaults.
type Limits struct {
	PacketBytes   uint32        // a packet; 8 MiB, which a workload's package in base64 fits into
	PendingBytes  int           // waiting to be read by one client; three packets. One that is slower is cut off
	AllPending    int           // bytes that wait for all of them; 256 MiB. Beyond, who has more than an equal share is cut off
	Stall         time.Duration // how long a client may read nothing of what waits; 30 s, then it is cut off
	Clients       int           // connected, or with a session; 1,024
	Subscriptions int           // of one client; 1,024
	Inflight      uint16        // messages of quality of service 1 and 2 that one client has not acknowledged; 128
	InflightBytes int           // of them; two packets
	Retained      int           // topics with a retained message; 262,144
	RetainedBytes int           // of them; 256 MiB
	SessionExpiry time.Duration // how long a client that is gone is waited for; 2 min
	Handshake     time.Duration // until a client's CONNECT; 10 s
	KeepAlive     time.Duration // longest silence of a client; 10 min
}

// packetBytes is the default for both ends.
const packetBytes = 8 << 20

func (l *Limits) defaults() {
	l.PacketBytes = cmp.Or(l.PacketBytes, packetBytes)
	l.PendingBytes = cmp.Or(l.PendingBytes, 3*int(l.PacketBytes))
	l.AllPending = cmp.Or(l.AllPending, 256<<20)
	l.Stall = cmp.Or(l.Stall, 30*time.Second)
	l.Clients = cmp.Or(l.Clients, 1024)
	l.Subscriptions = cmp.Or(l.Subscriptions, 1024)
	l.Inflight = cmp.Or(l.Inflight, 128)
	l.InflightBytes = cmp.Or(l.InflightBytes, 2*int(l.PacketBytes))
	l.Retained = cmp.Or(l.Retained, 256<<10)
	l.RetainedBytes = cmp.Or(l.RetainedBytes, 256<<20)
	l.SessionExpiry = cmp.Or(l.SessionExpiry, 2*time.Minute)
	l.Handshake = cmp.Or(l.Handshake, 10*time.Second)
	l.KeepAlive = cmp.Or(l.KeepAlive, 10*time.Minute)
}

// Broker is a broker of MQTT v5 (and 3.1.1, for those who only publish or subscribe) inside this process.
type Broker struct {
	config BrokerConfig
	server *mochi.Server
	access access
	open   []net.Listener
	conns  conns
	local  local
	keeper atomic.Pointer[keeper] // of announcements; nil: they are stored
	warned complaints
	kept   kept
	inside sync.Map // names of those in this process

	sessions sync.Mutex // judges clients that connect one after the other
}

// NewBroker opens the listeners, so that an address in use is an error at once; Run serves them.
func NewBroker(config BrokerConfig) (*Broker, error) {
	config.Limits.defaults()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broker{config: config, conns: conns{limits: config.Limits, open: map[*outbox]struct{}{}}, kept: kept{bytes: map[string]int{}}}
	b.local.broker = b
	if err := b.access.init(config); err != nil {
		return nil, err
	}
	b.server = mochi.New(&mochi.Options{Capabilities: capabilities(config.Limits), Logger: quiet(config.Logger), SysTopicResendInterval: 3600})
	if err := b.server.AddHook(&hook{broker: b}, nil); err != nil {
		return nil, fmt.Errorf("set up broker: %w", err)
	}
	for i, l := range config.Listeners {
		if err := b.listen(fmt.Sprintf("listener%d", i), l); err != nil {
			b.closeListeners()
			return nil, err
		}
	}
	return b, nil
}

func capabilities(l Limits) *mochi.Capabilities {
	c := mochi.NewDefaultServerCapabilities()
	c.MaximumMessageExpiryInterval = 0 // retained messages stay; mochi would drop what is older than a day
	c.MaximumClientWritesPending = 1024
	c.MaximumSessionExpiryInterval = uint32(l.SessionExpiry / time.Second)
	c.MaximumPacketSize = l.PacketBytes
	c.MaximumInflight = l.Inflight
	c.ReceiveMaximum = l.Inflight
	c.TopicAliasMaximum = 0
	c.SharedSubAvailable = 0
	c.Compatibilities.NoInheritedPropertiesOnAck = true // an acknowledgement that waits would keep the properties of what it acknowledges
	return c
}

func (b *Broker) listen(id string, l Listener) error {
	inner, err := open(l)
	if err != nil {
		return err
	}
	b.open = append(b.open, inner)
	outer := &acceptor{Listener: inner, user: l.User, conns: &b.conns}
	return b.server.AddListener(listeners.NewNet(id, outer))
}

func (b *Broker) closeListeners() {
	for _, l := range b.open {
		_ = l.Close()
	}
}

// Addresses are where clients connect, in the order of the configuration.
func (b *Broker) Addresses() []net.Addr {
	var a []net.Addr
	for _, l := range b.open {
		a = append(a, l.Addr())
	}
	return a
}

// crowded says whether nobody else may connect.
func (b *Broker) crowded() bool { return b.server.Clients.Len() >= b.config.Limits.Clients }

// Run serves clients until ctx ends, then cuts them off. What is retained is gone with the Broker.
func (b *Broker) Run(ctx context.Context) error {
	// mochi's Serve would start a loop that copies all retained messages, and stops the world for statistics, every second.
	b.server.Listeners.ServeAll(b.server.EstablishConnection)
	defer b.close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			b.expire(now)
		}
	}
}

// close tells clients that it ends, and waits for the end of all connections. mochi's Close takes a lock twice, which never returns if a client comes or goes between.
func (b *Broker) close() {
	b.closeListeners()
	for _, c := range b.server.Clients.GetAll() {
		_ = b.server.DisconnectClient(c, packets.ErrServerShuttingDown)
	}
	b.conns.close()
	b.server.Listeners.ClientsWg.Wait()
}

// expire ends the sessions of clients that are gone for too long, and drops what waits for them beyond its expiry.
func (b *Broker) expire(now time.Time) {
	for id, c := range b.server.Clients.GetAll() {
		c.ClearExpiredInflights(now.Unix(), int64(b.config.Limits.SessionExpiry/time.Second))
		gone := c.StopTime()
		if gone == 0 {
			continue
		}
		limit := min(b.config.Limits.SessionExpiry, sessionExpiry(c))
		if now.Sub(time.Unix(gone, 0)) > limit {
			c.ClearInflights()
			b.server.UnsubscribeClient(c)
			b.server.Clients.Delete(id)
		}
	}
}

func sessionExpiry(c *mochi.Client) time.Duration {
	if c.Properties.ProtocolVersion < 5 && !c.Properties.Clean {
		return time.Hour // it knows no expiry; the limit is less
	}
	return time.Duration(c.Properties.Props.SessionExpiryInterval) * time.Second
}

// quiet lets mochi tell of what goes wrong only to those who debug: at its level each client that breaks off is a warning.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(debugOnly{l.Handler()}) }

type debugOnly struct{ slog.Handler }

func (h debugOnly) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h debugOnly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h debugOnly) WithAttrs(a []slog.Attr) slog.Handler { return debugOnly{h.Handler.WithAttrs(a)} }
func (h debugOnly) WithGroup(g string) slog.Handler      { return debugOnly{h.Handler.WithGroup(g)} }
