package coap

import (
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"
)

// bodies are those that are being put together of blocks, and those that are handed out in blocks: bounded in number, in
// bytes, for each peer, and in time.
type bodies struct {
	greatest int           // bytes of one
	room     int           // bytes of all
	most     int           // of them
	lifetime time.Duration // since the last block

	mu    sync.Mutex
	index map[bodyKey]*list.Element
	order [2]list.List // of *body of each direction, the one that was touched longest ago first
	held  map[key]int
	bytes int
}

// bodiesOfPeer is how many bodies one peer may have at a time.
const bodiesOfPeer = 16

// bodyKey names a body: of whom, and what its requests have in common (RFC 7959 section 2.5, RFC 9175 section 3.3).
type bodyKey struct {
	key       key
	request   uint64 // hash of method and options, Request-Tag among them
	direction direction
}

type direction uint8

const (
	incoming direction = iota // bodies of requests
	outgoing                  // of answers
)

type body struct {
	key      bodyKey
	at       time.Duration
	data     []byte   // incoming
	whole    *Message // outgoing
	reserved int      // bytes
	verified bool     // its peer is
}

func (b *bodies) init(l Limits) {
	b.greatest, b.room, b.most, b.lifetime = l.Body, l.Assembly, l.AssemblyPeers, l.AssemblyTime
	b.index, b.held = make(map[bodyKey]*list.Element), make(map[key]int)
}

// bodyKey is the name of the body that the job's request is about.
func (j *job) bodyKey(d direction) bodyKey {
	var h maphash.Hash
	h.SetSeed(j.endpoint.seed)
	_ = h.WriteByte(byte(j.message.Code))
	for _, o := range j.message.Options {
		switch o.ID {
		case Block1, Block2, Size1, Size2, Observe, Echo, ETag, ContentFormat:
			continue
		}
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(o.ID)<<16|uint32(len(o.Value))))
		_, _ = h.Write(o.Value)
	}
	return bodyKey{key: j.key, request: h.Sum64(), direction: d}
}

// add adds a block of a request to its body. The code is Content with the last block, which returns the body; Continue if
// others must follow; and an error that the request is answered with otherwise.
func (b *bodies) add(k bodyKey, part block, m *Message, verified bool, now time.Duration) ([]byte, Code) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	if part.more && (len(m.Payload) == 0 || len(m.Payload)%part.size() != 0 || part.exponent != bert && len(m.Payload) != part.size()) {
		b.drop(k)
		return nil, BadRequest
	}
	size, told := m.Uint(Size1)
	if told && int64(size) > int64(b.greatest) || part.offset()+int64(len(m.Payload)) > int64(b.greatest) {
		b.drop(k)
		return nil, EntityTooLarge
	}
	if part.number == 0 {
		b.drop(k)
		if !b.admit(&body{key: k, at: now, reserved: len(m.Payload), verified: verified}) {
			return nil, ServiceUnavailable
		}
	}
	return b.grow(k, part, m.Payload, now)
}

// grow puts a block behind those that its body has.
func (b *bodies) grow(k bodyKey, part block, payload []byte, now time.Duration) ([]byte, Code) {
	element := b.index[k]
	if element == nil {
		return nil, EntityIncomplete
	}
	known := element.Value.(*body)
	has := int64(len(known.data))
	switch {
	case part.offset() == has:
	case part.more && part.offset()+int64(len(payload)) == has: // the one before, sent again as a new message
		return nil, Continue
	default:
		b.drop(k)
		return nil, EntityIncomplete
	}
	extra := len(payload)
	if has == 0 {
		extra = 0 // admit reserved it
	}
	if b.bytes+extra > b.room {
		b.drop(k)
		return nil, ServiceUnavailable
	}
	known.reserved += extra
	b.bytes += extra
	known.data = append(known.data, payload...)
	known.at = now
	b.order[incoming].MoveToBack(element)
	if part.more {
		return nil, Continue
	}
	b.drop(k)
	return known.data, Content
}

// admit takes a new body. It makes room by dropping answers, which can be made again, and for a verified peer also what
// unverified ones began; apart from that it finds room or not.
func (b *bodies) admit(fresh *body) bool {
	full := func() bool { return b.bytes+fresh.reserved > b.room || len(b.index) >= b.most }
	for e := b.order[outgoing].Front(); full() && e != nil; e = b.order[outgoing].Front() {
		b.drop(e.Value.(*body).key)
	}
	for e := b.order[incoming].Front(); fresh.verified && full() && e != nil; {
		next := e.Next()
		if old := e.Value.(*body); !old.verified {
			b.drop(old.key)
		}
		e = next
	}
	if full() || fresh.key.direction == incoming && b.held[fresh.key.key] >= bodiesOfPeer {
		return false
	}
	b.index[fresh.key] = b.order[fresh.key.direction].PushBack(fresh)
	b.held[fresh.key.key]++
	b.bytes += fresh.reserved
	return true
}

// keep keeps an answer whose later blocks may be asked for.
func (b *bodies) keep(k bodyKey, whole *Message, now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	b.drop(k)
	if b.held[k.key] >= bodiesOfPeer && !b.dropOldest(k.key) {
		return
	}
	b.admit(&body{key: k, at: now, reserved: len(whole.Payload), whole: whole})
}

// dropOldest drops the answer to a peer that was asked for longest ago.
func (b *bodies) dropOldest(of key) bool {
	for e := b.order[outgoing].Front(); e != nil; e = e.Next() {
		if k := e.Value.(*body).key; k.key == of {
			b.drop(k)
			return true
		}
	}
	return false
}

// kept is the answer that keep kept, which is never changed; nil if it is gone.
func (b *bodies) kept(k bodyKey, now time.Duration) *Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	element := b.index[k]
	if element == nil {
		return nil
	}
	known := element.Value.(*body)
	known.at = now
	b.order[outgoing].MoveToBack(element)
	return known.whole
}

// expire forgets the bodies that nothing came for.
func (b *bodies) expire(now time.Duration) {
	for d := range b.order {
		for e := b.order[d].Front(); e != nil && now-e.Value.(*body).at >= b.lifetime; e = b.order[d].Front() {
			b.drop(e.Value.(*body).key)
		}
	}
}

func (b *bodies) drop(k bodyKey) {
	element := b.index[k]
	if element == nil {
		return
	}
	b.order[k.direction].Remove(element)
	delete(b.index, k)
	if b.held[k.key]--; b.held[k.key] == 0 {
		delete(b.held, k.key)
	}
	b.bytes -= element.Value.(*body).reserved
}
