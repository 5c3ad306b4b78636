package coap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Handler answers requests. It is called from many goroutines, for one peer by one at a time and in the order in which its
// requests came. It may block, which delays this peer alone as long as [Config].Workers suffice; it may call the endpoint.
//
// Response has the code 4.04 to begin with; its reliability and its blocks are the endpoint's work. A Handler that panics answers 5.00.
type Handler interface {
	Serve(ctx context.Context, p Peer, request, response *Message)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, p Peer, request, response *Message)

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, p Peer, request, response *Message) {
	f(ctx, p, request, response)
}

// Streamer is a Handler that takes the bodies of some requests block by block, because they are too large to be assembled
// or shall survive a restart. Sink is asked for each request with a payload, be that a block of a body or all of it; nil
// means that Serve takes it, assembled.
type Streamer interface {
	Handler
	Sink(p Peer, request *Message) Sink
}

// Sink takes one body. It must remember by itself what it has: where the other side goes on elsewhere it answers 4.08
// (EntityIncomplete), and where the body does not fit or is not welcome any other error, which ends the transfer.
//
// Block gets the part at offset in request's payload; others follow if more is true. Response has the code 2.31 to begin
// with if they do, and 2.04 if this is the last; Block changes it if it did not take the part.
type Sink interface {
	Block(ctx context.Context, p Peer, offset int64, more bool, request, response *Message)
}

// Config is what an endpoint is made of. Transports is all it needs; 0 of a limit means its default.
type Config struct {
	Transports []Transport
	Handler    Handler // nil answers 4.04 to everything

	// Notifications gets each answer that nothing waits for: notifications as a rule. It says whether their token is known;
	// who sent one that is not is told to stop by a reset. It is called as a Handler is. Nil knows none.
	Notifications func(ctx context.Context, p Peer, notification *Message) bool
	// Refused is told that p reset a non-confirmable notification, which ends its observation. Nil ignores it.
	Refused func(p Peer, token Token)

	Logger *slog.Logger // nil logs nothing

	Reliability Reliability
	Limits      Limits
}

// Reliability are the transmission parameters of RFC 7252 section 4.8. The zero value means its defaults.
type Reliability struct {
	AckTimeout    time.Duration // 2 s: first wait for an acknowledgement, times 1 to RandomFactor; doubled for each further one
	RandomFactor  float64       // 1.5
	MaxRetransmit int           // 4; negative: none
	NStart        int           // 1: how many exchanges with one peer are unacknowledged at a time
	// SeparateAfter (1 s) is how long an answer may take before its request is acknowledged without it.
	SeparateAfter time.Duration
	// ResponseTimeout (93 s, MAX_TRANSMIT_WAIT) is how long the answer to an acknowledged request is waited for.
	ResponseTimeout time.Duration
}

// Limits bound what an endpoint holds and does. The zero value means the defaults, which suit a gateway.
type Limits struct {
	Peers         int           // 65,536: how many peers the tables of fixed size are made for; more share what is in them
	Workers       int           // 256: requests and notifications being handled at a time
	Queue         int           // 8,192: of all peers, waiting for a worker; what is beyond is lost, and sent again by who wants an answer
	PeerQueue     int           // 16: of one peer, waiting for a worker
	PeerWaiting   int           // 64: exchanges with one peer that wait for its turn (see Reliability.NStart)
	History       int           // 65,536: messages of each transport that are remembered to know duplicates
	HistoryBytes  int           // 4 MiB: answers of each transport that are kept for duplicates, beside short ones
	Body          int           // 1 MiB: the greatest body that is assembled of blocks, or taken in an answer
	Assembly      int           // 16 MiB: bodies of all peers that are being assembled, or handed out block by block
	AssemblyPeers int           // 4,096: how many bodies these may be
	AssemblyTime  time.Duration // 93 s since a body's last block, after which it is forgotten
	BlockSize     int           // 1,024: the greatest block, a power of two from 16 to 1,024
	// Amplification (3) is how many times as long as the request an answer to an unverified peer may be; negative: any.
	Amplification int
	// PeerRate (500) and AddressRate (5,000) are how many messages a second are taken of one unverified peer and one unverified address;
	// twice as many at once. Negative: any number.
	PeerRate, AddressRate float64
	// Challenge (half of Queue) is how many jobs may wait before unverified peers are asked to show that they are where they
	// say (RFC 9175 section 2.4) before their requests are taken. Negative: never.
	Challenge int
}

func (r Reliability) withDefaults() Reliability {
	r.AckTimeout = cmp.Or(r.AckTimeout, 2*time.Second)
	r.RandomFactor = cmp.Or(r.RandomFactor, 1.5)
	r.MaxRetransmit = cmp.Or(r.MaxRetransmit, 4)
	r.NStart = cmp.Or(r.NStart, 1)
	r.SeparateAfter = cmp.Or(r.SeparateAfter, time.Second)
	r.ResponseTimeout = cmp.Or(r.ResponseTimeout, 93*time.Second)
	return r
}

func (l Limits) withDefaults() Limits {
	l.Peers = cmp.Or(l.Peers, 1<<16)
	l.Workers = cmp.Or(l.Workers, 256)
	l.Queue = cmp.Or(l.Queue, 8192)
	l.PeerQueue = cmp.Or(l.PeerQueue, 16)
	l.PeerWaiting = cmp.Or(l.PeerWaiting, 64)
	l.History = cmp.Or(l.History, 1<<16)
	l.HistoryBytes = cmp.Or(l.HistoryBytes, 4<<20)
	l.Body = cmp.Or(l.Body, 1<<20)
	l.Assembly = cmp.Or(l.Assembly, 16<<20)
	l.AssemblyPeers = cmp.Or(l.AssemblyPeers, 4096)
	l.AssemblyTime = cmp.Or(l.AssemblyTime, 93*time.Second)
	l.BlockSize = cmp.Or(l.BlockSize, 1024)
	l.Amplification = cmp.Or(l.Amplification, 3)
	l.PeerRate = cmp.Or(l.PeerRate, 500)
	l.AddressRate = cmp.Or(l.AddressRate, 5000)
	l.Challenge = cmp.Or(l.Challenge, l.Queue/2)
	return l
}

// Validate reports everything that an endpoint cannot be made of.
func (c *Config) Validate() error {
	var problems []error
	if len(c.Transports) == 0 {
		problems = append(problems, errors.New("no transport"))
	}
	names := map[string]bool{}
	for _, t := range c.Transports {
		if names[t.Name()] {
			problems = append(problems, fmt.Errorf("two transports named %q", t.Name()))
		}
		names[t.Name()] = true
	}
	if c.Reliability.AckTimeout < 0 || c.Reliability.NStart < 0 {
		problems = append(problems, errors.New("reliability below zero"))
	}
	if f := c.Reliability.RandomFactor; f != 0 && f < 1 {
		problems = append(problems, fmt.Errorf("random factor %v is below 1", f))
	}
	l := c.Limits
	for name, n := range map[string]int{
		"Peers": l.Peers, "Workers": l.Workers, "Queue": l.Queue, "PeerQueue": l.PeerQueue, "PeerWaiting": l.PeerWaiting,
		"History": l.History, "HistoryBytes": l.HistoryBytes, "Body": l.Body, "Assembly": l.Assembly, "AssemblyPeers": l.AssemblyPeers,
	} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("limit %s is below zero: %d", name, n))
		}
	}
	if _, ok := exponentOf(l.withDefaults().BlockSize); !ok {
		problems = append(problems, fmt.Errorf("block size %d is no power of two from 16 to 1,024", l.BlockSize))
	}
	return errors.Join(problems...)
}
