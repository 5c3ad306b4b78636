// Package pool lends out a bounded number of interchangeable things that are dear to make. It starts no goroutine and
// knows no reason to throw a thing away: that is for the borrower to say.
package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrClosed is returned by Get when the pool was closed.
var ErrClosed = errors.New("pool is closed")

// Pool lends at most a fixed number of T at a time. The one used last is lent first, because its pages are warm.
type Pool[T any] struct {
	create  func(context.Context) (T, error)
	destroy func(T)
	slots   chan struct{} // one token for each T lent or being made
	done    chan struct{}

	mu     sync.Mutex
	idle   []T
	closed bool
}

// New returns a pool of at most limit things made by create and given up with destroy.
func New[T any](limit int, create func(context.Context) (T, error), destroy func(T)) *Pool[T] {
	return &Pool[T]{
		create:  create,
		destroy: destroy,
		slots:   make(chan struct{}, limit),
		done:    make(chan struct{}),
	}
}

// Get lends an idle thing or makes one; with all of them lent it waits until one comes back, ctx ends or the pool closes.
func (p *Pool[T]) Get(ctx context.Context) (T, error) {
	var zero T
	if err := p.acquire(ctx); err != nil {
		return zero, err
	}
	t, ok, err := p.pop()
	if ok || err != nil {
		if err != nil {
			p.release()
		}
		return t, err
	}
	if t, err = p.create(ctx); err != nil {
		p.release()
		return zero, err
	}
	return t, nil
}

// Put takes a thing back for the next borrower.
func (p *Pool[T]) Put(t T) {
	defer p.release()
	p.mu.Lock()
	if !p.closed {
		p.idle = append(p.idle, t)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.destroy(t)
}

// Discard destroys a thing that was lent.
func (p *Pool[T]) Discard(t T) {
	defer p.release()
	p.destroy(t)
}

// Idle returns how many things wait to be lent.
func (p *Pool[T]) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// Lent returns how many things are out.
func (p *Pool[T]) Lent() int { return len(p.slots) }

// Trim destroys idle things until at most keep are left, the longest unused first.
func (p *Pool[T]) Trim(keep int) {
	p.mu.Lock()
	n := max(0, len(p.idle)-keep)
	gone := append([]T(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.mu.Unlock()
	for _, t := range gone {
		p.destroy(t)
	}
}

// Close refuses further loans and waits until everything lent came back and was destroyed, or ctx ends.
func (p *Pool[T]) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.done)
	}
	p.mu.Unlock()
	p.Trim(0)
	for range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
			defer p.release()
		case <-ctx.Done():
			return fmt.Errorf("wait for %d lent: %w", len(p.slots), ctx.Err())
		}
	}
	return nil
}

func (p *Pool[T]) acquire(ctx context.Context) error {
	select { // a free slot is taken even if ctx has already ended: the borrower will find out
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-p.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("all %d are in use: %w", cap(p.slots), ctx.Err())
	}
}

func (p *Pool[T]) release() { <-p.slots }

func (p *Pool[T]) pop() (t T, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return t, false, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		t = p.idle[n-1]
		var zero T
		p.idle[n-1] = zero
		p.idle = p.idle[:n-1]
		return t, true, nil
	}
	return t, false, nil
}
