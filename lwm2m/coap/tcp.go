package coap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/internal/pause"
)

// TCPConfig says where a transport of RFC 8323 listens, and what its connections may cost.
type TCPConfig struct {
	Name      string   // "tcp" if empty, "tls" with TLS
	Addresses []string // "host:port" to listen at; none only dials

	TLS *tls.Config // nil is without; Dial uses it too
	// Identity names the principal of a TLS connection, or refuses it. Nil names nobody.
	Identity func(tls.ConnectionState) (string, error)

	Connections int           // 16,384 at a time; whose network has the most loses one to who has fewer
	MaxMessage  int           // 64 KiB: the greatest message that is taken
	Queue       int           // 64: messages that wait for a slow reader, whose connection is closed after that
	Patience    time.Duration // 10 s: for a handshake, for the rest of a message that began, and for a write
}

// TCP is a Transport over connections, with or without TLS (RFC 8323). Each is an association; it sends and answers
// the signals itself, but for the answer to a Ping.
type TCP struct {
	config    TCPConfig
	listeners []net.Listener
	serving   chan struct{} // closed when receiver is set
	receiver  Receiver
	ended     sync.WaitGroup

	mu      sync.Mutex
	open    map[uint64]*connection
	sources map[netip.Prefix]int // how many of open come from there
	last    uint64
	closed  bool
}

// ListenTCP opens the listeners. They accept when an endpoint serves the transport.
func ListenTCP(ctx context.Context, config TCPConfig) (*TCP, error) {
	name := "tcp"
	if config.TLS != nil {
		name = "tls"
	}
	config.Name = cmp.Or(config.Name, name)
	config.Connections = cmp.Or(config.Connections, 1<<14)
	config.MaxMessage = cmp.Or(config.MaxMessage, 64<<10)
	config.Queue = cmp.Or(config.Queue, 64)
	config.Patience = cmp.Or(config.Patience, 10*time.Second)
	t := &TCP{config: config, serving: make(chan struct{}), open: make(map[uint64]*connection), sources: make(map[netip.Prefix]int)}
	for _, address := range config.Addresses {
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for CoAP over TCP on %s: %w", address, err), t.Close())
		}
		t.listeners = append(t.listeners, l)
	}
	return t, nil
}

// Name is the transport's.
func (t *TCP) Name() string { return t.config.Name }

// Traits are those of connections.
func (t *TCP) Traits() Traits {
	return Traits{Reliable: true, Verified: true, MaxMessage: maxUDPMessage}
}

// Addresses are those that the listeners have, in the order of the configuration.
func (t *TCP) Addresses() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range t.listeners {
		all = append(all, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return all
}

// Serve accepts and reads connections until ctx is done; then it closes all and waits for their end.
func (t *TCP) Serve(ctx context.Context, receiver Receiver) error {
	t.receiver = receiver
	close(t.serving)
	failed := make(chan error, len(t.listeners))
	for _, l := range t.listeners {
		t.ended.Go(func() { failed <- t.accept(ctx, l) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	_ = t.Close()
	t.ended.Wait()
	return err
}

// Close closes listeners and connections.
func (t *TCP) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var problems []error
	for _, l := range t.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, err)
		}
	}
	for _, c := range t.open {
		c.end()
	}
	return errors.Join(problems...)
}

// accept takes connections. One that has no room is closed at once.
func (t *TCP) accept(ctx context.Context, l net.Listener) error {
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case err != nil:
			var temporary net.Error
			if errors.As(err, &temporary) { // out of descriptors, aborted before it was taken
				if !pause.For(ctx, 50*time.Millisecond) {
					return nil
				}
				continue
			}
			return fmt.Errorf("accept: %w", err)
		}
		if t.config.TLS != nil {
			conn = tls.Server(conn, t.config.TLS)
		}
		c := t.register(conn)
		if c == nil {
			_ = conn.Close()
		}
	}
}

// register starts a connection's reader and writer; nil if there is no room for it.
func (t *TCP) register(conn net.Conn) *connection {
	source := networkOf(conn.RemoteAddr())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.open) >= t.config.Connections && !t.makeRoom(source) {
		return nil
	}
	t.last++
	c := &connection{
		transport: t, conn: conn, source: source, out: make(chan []byte, t.config.Queue), done: make(chan struct{}), ready: make(chan struct{}),
		peer: Peer{Transport: t.config.Name, Association: t.last, Remote: addressOfConn(conn.RemoteAddr()), Local: addressOfConn(conn.LocalAddr())},
	}
	c.greatest.Store(baseMaxMessage)
	c.heard()
	t.open[t.last] = c
	t.sources[source]++
	t.ended.Go(c.serve)
	return c
}

// makeRoom ends the connection that is silent for longest of the network that has the most of them, if that are more than source
// would have: so nobody who merely connects can keep others out. The lock is held.
func (t *TCP) makeRoom(source netip.Prefix) bool {
	greedy, most := netip.Prefix{}, t.sources[source]+1
	for other, n := range t.sources {
		if n > most {
			greedy, most = other, n
		}
	}
	if most == t.sources[source]+1 {
		return false
	}
	var silent *connection
	for _, c := range t.open {
		if c.source == greedy && (silent == nil || c.last.Load() < silent.last.Load()) {
			silent = c
		}
	}
	t.forget(silent)
	silent.end()
	return true
}

// forget takes a connection out of the tables. The lock is held.
func (t *TCP) forget(c *connection) {
	if t.open[c.peer.Association] != c {
		return
	}
	delete(t.open, c.peer.Association)
	if t.sources[c.source]--; t.sources[c.source] == 0 {
		delete(t.sources, c.source)
	}
}

// networkOf is what counts as one source of connections.
func networkOf(a net.Addr) netip.Prefix {
	address := addressOfConn(a).Addr()
	bits := 56
	if address.Is4() {
		bits = 24
	}
	network, _ := address.Prefix(bits) // of no address it is none
	return network
}

func addressOfConn(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		p := tcp.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// Dial connects to address. The connection lives until it is closed by either side, or Serve ends; before Serve Dial waits for it.
func (t *TCP) Dial(ctx context.Context, address string) (Peer, error) {
	fail := func(err error) (Peer, error) { return Peer{}, fmt.Errorf("connect to %s: %w", address, err) }
	select {
	case <-t.serving:
	case <-ctx.Done():
		return fail(context.Cause(ctx))
	}
	dialer := net.Dialer{Timeout: t.config.Patience}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	if t.config.TLS != nil {
		config := t.config.TLS.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(address)
		}
		conn = tls.Client(conn, config)
	}
	c := t.register(conn)
	if c == nil {
		_ = conn.Close()
		return fail(ErrBusy)
	}
	select {
	case <-c.ready:
		return c.peer, nil
	case <-c.done:
		return fail(ErrUnreachable)
	case <-ctx.Done():
		c.end()
		return fail(context.Cause(ctx))
	}
}

// Send queues a message for the peer's connection.
func (t *TCP) Send(p Peer, message []byte) error {
	t.mu.Lock()
	c := t.open[p.Association]
	t.mu.Unlock()
	if c == nil {
		return fmt.Errorf("connection %d is closed: %w", p.Association, ErrUnreachable)
	}
	return c.send(message)
}

// ClosePeer tells the peer that its connection ends, and ends it.
func (t *TCP) ClosePeer(p Peer) error {
	t.mu.Lock()
	c := t.open[p.Association]
	t.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.say(&Message{Code: signalRelease})
}
