package coap

import (
	"testing"
	"time"
)

// TestHistoryForgetsTickets: answers that are too long for their entry, and too few to reach the bound in bytes, leave nothing
// behind when the ring has come round.
func TestHistoryForgetsTickets(t *testing.T) {
	const capacity, rounds = 8, 100
	h := history{capacity: capacity, maxBytes: 1 << 20}
	reply := make([]byte, shortReply+1)
	for id := range uint16(capacity * rounds) {
		ticket, _, seen := h.enter(key{}, 1, id, time.Second, nil)
		if seen != isNew {
			t.Fatalf("message %d is known", id)
		}
		h.answered(ticket, reply)
	}
	if got, most := len(h.longs), 2*capacity; got > most {
		t.Errorf("%d tickets are kept for %d entries, want %d at most", got, capacity, most)
	}
	if got, want := h.bytes, capacity*len(reply); got != want {
		t.Errorf("%d bytes of answers, want %d", got, want)
	}
	if _, got, seen := h.enter(key{}, 1, capacity*rounds-1, time.Second, nil); seen != isKnown || len(got) != len(reply) {
		t.Errorf("the newest message: sighting %d, answer of %d bytes", seen, len(got))
	}
}
