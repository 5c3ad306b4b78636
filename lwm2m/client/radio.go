package client

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Traffic counts what goes to and comes from servers: whole datagrams with their IP and UDP headers, but without what DTLS adds. The zero
// value is ready; any number of goroutines may use it.
type Traffic struct {
	SentBytes, SentMessages         atomic.Uint64
	ReceivedBytes, ReceivedMessages atomic.Uint64
	// Largest is the size of the largest message since whoever reads it has last set it back.
	Largest atomic.Uint64
}

// headers are those of IP and UDP.
func headers(p coap.Peer) int {
	if p.Remote.Addr().Is6() && !p.Remote.Addr().Is4In6() {
		return 48
	}
	return 28
}

func (t *Traffic) count(bytes, messages *atomic.Uint64, size int) {
	bytes.Add(uint64(size))
	messages.Add(1)
	for {
		largest := t.Largest.Load()
		if uint64(size) <= largest || t.Largest.CompareAndSwap(largest, uint64(size)) {
			return
		}
	}
}

// radio is a transport that can be turned off, hears one peer only, counts, and knows when it was last used.
type radio struct {
	coap.Transport
	traffic *Traffic
	peer    atomic.Pointer[coap.Peer] // nil until it is known, when nobody is heard but by the transport's own handshake
	off     atomic.Bool
	heard   atomic.Int64 // Unix time in ns
}

func (r *radio) touch() { r.heard.Store(time.Now().UnixNano()) }

// Send turns the radio on: the answer is to be heard.
func (r *radio) Send(p coap.Peer, message []byte) error {
	r.off.Store(false)
	r.touch()
	if r.traffic != nil {
		r.traffic.count(&r.traffic.SentBytes, &r.traffic.SentMessages, len(message)+headers(p))
	}
	return r.Transport.Send(p, message)
}

// Serve receives for as long as the radio is on.
func (r *radio) Serve(ctx context.Context, receiver coap.Receiver) error {
	return r.Transport.Serve(ctx, ear{receiver, r})
}

// ear is what the radio hears with.
type ear struct {
	coap.Receiver
	radio *radio
}

func (e ear) Receive(p coap.Peer, message []byte) {
	r := e.radio
	peer := r.peer.Load()
	if r.off.Load() || peer == nil || p.Association != peer.Association || p.Association == 0 && p.Remote != peer.Remote {
		return
	}
	r.touch()
	if r.traffic != nil {
		r.traffic.count(&r.traffic.ReceivedBytes, &r.traffic.ReceivedMessages, len(message)+headers(p))
	}
	e.Receiver.Receive(p, message)
}
