package coap

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// workers handle jobs: of one peer one at a time and in order, of all peers as many as there are workers. A worker is a
// goroutine that is started when there is work, and ends when there has been none for more of them than spare.
type workers struct {
	limit, spare int
	queue        int // jobs that may wait

	mu      sync.Mutex
	work    sync.Cond
	ready   []readyPeer // that have jobs, in the order in which they get a worker
	head    int         // first of ready
	waiting int         // jobs of all peers that wait
	running int
	idle    int
	closed  bool
	depths  atomic.Int64 // waiting, to be read without the lock

	ended sync.WaitGroup // workers, and what answers in the background
	extra chan struct{}  // room for the latter
}

type readyPeer struct {
	peer  *peer
	shard *shard
}

func (w *workers) init(l Limits) {
	w.limit, w.queue = l.Workers, l.Queue
	w.spare = min(w.limit, 2*runtime.GOMAXPROCS(0))
	w.work.L = &w.mu
	w.extra = make(chan struct{}, l.Workers)
}

// submit queues j for its peer, and says whether there was room.
func (e *Endpoint) submit(j *job) bool {
	s := e.shard(j.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peer(j.key, j.hash)
	if len(p.jobs) >= e.limits.PeerQueue || !e.workers.admit(readyPeer{p, s}, !p.working) {
		s.leave(p)
		return false
	}
	p.working = true
	p.jobs = append(p.jobs, j)
	return true
}

// admit counts a job in, and puts its peer into the queue if it does not stand there. The peer's shard is locked.
func (w *workers) admit(r readyPeer, enqueue bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.waiting >= w.queue {
		return false
	}
	w.waiting++
	w.depths.Store(int64(w.waiting))
	if !enqueue {
		return true
	}
	w.ready = append(w.ready, r)
	switch {
	case w.idle > 0:
		w.idle-- // here, lest the next one counts on the same worker
		w.work.Signal()
	case w.running < w.limit:
		w.running++
		w.ended.Go(w.loop)
	}
	return true
}

// depth is how many jobs wait.
func (w *workers) depth() int { return int(w.depths.Load()) }

// loop is a worker.
func (w *workers) loop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for w.head == len(w.ready) {
			if w.closed || w.idle >= w.spare {
				w.running--
				return
			}
			w.idle++ // whoever wakes it counts it out again
			w.work.Wait()
		}
		r := w.ready[w.head]
		w.ready[w.head] = readyPeer{}
		if w.head++; w.head == len(w.ready) || w.head > 1024 {
			w.ready, w.head = slices.Delete(w.ready, 0, w.head), 0
		}
		w.waiting--
		w.depths.Store(int64(w.waiting))
		w.mu.Unlock()
		again := r.next()
		w.mu.Lock()
		if again {
			w.ready = append(w.ready, r)
		}
	}
}

// next handles one job of the peer, and says whether it has more.
func (r readyPeer) next() bool {
	r.shard.mu.Lock()
	j := r.peer.jobs[0]
	r.peer.jobs = slices.Delete(r.peer.jobs, 0, 1)
	r.shard.mu.Unlock()
	j.run()
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	if len(r.peer.jobs) > 0 {
		return true
	}
	r.peer.working = false
	r.shard.leave(r.peer)
	return false
}

// background runs f beside the workers if there is room, and says whether there was.
func (w *workers) background(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	select {
	case w.extra <- struct{}{}:
	default:
		return false
	}
	w.ended.Go(func() {
		defer func() { <-w.extra }()
		f()
	})
	return true
}

// close waits until everything queued is handled, and every worker has ended.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.work.Broadcast()
	w.mu.Unlock()
	w.ended.Wait()
}
