package dtls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Transport carries CoAP over DTLS on one socket. It implements [coap.Transport], [coap.Dialer] and [coap.Closer].
//
// Its peers have no address: [coap.Peer].Association is the [ID], and Identity the principal. Such a Peer stays the same
// when the device moves, and, with [Config].States, when the process is another.
type Transport struct {
	config   Config
	socket   Socket
	table    *table
	gate     *gate
	entrance *entrance
	saver    *saver // nil without States
	sessions *sessions
	counters counters
	failures rate.Sometimes // told of

	mu       sync.Mutex
	receiver coap.Receiver // nil unless it serves
	shakes   sync.WaitGroup
	closed   bool
}

var (
	_ coap.Transport = (*Transport)(nil)
	_ coap.Dialer    = (*Transport)(nil)
	_ coap.Closer    = (*Transport)(nil)
)

// counters count what has happened since the start.
type counters struct {
	handshakes, failed, refused, replayed, unprotected, strangers, moved atomic.Uint64
}

// Stats says how a Transport is doing.
type Stats struct {
	Active, Asleep     int    // associations
	Handshaking        int    // handshakes under way
	Handshakes, Failed uint64 // handshakes that were completed; that were not
	Refused            uint64 // ClientHellos that found no room
	Replayed           uint64 // records that had been accepted before or were too old
	Unprotected        uint64 // records that could not be authenticated
	Strangers          uint64 // records of associations that nobody knows
	Moved              uint64 // times that a peer's address changed
	NotSaved           uint64 // attempts to save states that failed
	Dropped            uint64 // messages lost because no reservation could be made durable
}

// New returns a Transport on a socket, with the associations that States has. It owns the socket once Serve is called.
func New(socket Socket, config Config) (*Transport, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	t := &Transport{config: config.withDefaults(), socket: socket, table: newTable(), sessions: newSessions(maxSessions), failures: rate.Sometimes{Interval: 10 * time.Second}}
	t.gate, t.entrance = newGate(t.config.HandshakeRate), newEntrance(&t.config)
	if config.States == nil {
		return t, nil
	}
	t.saver = newSaver(t)
	if err := config.States.Load(t.restore); err != nil {
		return nil, fmt.Errorf("load DTLS associations: %w", err)
	}
	return t, nil
}

func (t *Transport) restore(s State) error {
	a, err := parseState(s.Bytes)
	if err != nil || a.id != s.ID {
		t.config.Logger.Warn("a stored DTLS association is dropped", "id", s.ID, "error", err)
		t.saver.add(&association{id: s.ID, removed: true}) // its device will shake hands again
		return nil
	}
	for _, old := range t.table.restore(a, t.config.now()) {
		t.saver.add(old)
	}
	return nil
}

// Name implements [coap.Transport].
func (t *Transport) Name() string { return t.config.Name }

// maxMessage is what fits a record in an Ethernet frame, IPv6 and UDP with all that protection adds.
const maxMessage = 1500 - 40 - 8 - headerSize - idSize - explicitIV - 1 - 16

// Traits implements [coap.Transport].
func (t *Transport) Traits() coap.Traits { return coap.Traits{Verified: true, MaxMessage: maxMessage} }

// Stats returns counts.
func (t *Transport) Stats() Stats {
	c := &t.counters
	s := Stats{
		Handshaking: t.entrance.len(), Handshakes: c.handshakes.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		Replayed: c.replayed.Load(), Unprotected: c.unprotected.Load(), Strangers: c.strangers.Load(), Moved: c.moved.Load(),
	}
	s.Active, s.Asleep = t.table.counts()
	if t.saver != nil {
		s.NotSaved, s.Dropped = t.saver.failures.Load(), t.saver.dropped.Load()
	}
	return s
}

// Address returns where a peer is now, for people.
func (t *Transport) Address(p coap.Peer) (netip.AddrPort, bool) {
	a, addr := t.table.find(ID(p.Association))
	return addr, a != nil
}

func (t *Transport) peer(a *association) coap.Peer {
	return coap.Peer{Transport: t.config.Name, Association: uint64(a.id), Identity: a.principal}
}

// Serve implements [coap.Transport]. When it returns, associations with States are saved, and others have been told that they are over.
func (t *Transport) Serve(ctx context.Context, receiver coap.Receiver) error {
	t.mu.Lock()
	t.receiver = receiver
	t.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { t.sweep(ctx) })
	if t.saver != nil {
		group.Go(func() { t.saver.run(ctx) })
	}
	group.Go(func() {
		<-ctx.Done()
		t.shut()
		_ = t.socket.Close()
	})
	err := t.read()
	cancel()
	group.Wait()
	t.shakes.Wait()
	return err
}

// shut ends handshakes, and associations that nothing keeps.
func (t *Transport) shut() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.entrance.closeAll()
	if t.saver != nil {
		return
	}
	for _, a := range t.table.all() {
		t.end(a, true, errClosed)
	}
}

var errClosed = errors.New("the transport is closed")

// Send implements [coap.Transport].
func (t *Transport) Send(p coap.Peer, message []byte) error {
	a, addr := t.table.find(ID(p.Association))
	if a == nil || a.principal != p.Identity {
		return fmt.Errorf("send to %s: its association is gone: %w", p, coap.ErrUnreachable)
	}
	if len(message) > maxMessage {
		return fmt.Errorf("send %d bytes to %s: a record takes %d at most", len(message), p, maxMessage)
	}
	err := t.seal(a, addr, typeApplication, message)
	switch {
	case errors.Is(err, errReserved):
		t.saver.hold(a, message, true)
		return nil
	case errors.Is(err, errExhausted):
		t.end(a, false, err)
		return fmt.Errorf("send to %s: %w: %w", p, err, coap.ErrUnreachable)
	}
	return err
}

// Owed implements [coap.Resumer].
func (t *Transport) Owed(p coap.Peer) int {
	a, _ := t.table.find(ID(p.Association))
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.primed {
		return 0
	}
	a.primed = true
	return int(a.ahead)
}

// prime is called when a record was refused. Who replays one after a restart has us do once what we would do anyway.
func (t *Transport) prime(a *association) {
	a.mu.Lock()
	owes := a.ahead > 0 && !a.primed
	a.mu.Unlock()
	t.mu.Lock()
	receiver, ok := t.receiver.(coap.Primer)
	t.mu.Unlock()
	if owes && ok {
		receiver.Prime(t.peer(a))
	}
}

// seal sends one record.
func (t *Transport) seal(a *association, addr netip.AddrPort, kind byte, payload []byte) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	b, reserve, err := a.seal((*buffer)[:0], kind, payload)
	if reserve && t.saver != nil {
		t.saver.add(a)
	}
	if err != nil {
		return err
	}
	*buffer = b
	t.table.note(a, t.config.now(), false, addr)
	t.write(b, addr)
	return nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1500); return &b }}

// write hands a datagram to the network, which may lose it.
func (t *Transport) write(datagram []byte, to netip.AddrPort) {
	if _, err := t.socket.WriteToUDPAddrPort(datagram, to); err != nil && !errors.Is(err, net.ErrClosed) {
		t.config.Logger.Debug("a DTLS datagram was not sent", "to", to, "error", err)
	}
}

// Revoke ends all associations of a principal whose credential is not good any more, and returns how many there were. New
// ones are [Config].PSK's and the authorities' to refuse.
func (t *Transport) Revoke(principal string) int {
	list := t.table.of(principal)
	for _, a := range list {
		t.end(a, true, errRevoked)
	}
	return len(list)
}

// Review ends the associations that keep refuses, and returns whose they were. Keep is told the peer, and whether a pre-shared key stands for it, not a certificate:
// with those of an earlier process, whose credentials may be gone since.
func (t *Transport) Review(keep func(p coap.Peer, keyed bool) bool) (ended []coap.Peer) {
	for _, a := range t.table.all() {
		if p := t.peer(a); !keep(p, a.expires == 0) {
			t.end(a, true, errRevoked)
			ended = append(ended, p)
		}
	}
	return ended
}

var errRevoked = errors.New("the peer's credential was revoked")

// ClosePeer implements [coap.Closer]: it tells the peer, and forgets the association.
func (t *Transport) ClosePeer(p coap.Peer) error {
	if a, _ := t.table.find(ID(p.Association)); a != nil {
		t.end(a, true, errClosed)
	}
	return nil
}

// end forgets an association, and tells its peer with a close_notify if told to.
func (t *Transport) end(a *association, tell bool, why error) {
	if tell {
		if _, addr := t.table.find(a.id); addr.IsValid() {
			_ = t.seal(a, addr, typeAlert, []byte{alertWarning, alertCloseNotify})
		}
	}
	if t.table.remove(a) {
		t.gone(a, why)
	}
}

// gone does what is due when an association has been forgotten.
func (t *Transport) gone(a *association, why error) {
	if t.saver != nil {
		t.saver.add(a)
	}
	t.mu.Lock()
	receiver := t.receiver
	t.mu.Unlock()
	if receiver != nil {
		receiver.Unreachable(t.peer(a), nil, fmt.Errorf("%w: %w", why, coap.ErrUnreachable))
	}
}

// sweep puts associations to sleep that have been quiet, until ctx is done.
func (t *Transport) sweep(ctx context.Context) {
	tick := time.NewTicker(max(t.config.Idle/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.hibernate(t.config.now().Add(-t.config.Idle))
		}
	}
}

func (t *Transport) hibernate(before time.Time) {
	for _, a := range t.table.quiet(before) {
		a.sleep()
		if t.saver != nil {
			t.saver.add(a)
		}
	}
}
