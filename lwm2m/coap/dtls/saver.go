package dtls

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxHeld      = 4096 // messages that wait for a reservation to be durable
	maxHeldBytes = 4 << 20
	maxBatch     = 1024 // states saved at once
	saveRetry    = time.Second
)

// saver makes states durable, many at a time, and lets go the messages that waited for it.
type saver struct {
	transport *Transport
	failures  atomic.Uint64
	dropped   atomic.Uint64
	wake      chan struct{} // holds one: there is something to do

	mu        sync.Mutex
	dirty     []*association // each once
	held      []heldMessage
	heldBytes int
}

// heldMessage came in with a record whose acceptance is not durable yet, or is to go out with a sequence number that is not.
type heldMessage struct {
	association *association
	payload     []byte
	out         bool
}

func newSaver(t *Transport) *saver { return &saver{transport: t, wake: make(chan struct{}, 1)} }

// add has an association's state saved soon, or removed if it is gone.
func (s *saver) add(a *association) {
	s.mu.Lock()
	if !a.dirty {
		a.dirty = true
		s.dirty = append(s.dirty, a)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// hold keeps a message until its association's state is saved. The association has been added.
func (s *saver) hold(a *association, payload []byte, out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) >= maxHeld || s.heldBytes+len(payload) > maxHeldBytes {
		s.dropped.Add(1)
		return
	}
	s.held = append(s.held, heldMessage{a, bytes.Clone(payload), out})
	s.heldBytes += len(payload)
	if !a.dirty { // it was saved between being added and now
		a.dirty = true
		s.dirty = append(s.dirty, a)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *saver) take() (dirty []*association, held []heldMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dirty, held = s.dirty, s.held
	for _, a := range dirty {
		a.dirty = false
	}
	s.dirty, s.held, s.heldBytes = nil, nil, 0
	return dirty, held
}

// run saves until ctx is done, and then once more, so that the next process refuses nothing.
func (s *saver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			for _, a := range s.transport.table.all() {
				s.add(a)
			}
			s.round(true)
			return
		case <-s.wake:
			if s.round(false) {
				continue
			}
			select { // the disk is full or broken: neither give up nor spin
			case <-ctx.Done():
			case <-time.After(saveRetry):
			}
		}
	}
}

// round saves what is dirty, and reports success. Last says that nothing is received any more.
func (s *saver) round(last bool) bool {
	dirty, held := s.take()
	saved := true
	for start := 0; start < len(dirty); start += maxBatch {
		batch := dirty[start:min(start+maxBatch, len(dirty))]
		if err := s.save(batch, last); err != nil {
			s.failures.Add(1)
			s.transport.config.Logger.Error("DTLS associations could not be saved", "associations", len(batch), "error", err)
			for _, a := range batch {
				s.add(a)
			}
			saved = false
		}
	}
	if !saved {
		s.dropped.Add(uint64(len(held))) // as if the network had lost them
		return false
	}
	for _, h := range held {
		s.release(h)
	}
	return true
}

func (s *saver) release(h heldMessage) {
	if !h.out {
		s.transport.deliver(h.association, h.payload)
		return
	}
	if a, addr := s.transport.table.find(h.association.id); a != nil {
		_ = s.transport.seal(a, addr, typeApplication, h.payload) // or lost
	}
}

func (s *saver) save(batch []*association, last bool) error {
	type limits struct{ send, hold uint64 }
	states := make([]State, len(batch))
	reserved := make([]limits, len(batch))
	for i, a := range batch {
		states[i].ID = a.id
		if addr, asleep, removed := s.transport.table.view(a); !removed {
			states[i].Bytes, reserved[i].send, reserved[i].hold = a.reserve(addr, asleep || last)
		}
	}
	if err := s.transport.config.States.Save(states); err != nil {
		return err
	}
	for i, a := range batch {
		if states[i].Bytes != nil {
			a.reserved(reserved[i].send, reserved[i].hold)
		}
	}
	return nil
}
