package coap

import (
	"net/netip"
	"strconv"
	"strings"
)

// Peer is the other end of an exchange as a plain value: it can be compared, kept as key of a map, and stored on a disk.
// Two datagrams are from one peer if all of its fields are equal. It binds nothing to an address: an endpoint answers and
// asks whichever Peer it is given.
type Peer struct {
	Transport   string         // [Transport].Name of the transport that it is reached over
	Remote      netip.AddrPort // where it is
	Local       netip.AddrPort // our address that it spoke to, and that answers leave from; zero: any
	Association uint64         // names one of a transport that has associations (a DTLS session, a TCP connection); zero if it has none
	Identity    string         // principal that the transport's security vouches for; empty if it vouches for nobody
}

// String names p for people and logs.
func (p Peer) String() string {
	var text strings.Builder
	text.WriteString(p.Transport)
	text.WriteString("://")
	if p.Remote.IsValid() {
		text.WriteString(p.Remote.String())
	}
	if p.Association != 0 {
		text.WriteByte('#')
		text.WriteString(strconv.FormatUint(p.Association, 16))
	}
	if p.Identity != "" {
		text.WriteByte(' ')
		text.WriteString(strconv.Quote(p.Identity))
	}
	return text.String()
}
