package dtls

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// maxDatagram is the longest that is read. Handshakes keep to an MTU, and records to maxMessage.
const maxDatagram = 8192

// read receives datagrams until the socket is closed.
func (t *Transport) read() error {
	buffer := make([]byte, maxDatagram)
	for failures := 0; ; {
		n, from, err := t.socket.ReadFromUDPAddrPort(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			if failures++; failures > 100 {
				return fmt.Errorf("receive DTLS datagrams: %w", err)
			}
		default:
			failures = 0
			t.datagram(buffer[:n], unmap(from))
		}
	}
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// datagram takes what came from an address. It may be anything.
func (t *Transport) datagram(datagram []byte, from netip.AddrPort) {
	if len(datagram) < headerSize || datagram[0] < typeChangeCipherSpec || datagram[0] > typeCID {
		return
	}
	shaking := t.knock(datagram, from)
	t.protected(datagram, from, shaking)
}

// protected takes the protected records of a datagram. Shaking says that a handshake with their sender has seen them too, and
// may be who they are for.
func (t *Transport) protected(datagram []byte, from netip.AddrPort, shaking bool) {
	for len(datagram) > 0 {
		r, rest, ok := nextRecord(datagram, idSize)
		if !ok {
			return
		}
		datagram = rest
		if r.epoch != epochProtected {
			continue
		}
		a := t.table.owner(r, from)
		switch {
		case a != nil:
			t.record(a, r, from, shaking)
		case !shaking:
			t.counters.strangers.Add(1)
		}
	}
}

// record takes a record that claims to be of an association.
func (t *Transport) record(a *association, r record, from netip.AddrPort, shaking bool) {
	now := t.config.now()
	o, err := a.open(r, now)
	switch {
	case errors.Is(err, errExpired):
		t.end(a, true, err)
		return
	case errors.Is(err, errReplayed):
		t.counters.replayed.Add(1)
		t.prime(a)
		return
	case err != nil:
		if !shaking {
			t.counters.unprotected.Add(1)
		}
		return
	}
	if !shaking {
		t.repeat(a, o.again)
	}
	if o.payload == nil && o.kind == typeHandshake {
		return // a repeated one
	}
	if moved := t.table.note(a, now, a.ownCID && o.newest, from); moved {
		t.counters.moved.Add(1)
		o.reserve = true
	}
	if t.saver != nil && (o.held || o.reserve) {
		t.saver.add(a)
	}
	t.act(a, o)
}

// repeat sends an association's last flight again, to where its peer is and not to whoever asks.
func (t *Transport) repeat(a *association, flight [][]byte) {
	if len(flight) == 0 {
		return
	}
	if _, addr := t.table.find(a.id); addr.IsValid() {
		for _, datagram := range flight {
			t.write(datagram, addr)
		}
	}
}

// act does what an accepted record says.
func (t *Transport) act(a *association, o opened) {
	switch o.kind {
	case typeApplication:
		if o.held && t.saver != nil {
			t.saver.hold(a, o.payload, false)
			return
		}
		t.deliver(a, o.payload)
	case typeAlert:
		t.alert(a, o.payload)
	}
}

func (t *Transport) deliver(a *association, payload []byte) {
	t.mu.Lock()
	receiver := t.receiver
	t.mu.Unlock()
	if receiver != nil {
		receiver.Receive(t.peer(a), payload)
	}
}
