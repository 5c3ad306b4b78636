package store

import (
	"hash/maphash"
	"unsafe"
)

// id stands for a kind and key in memory. See "Why no keys in memory?" in RATIONALE.md.
type id [2]uint64

// place says where the newest record of a key is.
type place struct {
	segment uint32 // its number
	offset  uint32 // in the segment
	size    uint32 // of the whole record
}

// index finds the newest record of each key that lives.
type index struct {
	seeds  [2]maphash.Seed
	places map[id]place
	counts [tombstone]int // by kind
	live   int64          // bytes of the records that live
}

func newIndex() index {
	return index{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, places: make(map[id]place)}
}

func (x *index) id(k Kind, key []byte) id {
	return id{x.half(0, k, key), x.half(1, k, key)}
}

func (x *index) half(n int, k Kind, key []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(x.seeds[n])
	_ = h.WriteByte(byte(k))
	_, _ = h.Write(key)
	return h.Sum64()
}

// apply takes a record that was written behind all that the index knows.
func (x *index) apply(r record, at place) {
	i := x.id(r.kind, r.key)
	if old, ok := x.places[i]; ok {
		x.live -= int64(old.size)
		x.counts[r.kind]--
	}
	if r.dead {
		delete(x.places, i)
		return
	}
	x.places[i] = at
	x.live += int64(at.size)
	x.counts[r.kind]++
}

// keyBytes is key without a copy, for hashing and appending only.
func keyBytes(key string) []byte { return unsafe.Slice(unsafe.StringData(key), len(key)) }
