package dtls

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxWaiting = 16 // datagrams of a handshake that pion has not read
	maxEarly   = 8  // datagrams with protected records that came before we knew the keys

	// What a handshake takes, all repetitions included; the rest is lost. Pion collects fragments of up to 2 MB for each of them.
	maxHelloBytes = 8 << 10  // until the cookie is answered: whoever sends it may be anywhere
	maxShakeBytes = 64 << 10 // some certificates, a few times
)

// handshake is one under way: the socket that pion sees. It hands on what comes from the peer, keeps what the association
// will need of what goes by, and ends at once when it is cut.
type handshake struct {
	transport *Transport
	remote    netip.AddrPort
	id        ID
	random    [randomSize]byte // the client's
	begun     time.Time
	dialled   bool
	proven    atomic.Bool // the peer has answered our cookie, or is the one we dialled

	in   chan []byte
	gone chan struct{}

	mu        sync.Mutex
	taken     int           // bytes that came in
	refused   bool          // the peer said that it will not go on, before anything was authenticated
	expired   chan struct{} // closed while the read deadline has passed
	sealed    bool          // nothing goes out any more, and pion reads nothing
	left      bool          // nothing comes in any more
	protected [][]byte      // datagrams with protected records that came in
	final     [][]byte      // datagrams with protected records that went out last
	last      bool          // we are who speaks last: see finalFlight
	next      uint64        // behind the highest sequence number that went out protected
	identity  []byte        // what the PSK callback was asked for last
	principal string        // and answered
}

func newHandshake(t *Transport, remote netip.AddrPort, dialled bool) *handshake {
	h := &handshake{
		transport: t, remote: remote, id: newID(), dialled: dialled, last: dialled, begun: t.config.now(),
		in: make(chan []byte, maxWaiting), gone: make(chan struct{}), expired: make(chan struct{}),
	}
	h.proven.Store(dialled)
	return h
}

// feed shows a datagram to the handshake. False says that the handshake is over.
func (h *handshake) feed(datagram []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left {
		return false
	}
	limit := maxHelloBytes
	if h.proven.Load() {
		limit = maxShakeBytes
	}
	if h.taken+len(datagram) > limit {
		return true
	}
	h.taken += len(datagram)
	h.glance(datagram)
	select {
	case h.in <- datagram:
	default: // the peer repeats it
	}
	return true
}

// glance notes what a datagram of the peer's says about the handshake. Callers hold mu.
func (h *handshake) glance(datagram []byte) {
	for r, rest, ok := nextRecord(datagram, idSize); ok; r, rest, ok = nextRecord(rest, idSize) {
		switch {
		case r.epoch == epochProtected:
			if len(h.protected) < maxEarly {
				h.protected = append(h.protected, datagram)
			}
			return
		case r.kind == typeAlert && len(r.body) == 2 && r.body[0] == alertFatal:
			h.refused = h.refused || r.body[1] == alertHandshakeFailure || r.body[1] == alertAccessDenied
		}
	}
}

// seal ends what pion does: what it sends from now on goes nowhere, and it reads nothing.
func (h *handshake) seal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.sealed {
		h.sealed = true
		close(h.gone)
	}
}

// finish has nothing more come in, and returns the datagrams that the association has yet to see.
func (h *handshake) finish() [][]byte {
	h.seal()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = true
	early := h.protected
	h.protected = nil
	return early
}

// ReadFrom implements [net.PacketConn].
func (h *handshake) ReadFrom(b []byte) (int, net.Addr, error) {
	h.mu.Lock()
	expired := h.expired
	h.mu.Unlock()
	select {
	case datagram := <-h.in:
		return copy(b, datagram), udpAddr(h.remote), nil
	case <-h.gone:
		return 0, nil, net.ErrClosed
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo implements [net.PacketConn].
func (h *handshake) WriteTo(b []byte, _ net.Addr) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sealed {
		return len(b), nil
	}
	h.observe(b)
	h.transport.write(b, h.remote)
	return len(b), nil
}

// observe notes what a datagram of ours says about the handshake.
func (h *handshake) observe(datagram []byte) {
	protected := false
	for rest := datagram; len(rest) >= headerSize; {
		if rest[0] == typeCID {
			// How long the peer's connection id is stands in its hello alone, so where the next record begins is not known. There is
			// none: what is protected ends a flight. Pion's own counter is looked at besides.
			protected = true
			h.next = max(h.next, sequenceOf(rest)+1)
			break
		}
		r, behind, ok := nextRecord(rest, 0)
		if !ok {
			break
		}
		rest = behind
		switch {
		case r.epoch == epochProtected:
			protected = true
			h.next = max(h.next, r.sequence+1)
		case r.kind == typeHandshake && len(r.body) > 0:
			h.observeMessage(r.body[0])
		}
	}
	if protected {
		h.final = [][]byte{bytes.Clone(datagram)}
	}
}

func (h *handshake) observeMessage(message byte) {
	switch message {
	case messageServerHello:
		h.proven.Store(true)
	case messageServerHelloDone:
		h.last = true
	case messageClientKeyExchange:
		h.last = false
	}
}

// Close implements [net.PacketConn].
func (h *handshake) Close() error {
	h.seal()
	return nil
}

// LocalAddr implements [net.PacketConn].
func (h *handshake) LocalAddr() net.Addr { return &net.UDPAddr{} }

// SetDeadline implements [net.PacketConn].
func (h *handshake) SetDeadline(t time.Time) error { return h.SetReadDeadline(t) }

// SetReadDeadline implements [net.PacketConn]. Pion's only use is to interrupt a read, by a time long ago, and to take that back.
func (h *handshake) SetReadDeadline(t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.expired:
		if t.IsZero() {
			h.expired = make(chan struct{})
		}
	default:
		if !t.IsZero() && !t.After(time.Now()) {
			close(h.expired)
		}
	}
	return nil
}

// SetWriteDeadline implements [net.PacketConn]. Writing does not block.
func (h *handshake) SetWriteDeadline(time.Time) error { return nil }

func udpAddr(addr netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(addr) }

// accept begins a handshake with who sent a ClientHello, if there is room.
func (t *Transport) accept(from netip.AddrPort, random [randomSize]byte, hello []byte) bool {
	if answer, ok := t.gate.admit(from, hello, t.config.now()); !ok {
		t.counters.refused.Add(1)
		if answer != nil {
			t.write(answer, from)
		}
		return false
	}
	h := newHandshake(t, from, false)
	h.random = random
	conn, err := t.server(h)
	if err != nil {
		t.config.Logger.Error("a DTLS handshake could not begin", "error", err)
		return false
	}
	if !t.enter(h) {
		t.counters.refused.Add(1)
		return false
	}
	h.feed(hello)
	go func() {
		defer t.shakes.Done()
		_, _ = t.shake(context.Background(), h, conn)
	}()
	return true
}

// enter admits a handshake if the transport is open, and has Serve wait for it.
func (t *Transport) enter(h *handshake) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || !t.entrance.admit(h) {
		return false
	}
	t.shakes.Add(1)
	return true
}

// shake runs a handshake to its end, and puts the association that comes of it in place.
func (t *Transport) shake(ctx context.Context, h *handshake, conn conn) (*association, error) {
	ctx, cancel := context.WithTimeout(ctx, t.config.HandshakeTimeout)
	defer cancel()
	defer t.entrance.remove(h)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		t.counters.failed.Add(1)
		t.failures.Do(func() { // a wrong key is found out here, and the device is told nothing
			t.config.Logger.Warn("a DTLS handshake failed: see the address, and the key and the identity of the device", "peer", h.remote, "error", err)
		})
		return nil, err
	}
	h.seal() // before its state is read: nothing is sent with a sequence number that we don't know of
	a, err := t.establish(h, conn)
	_ = conn.Close()
	if err != nil {
		t.counters.failed.Add(1)
		t.config.Logger.Warn("a DTLS handshake was refused at its end", "peer", h.remote, "error", err)
		return nil, err
	}
	t.counters.handshakes.Add(1)
	t.entrance.settle(h)
	for _, old := range t.table.add(a, t.config.now(), t.config.MaxPerPrincipal, t.config.MaxAssociations) {
		t.gone(old, errReplaced)
	}
	if t.saver != nil {
		t.saver.add(a)
	}
	for _, datagram := range h.finish() { // it may have begun to talk before we were ready
		t.protected(datagram, h.remote, true)
	}
	return a, nil
}

var errReplaced = errors.New("a newer association has taken its place")
