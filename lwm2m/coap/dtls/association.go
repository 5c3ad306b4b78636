package dtls

import (
	"crypto/cipher"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"
)

// epochProtected is the epoch of an established association. There is one: nobody renegotiates (RFC 9325 section 3.5).
const epochProtected = 1

// association is an established association: two keys and two counters. Active, it also holds the ciphers made of the keys;
// asleep it does not, and takes some hundred bytes.
type association struct {
	id        ID
	principal string
	suite     *suite
	peerCID   []byte // what records to the peer carry
	ownCID    bool   // the peer's records carry id
	dialled   bool   // by us
	expires   int64  // when the peer's certificate does, in seconds since 1970; 0: it has none

	// Of table.mu.
	addr         netip.AddrPort
	newer, older *association // in the list that order says
	order        *order
	sibling      *association // the next of the same principal
	heard        time.Time
	removed      bool

	dirty bool // waits to be saved; of saver.mu

	mu        sync.Mutex
	out, in   half
	sealer    cipher.AEAD // nil while asleep
	opener    cipher.AEAD
	next      uint64 // sequence number of the next record out
	sendLimit uint64 // a crash makes us go on here: no record has it before a higher limit is durable
	window    window
	holdFrom  uint64 // a crash makes us refuse what is below: no record above is accepted before a higher floor is durable
	ahead     uint64 // after a crash, until a record is accepted: how far the floor may lie ahead of what the peer has sent
	primed    bool   // Owed has told that
	final     *finalFlight
}

// unlimited is the limit of an association that no crash brings back.
const unlimited = math.MaxUint64

// ready makes the ciphers. Callers hold mu.
func (a *association) ready() error {
	if a.sealer != nil {
		return nil
	}
	sealer, err := a.suite.aead(&a.out)
	if err != nil {
		return err
	}
	opener, err := a.suite.aead(&a.in)
	if err != nil {
		return err
	}
	a.sealer, a.opener = sealer, opener
	return nil
}

// sleep drops the ciphers.
func (a *association) sleep() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sealer, a.opener, a.final = nil, nil, nil
}

// seal appends one record with a payload.
func (a *association) seal(dst []byte, kind byte, payload []byte) (_ []byte, reserve bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(); err != nil {
		return nil, false, err
	}
	switch {
	case a.next > maxSequence:
		return nil, false, errExhausted
	case a.next >= a.sendLimit:
		return nil, true, errReserved
	}
	dst = seal(dst, a.sealer, &a.out.salt, kind, a.next, a.peerCID, payload)
	a.next++
	return dst, a.next+sendReserve/2 > a.sendLimit, nil
}

var errExpired = errors.New("the peer's certificate has expired")

// opened is what an authenticated record says.
type opened struct {
	kind    byte
	payload []byte // of the datagram
	newest  bool
	held    bool // its acceptance must be durable before anybody acts on it
	reserve bool // it is time to raise the floor
	again   [][]byte
}

// open authenticates a record and accepts it, in place.
func (a *association) open(r record, now time.Time) (o opened, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case (r.kind == typeCID) != a.ownCID:
		return opened{}, errUnprotected
	case a.expires > 0 && now.Unix() > a.expires:
		return opened{}, errExpired
	}
	if !a.window.fresh(r.sequence) {
		if r.kind != typeApplication && a.final != nil { // some repeat their Finished byte by byte
			return opened{kind: typeHandshake, again: a.final.repeat(now)}, nil
		}
		return opened{}, errReplayed
	}
	opener := a.opener
	if opener == nil { // made for good only when the record is authentic: garbage wakes nobody
		if opener, err = a.suite.aead(&a.in); err != nil {
			return opened{}, err
		}
	}
	o.kind, o.payload, err = unseal(opener, &a.in.salt, r)
	if err != nil {
		return opened{}, err
	}
	o.newest = a.window.accept(r.sequence)
	a.ahead = 0
	o.held = r.sequence >= a.holdFrom
	o.reserve = a.window.next+receiveReserve/2 > a.holdFrom
	switch {
	case o.kind == typeApplication:
		a.final = nil // the peer has our Finished
	case o.kind == typeHandshake && a.final != nil:
		o.again = a.final.repeat(now)
	}
	return o, a.ready()
}

// finalFlight is our last flight of the handshake. The peer may not have got it and then repeats its own (RFC 6347 section
// 4.2.4); the same bytes answer it again, which uses up no sequence number.
type finalFlight struct {
	datagrams [][]byte
	times     int
	last      time.Time
}

const (
	maxFinalTimes  = 10
	finalFlightGap = 200 * time.Millisecond // a duplicated datagram is not a request
)

func (f *finalFlight) repeat(now time.Time) [][]byte {
	if f.times >= maxFinalTimes || now.Sub(f.last) < finalFlightGap {
		return nil
	}
	f.times++
	f.last = now
	return f.datagrams
}
