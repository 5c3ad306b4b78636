package coap

import (
	"sync"
	"time"
)

// history remembers the messages that came over a transport, and what was said to them, so that a duplicate has no second
// effect and gets the same answer (RFC 7252 section 4.5). It is a ring: the newest replace the oldest.
type history struct {
	mu       sync.Mutex
	capacity int // messages
	maxBytes int // of answers too long to stand in their entry

	index   map[uint64]uint32 // entry by mixed hash
	entries []entry           // grows to capacity, then is overwritten from next
	next    uint32
	bytes   int      // of all long answers
	longs   []ticket // entries that had one, oldest first; some are gone by now
}

// exchangeLifetime is EXCHANGE_LIFETIME (RFC 7252 section 4.8.2): for so long is a message id not used again.
const exchangeLifetime = 247 * time.Second

// shortReply is how long an answer may be to stand in its entry.
const shortReply = 40

type entry struct {
	key   key
	hash  uint64
	at    time.Duration // since the endpoint was made
	id    uint16
	state entryState
	n     uint8
	short [shortReply]byte
	long  []byte // never changed once set
}

type entryState uint8

const (
	stateFree entryState = iota
	stateWorking
	stateDone
)

// sighting is what history says of a message.
type sighting uint8

const (
	isNew sighting = iota
	isKnown
)

// ticket names an entry, for who is to say what was answered.
type ticket struct {
	at   uint32
	hash uint64
	id   uint16
}

func mix(hash uint64, id uint16) uint64 { return hash ^ (uint64(id)+1)*0x9e3779b97f4a7c15 }

// enter notes that message id of k came. If it is known the reply to repeat, if there is one yet, is appended to dst.
func (h *history) enter(k key, hash uint64, id uint16, now time.Duration, dst []byte) (ticket, []byte, sighting) {
	mixed := mix(hash, id)
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, ok := h.index[mixed]; ok {
		e := &h.entries[at]
		if e.key == k && e.id == id && now-e.at < exchangeLifetime {
			if e.long != nil {
				return ticket{}, append(dst, e.long...), isKnown
			}
			return ticket{}, append(dst, e.short[:e.n]...), isKnown
		}
		h.free(at)
	}
	at := h.place()
	h.entries[at] = entry{key: k, hash: mixed, at: now, id: id, state: stateWorking}
	h.index[mixed] = at
	return ticket{at: at, hash: mixed, id: id}, dst, isNew
}

// place is where the next entry goes, freed.
func (h *history) place() uint32 {
	if h.index == nil {
		h.index = make(map[uint64]uint32)
	}
	if len(h.entries) < h.capacity {
		h.entries = append(h.entries, entry{})
		return uint32(len(h.entries) - 1)
	}
	at := h.next
	h.next = (h.next + 1) % uint32(h.capacity)
	h.free(at)
	return at
}

// free empties an entry; it is found no more, and its place is used when the ring comes round.
func (h *history) free(at uint32) {
	e := &h.entries[at]
	if e.state == stateFree {
		return
	}
	if h.index[e.hash] == at {
		delete(h.index, e.hash)
	}
	h.bytes -= len(e.long)
	*e = entry{}
}

// answered says what was answered to a message; nil: nothing, now or ever.
func (h *history) answered(t ticket, reply []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.find(t)
	if e == nil {
		return
	}
	e.state = stateDone
	h.bytes -= len(e.long)
	e.long, e.n = nil, 0
	if len(reply) <= shortReply {
		e.n = uint8(copy(e.short[:], reply))
		return
	}
	e.long = append([]byte(nil), reply...)
	h.bytes += len(e.long)
	h.longs = append(h.longs, t)
	h.shed()
}

// shed frees the oldest entries with long answers until these fit, and drops the tickets of those that the ring has freed:
// the newest of two rounds remain at most.
func (h *history) shed() {
	for len(h.longs) > 1 {
		oldest := h.longs[0]
		if e := h.find(oldest); e != nil && e.long != nil {
			if h.bytes <= h.maxBytes {
				return
			}
			h.free(oldest.at)
		}
		h.longs = h.longs[1:]
	}
}

// forget makes as if the message had not come, so that it is new when it comes again.
func (h *history) forget(t ticket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.find(t) != nil {
		h.free(t.at)
	}
}

func (h *history) find(t ticket) *entry {
	if int(t.at) >= len(h.entries) {
		return nil
	}
	e := &h.entries[t.at]
	if e.state == stateFree || e.hash != t.hash || e.id != t.id {
		return nil
	}
	return e
}
