package coap

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// key is what makes two Peers the same other end to an endpoint: an association wherever it is, or else an address, whichever of ours it spoke to.
type key struct {
	link        *link
	association uint64
	remote      netip.AddrPort
}

// link is one transport of an endpoint with what is kept for it.
type link struct {
	transport Transport
	traits    Traits
	history   history // of datagrams: messages seen; reliable transports need none
}

func keyOf(l *link, p Peer) key {
	if p.Association != 0 {
		return key{link: l, association: p.Association}
	}
	return key{link: l, remote: p.Remote}
}

// hash spreads keys over tables, in a way that who chooses addresses cannot foresee.
func (k key) hash(seed maphash.Seed) uint64 {
	var b [26]byte
	address := k.remote.Addr().As16()
	copy(b[:], address[:])
	binary.LittleEndian.PutUint16(b[16:], k.remote.Port())
	binary.LittleEndian.PutUint64(b[18:], k.association)
	return maphash.Bytes(seed, b[:])
}
