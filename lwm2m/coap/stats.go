package coap

import "sync/atomic"

// Stats count what an endpoint did since it was made.
type Stats struct {
	Received        uint64 // messages
	Malformed       uint64 // of them, those that were none
	Duplicates      uint64 // those that had come before
	Overload        uint64 // those lost because too much waited
	Limited         uint64 // those lost because their source sent too many
	Challenged      uint64 // requests answered by asking the source to show where it is
	Requests        uint64 // given to the Handler
	Panics          uint64 // of the Handler
	Unknown         uint64 // answers that nobody waited for or knew
	Retransmissions uint64
	Timeouts        uint64
	Resets          uint64 // sent
	Bodies          uint64 // refused or given up while they were assembled
}

type counters struct {
	received, malformed, duplicates, overload, limited, challenged, requests, panics, unknown atomic.Uint64
	retransmissions, timeouts, resets, bodies                                                 atomic.Uint64
}

// Stats are the counts now.
func (e *Endpoint) Stats() Stats {
	c := &e.counts
	return Stats{
		Received: c.received.Load(), Malformed: c.malformed.Load(), Duplicates: c.duplicates.Load(), Overload: c.overload.Load(),
		Limited: c.limited.Load(), Challenged: c.challenged.Load(), Requests: c.requests.Load(), Panics: c.panics.Load(),
		Unknown: c.unknown.Load(), Retransmissions: c.retransmissions.Load(), Timeouts: c.timeouts.Load(), Resets: c.resets.Load(),
		Bodies: c.bodies.Load(),
	}
}
