package dtls

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// entrance holds the handshakes under way, each known by the address of its peer, and bounds them: in all and for each
// network. Where they are full, what has waited longest for a peer's answer to the cookie makes room, so that a flood from
// forged addresses, which never answer, does not lock out who does.
type entrance struct {
	config *Config

	mu      sync.Mutex
	shakes  map[netip.AddrPort]*handshake
	sources map[netip.Prefix]int
	order   []*handshake // as they came; those that have left are skipped
	closed  bool
}

func newEntrance(config *Config) *entrance {
	return &entrance{config: config, shakes: map[netip.AddrPort]*handshake{}, sources: map[netip.Prefix]int{}}
}

func (e *entrance) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.shakes)
}

func (e *entrance) at(from netip.AddrPort) *handshake {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shakes[from]
}

// network is what counts as one source.
func network(addr netip.Addr) netip.Prefix {
	bits := 24
	if addr.Is6() {
		bits = 56
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// admit takes in a handshake in place of replaced, which may be nil, and reports whether there was room.
func (e *entrance) admit(h, replaced *handshake) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.shakes[h.remote] != replaced {
		return false
	}
	if replaced != nil {
		e.leave(replaced)
	}
	source := network(h.remote.Addr())
	if !h.dialled && e.sources[source] >= e.config.MaxPerSource && !e.evict(func(o *handshake) bool { return network(o.remote.Addr()) == source }) {
		return false
	}
	if len(e.shakes) >= e.config.MaxHandshakes && !e.evict(func(*handshake) bool { return true }) {
		return false
	}
	e.shakes[h.remote] = h
	e.sources[source]++
	e.order = append(e.order, h)
	return true
}

// evict ends the oldest handshake that qualifies and whose peer has not shown that it is where it says.
func (e *entrance) evict(qualifies func(*handshake) bool) bool {
	e.compact()
	for _, h := range e.order {
		if e.shakes[h.remote] == h && !h.dialled && !h.proven.Load() && qualifies(h) {
			e.leave(h)
			return true
		}
	}
	return false
}

// compact forgets those in the order that have left.
func (e *entrance) compact() {
	if len(e.order) <= 2*len(e.shakes) {
		return
	}
	kept := e.order[:0]
	for _, h := range e.order {
		if e.shakes[h.remote] == h {
			kept = append(kept, h)
		}
	}
	clear(e.order[len(kept):])
	e.order = kept
}

// leave takes a handshake out and ends it. Callers hold mu.
func (e *entrance) leave(h *handshake) {
	if e.shakes[h.remote] != h {
		return
	}
	delete(e.shakes, h.remote)
	source := network(h.remote.Addr())
	if e.sources[source]--; e.sources[source] == 0 {
		delete(e.sources, source)
	}
	h.finish()
	e.compact()
}

func (e *entrance) remove(h *handshake) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leave(h)
}

func (e *entrance) closeAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, h := range e.shakes {
		e.leave(h)
	}
}

// knock shows a datagram to the handshake with its sender, or begins one if it is a ClientHello. It reports whether one has
// seen it.
func (t *Transport) knock(datagram []byte, from netip.AddrPort) bool {
	h := t.entrance.at(from)
	random, isHello := clientHello(datagram)
	if h == nil && !isHello {
		return false
	}
	own := tolerate(bytes.Clone(datagram))
	if h != nil && h.feed(own, random, isHello, t.config.now()) {
		return true
	}
	return isHello && t.config.accepts() && t.accept(from, h, random, own)
}

// randomSize is of a hello's random, RFC 5246 section 7.4.1.2.
const randomSize = 32

// clientHello reports whether a datagram begins with the beginning of a ClientHello, and returns its random.
func clientHello(datagram []byte) (random [randomSize]byte, ok bool) {
	r, _, ok := nextRecord(datagram, idSize)
	if !ok || r.kind != typeHandshake || r.epoch != 0 || len(r.body) < handshakeHeaderSize+2+randomSize || r.body[0] != messageClientHello {
		return random, false
	}
	offset := uint32(r.body[6])<<16 | uint32(r.body[7])<<8 | uint32(r.body[8])
	if offset != 0 {
		return random, false
	}
	copy(random[:], r.body[handshakeHeaderSize+2:])
	return random, true
}

// tolerate gives records of the first epoch that carry a version which no standard knows, but which mbedTLS has sent, the one
// that a ClientHello may have. Nothing authenticates it there, and RFC 6347 section 4.2.1 wants servers to be lenient.
func tolerate(datagram []byte) []byte {
	for rest := datagram; ; {
		r, behind, ok := nextRecord(rest, idSize)
		if !ok {
			return datagram
		}
		if r.epoch == 0 && r.version == versionLegacy {
			binary.BigEndian.PutUint16(r.raw[1:], version10)
		}
		rest = behind
	}
}

// restartAfter is how old a handshake is before another ClientHello from its address replaces it though its own peer had
// answered: a device that was reset in the middle uses its port again.
const restartAfter = 2 * time.Second
