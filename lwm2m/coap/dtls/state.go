package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	pion "github.com/pion/dtls/v3"
)

// State is an association as it outlives a process. It holds keys: keep it as secret as the pre-shared ones.
type State struct {
	ID    ID
	Bytes []byte // nil: the association is gone
}

// States keeps the states of associations.
type States interface {
	// Save stores or removes states. When it returns nil, a crash loses none of them.
	Save([]State) error
	// Load calls f with every state that is stored: with the last one of each association that Save returned nil for, never with an
	// older one, for its sequence numbers are used up.
	Load(f func(State) error) error
}

// How far ahead a state is saved. RATIONALE.md, "Why are sequence numbers reserved?".
const (
	sendReserve    = 1024
	receiveReserve = 4
)

var (
	errReserved = errors.New("sequence numbers are being reserved")
	errReplayed = errors.New("a record was seen before, or is too old to tell")
	errState    = errors.New("decode a DTLS association: malformed")
)

const (
	stateVersion = 1

	flagDialled = 1 << 0
	flagOwnCID  = 1 << 1
	flagAhead   = 1 << 2 // the floor lies receiveReserve ahead of what was received
)

// reserve returns the state to save and the limits that are valid once it is saved. An association that goes to sleep
// reserves nothing for receiving, so that a restart makes it refuse nothing.
func (a *association) reserve(addr netip.AddrPort, asleep bool) (state []byte, sendLimit, holdFrom uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sendLimit = a.next + sendReserve
	holdFrom = max(a.window.next, a.window.floor)
	ahead := a.ahead > 0 // since the last process: nothing came that could raise the floor
	if !asleep && !ahead {
		holdFrom += receiveReserve
		ahead = true
	}
	// What was durable holds until this is. An association that was never saved is lost in a crash until this is.
	a.sendLimit = min(a.sendLimit, sendLimit)
	a.holdFrom = min(a.holdFrom, holdFrom)
	return a.append(nil, addr, sendLimit, holdFrom, ahead), sendLimit, holdFrom
}

// reserved raises the limits to what is durable now.
func (a *association) reserved(sendLimit, holdFrom uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sendLimit, a.holdFrom = sendLimit, holdFrom
}

func (a *association) append(dst []byte, addr netip.AddrPort, next, floor uint64, ahead bool) []byte {
	var flags byte
	if ahead {
		flags |= flagAhead
	}
	if a.dialled {
		flags |= flagDialled
	}
	if a.ownCID {
		flags |= flagOwnCID
	}
	dst = append(dst, stateVersion, flags)
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.suite.id))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.id))
	dst = binary.BigEndian.AppendUint64(dst, next)
	dst = binary.BigEndian.AppendUint64(dst, floor)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.expires))
	for _, h := range []*half{&a.out, &a.in} {
		dst = append(dst, h.key[:a.suite.keySize]...)
		dst = append(dst, h.salt[:]...)
	}
	address, _ := addr.MarshalBinary()
	for _, field := range [][]byte{a.peerCID, address, []byte(a.principal)} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(field)))
		dst = append(dst, field...)
	}
	return dst
}

// parseState restores an association, asleep.
func parseState(b []byte) (*association, error) {
	d := decoder{b: b}
	version, flags := d.byte(), d.byte()
	if version != stateVersion {
		return nil, fmt.Errorf("decode a DTLS association: version %d is not known", version)
	}
	suite, err := suiteOf(pion.CipherSuiteID(d.uint16()))
	if err != nil {
		return nil, err
	}
	a := &association{suite: suite, dialled: flags&flagDialled != 0, ownCID: flags&flagOwnCID != 0}
	if flags&flagAhead != 0 {
		a.ahead = receiveReserve
	}
	a.id = ID(d.uint64())
	a.next = d.uint64()
	a.window.floor = d.uint64()
	a.window.next = a.window.floor
	a.expires = int64(d.uint64())
	a.sendLimit, a.holdFrom = a.next, a.window.floor // to be reserved again before use
	for _, h := range []*half{&a.out, &a.in} {
		copy(h.key[:suite.keySize], d.take(suite.keySize))
		copy(h.salt[:], d.take(saltSize))
	}
	a.peerCID = append([]byte(nil), d.field(255)...)
	if err := a.addr.UnmarshalBinary(d.field(64)); err != nil {
		return nil, errState
	}
	a.principal = string(d.field(maxPrincipal))
	if d.failed || len(d.b) > 0 || a.id == 0 || !a.addr.IsValid() {
		return nil, errState
	}
	return a, nil
}

// decoder takes fields off a byte string. After a failure it returns zeros.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) take(n int) []byte {
	if d.failed || len(d.b) < n {
		d.failed = true
		return nil
	}
	field := d.b[:n]
	d.b = d.b[n:]
	return field
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) field(limit int) []byte {
	n := int(d.uint16())
	if n > limit {
		d.failed = true
	}
	return d.take(n)
}
