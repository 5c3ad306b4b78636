package coap

// peer is a peer that something goes on with. It is there from the first job or exchange until the last has ended, and
// everything in it is guarded by its shard's lock.
type peer struct {
	key  key
	hash uint64

	jobs    []*job // waiting for a worker, in order
	working bool   // a worker has one of them, or the peer stands in the workers' queue

	exchanges []*exchange // that wait for anything of the peer
	unacked   int         // of them, those that count for NSTART
	waiting   []*turn     // exchanges that wait for their turn
}

// turn is the place of an exchange that waits for NSTART.
type turn struct{ granted chan struct{} }

func (p *peer) idle() bool {
	return len(p.jobs) == 0 && !p.working && len(p.exchanges) == 0 && p.unacked == 0 && len(p.waiting) == 0
}

// peer finds what goes on with k, or begins it. The shard is locked.
func (s *shard) peer(k key, hash uint64) *peer {
	p := s.peers[k]
	if p == nil {
		if n := len(s.spare); n > 0 {
			p, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			p = new(peer)
		}
		p.key, p.hash = k, hash
		s.peers[k] = p
	}
	return p
}

// sparePeers is how many of a shard are kept for who comes next.
const sparePeers = 16

// leave forgets p if nothing goes on with it any more. The shard is locked.
func (s *shard) leave(p *peer) {
	if !p.idle() {
		return
	}
	delete(s.peers, p.key)
	p.key = key{}
	if len(s.spare) < sparePeers {
		s.spare = append(s.spare, p)
	}
}
