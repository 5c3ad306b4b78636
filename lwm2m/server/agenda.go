package server

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda says when which device has to be looked at. It is one heap with at most one entry for each device: an entry is not
// moved when its device is due later, but put back when it comes up.
type agenda struct {
	mu      sync.Mutex
	entries entries
	sooner  chan struct{} // holds one when the first entry has changed
}

type entry struct {
	at     int64 // milliseconds since 1970
	device *device
}

// entries is the heap. A device knows its slot, counted from 1; 0 is none.
type entries []entry

func (e entries) Len() int           { return len(e) }
func (e entries) Less(i, j int) bool { return e[i].at < e[j].at }
func (e entries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].device.slot, e[j].device.slot = int32(i+1), int32(j+1)
}

func (e *entries) Push(x any) {
	*e = append(*e, x.(entry))
	(*e)[len(*e)-1].device.slot = int32(len(*e))
}

func (e *entries) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	x.device.slot = 0
	(*e)[last] = entry{}
	*e = (*e)[:last]
	return x
}

// set has the device looked at at a time.
func (a *agenda) set(at int64, d *device) {
	a.mu.Lock()
	if d.slot == 0 {
		heap.Push(&a.entries, entry{at, d})
	} else {
		a.entries[d.slot-1].at = at
		heap.Fix(&a.entries, int(d.slot-1))
	}
	first := a.entries[0].device == d
	a.mu.Unlock()
	if first {
		select {
		case a.sooner <- struct{}{}:
		default:
		}
	}
}

// remove forgets a device.
func (a *agenda) remove(d *device) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.slot != 0 {
		heap.Remove(&a.entries, int(d.slot-1))
	}
}

// take removes the first entry if it is due; if not it says how long that is off.
func (a *agenda) take(now int64) (e entry, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) == 0 {
		return entry{}, time.Hour
	}
	if at := a.entries[0].at; at > now {
		return entry{}, time.Duration(at-now) * time.Millisecond
	}
	return heap.Pop(&a.entries).(entry), 0
}

// run calls look for each entry that is due, until the context ends.
func (a *agenda) run(ctx context.Context, look func(d *device, at, now int64)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := milliseconds(time.Now())
		e, wait := a.take(now)
		if e.device != nil {
			look(e.device, e.at, now)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-a.sooner:
		case <-timer.C:
		}
	}
}

// schedule makes sure that the agenda looks at the device in time. It is locked.
func (s *Server) schedule(d *device) {
	at := d.expiry(s.config.Times.Grace)
	if d.flags&awake != 0 {
		at = min(at, d.seen+s.config.Times.Awake.Milliseconds())
	}
	if d.queue != nil {
		at = min(at, d.queue.nextDeadline())
	}
	if d.due == 0 || at < d.due {
		d.due = at
		s.agenda.set(at, d)
	}
}

// look does what is due of a device.
func (s *Server) look(d *device, at, now int64) {
	d.mu.Lock()
	if d.gone || d.due != at { // it was put on the agenda again meanwhile
		d.mu.Unlock()
		return
	}
	d.due = 0
	if d.expiry(s.config.Times.Grace) <= now {
		s.end(d, Expired) // unlocks
		return
	}
	asleep := false
	if d.flags&awake != 0 && d.seen+s.config.Times.Awake.Milliseconds() <= now {
		d.flags &^= awake
		asleep = true
	}
	overdue := d.queue.overdue(now)
	for _, j := range overdue {
		s.saveQueue(d, j)
	}
	s.schedule(d)
	if asleep {
		s.emit(Event{Kind: Asleep, Endpoint: d.endpoint})
	}
	d.mu.Unlock()
	for _, j := range overdue {
		s.finish(d, j, Answer{}, overdueError(d.endpoint, j.request))
	}
}
