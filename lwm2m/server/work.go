package server

import (
	"context"
	"sync"
)

// work does what devices wait for: follow-ups of registrations, and queued requests. A device is worked off by one worker
// at a time; workers live only while there is work, and there are at most so many of each crew. A device's lock may be held while
// that of work is taken, never the other way round.
type work struct {
	server *Server

	mu      sync.Mutex
	ctx     context.Context // nil: nothing is done
	crews   [crews]crew
	scout   scout
	running sync.WaitGroup
	end     context.CancelFunc
}

// crew are workers with their line of devices.
type crew struct {
	line
	workers int
}

// Anybody can register names without security from addresses where nobody answers, and each keeps a worker waiting for a minute and
// a half. So devices that nobody has asked anything of have crews of their own, and who may not be where he says is for nobody else to
// wait for.
const (
	forKnown     = iota // devices with a credential, or of which something is wanted
	forStrangers        // others that are where they say
	forNewcomers        // others of which that is not known yet; see newcomer.go
	crews
)

// crew is whose work a device is. It is locked.
func (d *device) crew() int {
	switch {
	case d.peer.Identity != "" || len(d.observations) > 0 || len(d.wanted) > 0 || d.queue.length() > 0:
		return forKnown
	case d.flags&proven != 0:
		return forStrangers
	default:
		return forNewcomers
	}
}

func (w *work) start(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.end = context.WithCancel(ctx)
	for c := range w.crews {
		w.spawn(&w.crews[c])
	}
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
		w.change(d) // more may be wanted of it than when it came
		return
	}
	d.flags |= working
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enter(d)
}

// enter has a device wait in the line where it belongs. It is locked, and the lock is held.
func (w *work) enter(d *device) {
	c := &w.crews[d.crew()]
	c.push(d)
	w.spawn(c)
}

// change has a device that waits in another line than where it belongs by now do so there. It is locked.
func (w *work) change(d *device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := d.standing.line; l != nil && l != &w.crews[d.crew()].line {
		d.leave()
		w.enter(d)
	}
}

// drop has a device wait no longer. It is locked.
func (w *work) drop(d *device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.leave() != nil {
		d.flags &^= working | again
	}
}

// spawn starts workers for what waits, and the scout if newcomers wait in vain. The lock is held.
func (w *work) spawn(c *crew) {
	for n := 0; w.ctx != nil && c.workers < w.server.config.Limits.Workers && n < c.length; n++ {
		c.workers++
		ctx := w.ctx
		w.running.Go(func() { w.run(ctx, c) })
	}
	if c == &w.crews[forNewcomers] {
		w.sendScout(c)
	}
}

func (w *work) run(ctx context.Context, c *crew) {
	for {
		w.mu.Lock()
		d := c.first
		if d == nil || ctx.Err() != nil {
			c.workers--
			w.mu.Unlock()
			return
		}
		d.leave()
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
