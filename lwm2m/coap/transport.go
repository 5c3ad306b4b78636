package coap

import (
	"context"
	"errors"
)

// ErrUnreachable is the error of an exchange whose peer cannot be reached now: the network says so (an ICMP error), or its
// connection or association is gone.
var ErrUnreachable = errors.New("peer is unreachable")

// Transport carries messages of CoAP, one at a time. An implementation follows these rules:
//
//   - Name is short, unique within an endpoint, and stays the same over restarts, for it is part of each stored Peer.
//   - Serve receives until its context is done, and then returns nil, all goroutines and sockets of its own ended. It is called once.
//   - It calls the Receiver from as many goroutines as it likes; calls do not block, and nothing of the bytes is used after them.
//   - Send hands over one message for p, and does not wait for the network: where there is no room, the message is lost
//     without an error if the transport is unreliable. It does not keep the bytes. It may be called from within Receive.
//   - Send to a peer whose association or connection is gone says ErrUnreachable.
type Transport interface {
	Name() string
	Traits() Traits
	Serve(ctx context.Context, receiver Receiver) error
	Send(p Peer, message []byte) error
}

// Traits are what an endpoint must know of a transport.
type Traits struct {
	// Reliable transports (RFC 8323) deliver each message once and in order: messages have the framing of RFC 8323 section
	// 3.2 and no message id, and nothing is sent twice.
	Reliable bool
	// Verified transports know that a peer is where it says that it is, by a handshake.
	Verified bool
	// MaxMessage is the greatest message that Send takes, in bytes; 0 means 1,280, which passes everywhere.
	MaxMessage int
}

// Receiver takes what a transport receives. The endpoint is one.
type Receiver interface {
	// Receive takes one message of p. It copies what it needs of the bytes.
	Receive(p Peer, message []byte)
	// Unreachable says that what was sent to p does not arrive: exchanges with it fail with cause, which wraps
	// ErrUnreachable. Quoted is the beginning of the message at fault if the network quotes it (an ICMP error does), so that
	// a forged error must know it; nil fails all exchanges with p.
	Unreachable(p Peer, quoted []byte, cause error)
}

// Closer is a Transport whose associations can be ended one by one.
type Closer interface {
	ClosePeer(p Peer) error
}

// Resumer is a Transport whose associations outlive a crash, after which it refuses the next few messages of some peers, as it can't
// tell them from replays. Owed says how many of p's that may be, once; later it is 0.
type Resumer interface {
	Owed(p Peer) int
}

// Primer is a Receiver that has a peer spend what it owes.
type Primer interface {
	Prime(p Peer)
}

// Dialer is a Transport that reaches out by itself. Dial waits until the peer can be sent to; address is "host:port".
type Dialer interface {
	Dial(ctx context.Context, address string) (Peer, error)
}
