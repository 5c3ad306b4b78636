package dtls

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// entrance holds the handshakes under way, each known by the address of its peer and the random of its ClientHello, and bounds
// them: in all, for each network, and for each address. Where they are full, what has waited longest for a peer's answer to the
// cookie makes room, so that a flood from forged addresses, which never answer, does not lock out who does.
type entrance struct {
	config *Config

	mu      sync.Mutex
	shakes  map[netip.AddrPort][]*handshake // the one that a ClientHello was for last stands last
	count   int
	sources map[netip.Prefix]int
	order   []*handshake // as they came; those that have left are skipped
	closed  bool
}

const (
	// maxPerAddress is how many handshakes one address may have: a device that is reset in the middle uses its port again, and what
	// it had sent before may come later than what it sends now.
	maxPerAddress = 4
	// restartAfter is how old a handshake is before another one of its address may push it out though its peer had answered.
	restartAfter = 2 * time.Second
)

func newEntrance(config *Config) *entrance {
	return &entrance{config: config, shakes: map[netip.AddrPort][]*handshake{}, sources: map[netip.Prefix]int{}}
}

func (e *entrance) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}

// addressee returns the handshake that a datagram from an address is for: one that we began gets all; a ClientHello is for the
// handshake that it began, or for none; a fragment of one follows its beginning; and the rest is for the handshake whose cookie was
// answered last.
func (e *entrance) addressee(from netip.AddrPort, g greeting) *handshake {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.shakes[from]
	switch {
	case len(list) == 0:
		return nil
	case list[0].dialled:
		return list[0]
	case g.isHello:
		i := slices.IndexFunc(list, func(h *handshake) bool { return h.random == g.random })
		if i < 0 {
			return nil
		}
		h := list[i]
		e.shakes[from] = append(slices.Delete(list, i, i+1), h)
		return h
	case g.isFragment:
		return list[len(list)-1]
	}
	for _, h := range slices.Backward(list) {
		if h.proven.Load() {
			return h
		}
	}
	return list[len(list)-1]
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

// admit takes in a handshake, and reports whether there was room. Who dials has its peer's address for itself.
func (e *entrance) admit(h *handshake) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	here := e.shakes[h.remote]
	if e.closed || len(here) > 0 && (h.dialled || here[0].dialled) {
		return false
	}
	if len(here) >= maxPerAddress && !e.evictOf(here, h.begun) {
		return false
	}
	source := network(h.remote.Addr())
	if !h.dialled && e.sources[source] >= e.config.MaxPerSource && !e.evict(func(o *handshake) bool { return network(o.remote.Addr()) == source }) {
		return false
	}
	if e.count >= e.config.MaxHandshakes && !e.evict(func(*handshake) bool { return true }) {
		return false
	}
	e.shakes[h.remote] = append(e.shakes[h.remote], h)
	e.count++
	e.sources[source]++
	e.order = append(e.order, h)
	return true
}

// evict ends the oldest handshake that qualifies and whose peer has not shown that it is where it says.
func (e *entrance) evict(qualifies func(*handshake) bool) bool {
	e.compact()
	for _, h := range e.order {
		if e.has(h) && !h.dialled && !h.proven.Load() && qualifies(h) {
			e.leave(h)
			return true
		}
	}
	return false
}

// evictOf ends one of an address's handshakes: the oldest that has proven nothing, or else the oldest if that had its time.
func (e *entrance) evictOf(list []*handshake, now time.Time) bool {
	older := func(a, b *handshake) int { return a.begun.Compare(b.begun) }
	waiting := slices.DeleteFunc(slices.Clone(list), func(h *handshake) bool { return h.proven.Load() })
	if len(waiting) > 0 {
		e.leave(slices.MinFunc(waiting, older))
		return true
	}
	oldest := slices.MinFunc(list, older)
	if now.Sub(oldest.begun) <= restartAfter {
		return false
	}
	e.leave(oldest)
	return true
}

func (e *entrance) has(h *handshake) bool { return slices.Contains(e.shakes[h.remote], h) }

// compact forgets those in the order that have left.
func (e *entrance) compact() {
	if len(e.order) <= 2*e.count {
		return
	}
	e.order = slices.DeleteFunc(e.order, func(h *handshake) bool { return !e.has(h) })
}

// leave takes a handshake out and ends it. Callers hold mu.
func (e *entrance) leave(h *handshake) {
	i := slices.Index(e.shakes[h.remote], h)
	if i < 0 {
		return
	}
	if list := slices.Delete(e.shakes[h.remote], i, i+1); len(list) > 0 {
		e.shakes[h.remote] = list
	} else {
		delete(e.shakes, h.remote)
	}
	e.count--
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

// settle ends what the address of an established handshake had begun before: its peer has proven who it is, and goes on with this one.
func (e *entrance) settle(established *handshake) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range slices.Clone(e.shakes[established.remote]) {
		if h.begun.Before(established.begun) {
			e.leave(h)
		}
	}
}

func (e *entrance) closeAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, list := range e.shakes {
		for _, h := range slices.Clone(list) {
			e.leave(h)
		}
	}
}

// knock shows a datagram to the handshake that it is for, or begins one if it is a ClientHello. It reports whether one has
// seen it.
func (t *Transport) knock(datagram []byte, from netip.AddrPort) bool {
	g := greetingOf(datagram)
	h := t.entrance.addressee(from, g)
	if h == nil && !g.isHello {
		return false
	}
	own := tolerate(bytes.Clone(datagram))
	if h != nil && h.feed(own) {
		return true
	}
	return g.isHello && t.config.accepts() && t.accept(from, g.random, own)
}

// randomSize is of a hello's random, RFC 5246 section 7.4.1.2.
const randomSize = 32

// greeting is what the beginning of a datagram says of the handshake that it is for.
type greeting struct {
	isHello    bool // it begins with the beginning of a ClientHello
	isFragment bool // it begins with a later fragment of one
	random     [randomSize]byte
}

func greetingOf(datagram []byte) (g greeting) {
	r, _, ok := nextRecord(datagram, idSize)
	if !ok || r.kind != typeHandshake || r.epoch != 0 || len(r.body) < handshakeHeaderSize || r.body[0] != messageClientHello {
		return g
	}
	offset := uint32(r.body[6])<<16 | uint32(r.body[7])<<8 | uint32(r.body[8])
	g.isFragment = offset > 0
	g.isHello = offset == 0 && len(r.body) >= handshakeHeaderSize+2+randomSize
	if g.isHello {
		copy(g.random[:], r.body[handshakeHeaderSize+2:])
	}
	return g
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
