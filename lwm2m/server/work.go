package server

import (
	"context"
	"sync"
)

// work does what devices wait for: follow-ups of registrations, and queued requests. A device is worked off by one worker
// at a time; workers live only while there is work, and there are at most so many.
type work struct {
	server *Server

	mu      sync.Mutex
	ctx     context.Context // nil: nothing is done
	waiting []*device
	workers int
	running sync.WaitGroup
	end     context.CancelFunc
}

func (w *work) start(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.end = context.WithCancel(ctx)
	w.spawn()
}

func (w *work) stop() {
	w.mu.Lock()
	w.end()
	w.ctx = nil
	w.mu.Unlock()
	w.running.Wait()
}

// add has a worker look at a device. The device is locked.
func (w *work) add(d *device) {
	if d.flags&working != 0 {
		d.flags |= again
		return
	}
	d.flags |= working
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, d)
	w.spawn()
}

// spawn starts workers for what waits. The lock is held.
func (w *work) spawn() {
	for n := 0; w.ctx != nil && w.workers < w.server.config.Limits.Workers && n < len(w.waiting); n++ {
		w.workers++
		ctx := w.ctx
		w.running.Go(func() { w.run(ctx) })
	}
}

func (w *work) run(ctx context.Context) {
	for {
		w.mu.Lock()
		if len(w.waiting) == 0 || ctx.Err() != nil {
			w.workers--
			w.mu.Unlock()
			return
		}
		d := w.waiting[0]
		w.waiting[0] = nil
		if w.waiting = w.waiting[1:]; len(w.waiting) == 0 {
			w.waiting = nil
		}
		w.mu.Unlock()
		w.server.tend(ctx, d)
	}
}

// do runs f beside the devices' work. It returns false when nothing is done any more.
func (w *work) do(f func(ctx context.Context)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil {
		return false
	}
	ctx := w.ctx
	w.running.Go(func() { f(ctx) })
	return true
}

// tend does what there is to do for a device.
func (s *Server) tend(ctx context.Context, d *device) {
	d.mu.Lock()
	d.flags &^= again
	introduce := d.flags&followUp != 0 && !d.gone && !d.asleep()
	if introduce {
		d.flags &^= followUp
	}
	d.mu.Unlock()
	if introduce {
		s.introduce(ctx, d)
	}
	s.drain(ctx, d)
	d.mu.Lock()
	d.flags &^= working
	if d.flags&again != 0 && !d.gone {
		s.work.add(d)
	}
	d.mu.Unlock()
}
