package server

import (
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

const tableShards = 64

// table finds devices by something. It has a lock for each shard, which is held for a look-up only; a device's lock may be
// held while one is taken, never the other way round.
type table[K comparable] struct {
	seed   maphash.Seed
	shards [tableShards]tableShard[K]
}

type tableShard[K comparable] struct {
	mu sync.RWMutex
	m  map[K]*device
	_  [32]byte // apart from the next one's cache line
}

func newTable[K comparable]() *table[K] {
	t := &table[K]{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].m = make(map[K]*device)
	}
	return t
}

func (t *table[K]) shard(key K) *tableShard[K] {
	return &t.shards[maphash.Comparable(t.seed, key)%tableShards]
}

func (t *table[K]) get(key K) *device {
	s := t.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[key]
}

func (t *table[K]) put(key K, d *device) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = d
}

// add puts d in unless there is another under the key, and returns the one that is there then.
func (t *table[K]) add(key K, d *device) *device {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.m[key]; other != nil {
		return other
	}
	s.m[key] = d
	return d
}

// remove takes d out, if it is what stands under the key.
func (t *table[K]) remove(key K, d *device) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[key] == d {
		delete(s.m, key)
	}
}

func (t *table[K]) size() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}

// some returns a few devices, picked at random.
func (t *table[K]) some(few int) []*device {
	s := &t.shards[rand.IntN(tableShards)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	devices := make([]*device, 0, few)
	for _, d := range s.m {
		if devices = append(devices, d); len(devices) == few {
			break
		}
	}
	return devices
}

// all iterates over what is there, a shard at a time; what is put meanwhile may be missed.
func (t *table[K]) all() iter.Seq[*device] {
	return func(yield func(*device) bool) {
		var batch []*device
		for i := range t.shards {
			s := &t.shards[i]
			batch = batch[:0]
			s.mu.RLock()
			for _, d := range s.m {
				batch = append(batch, d)
			}
			s.mu.RUnlock()
			for _, d := range batch {
				if !yield(d) {
					return
				}
			}
		}
	}
}

// where is what makes two peers the same other end: an association wherever it is, or else an address.
type where struct {
	transport   string
	association uint64
	remote      netip.AddrPort
}

func whereIs(p coap.Peer) where {
	if p.Association != 0 {
		return where{transport: p.Transport, association: p.Association}
	}
	return where{transport: p.Transport, remote: p.Remote}
}

// place stands for a peer in a table, in 8 bytes in place of 60; who finds a device by it compares its peer.
func (s *Server) place(p coap.Peer) uint64 { return maphash.Comparable(s.seed, whereIs(p)) }
