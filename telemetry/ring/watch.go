package ring

import (
	"math"
	"slices"
	"time"
)

// Bounds are the limits of a watch, in the metric's own unit. NaN means no limit. A value on a
// limit is inside.
type Bounds struct{ Above, Below float64 }

// Unbounded is a watch that never fires.
var Unbounded = Bounds{Above: math.NaN(), Below: math.NaN()}

// Side says where a value lies.
type Side int8

// The sides of [Bounds].
const (
	Under  Side = -1
	Inside Side = 0
	Over   Side = 1
)

// side is where v lies; a missing value (NaN) stays where it was.
func (b Bounds) side(v float64, was Side) Side {
	switch {
	case math.IsNaN(v):
		return was
	case v > b.Above:
		return Over
	case v < b.Below:
		return Under
	}
	return Inside
}

func (b Bounds) equal(o Bounds) bool {
	return sameLimit(b.Above, o.Above) && sameLimit(b.Below, o.Below)
}

func sameLimit(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// Crossing is what a watch reports: the value went past a limit that it was not past before.
type Crossing struct {
	Watch *Watch
	Side  Side // Over or Under
	Limit float64
	Value float64
	Time  time.Time // of the sample
}

// Watch reports crossings of one selection.
type Watch struct {
	sel    *Selection
	fire   func(Crossing)
	bounds Bounds // under sel.mu, as all below
	side   Side
	ended  bool
}

// Watch calls fire whenever the selection's value goes past a limit, and at once if it is past one
// already. It calls once for each crossing, not for each sample beyond: the value has to come back
// inside, or go past the other limit, before fire is called again.
//
// fire runs in the goroutine that appended the sample and must not block; it may read selections
// and change watches. Appends in several goroutines may call it concurrently.
func (sel *Selection) Watch(b Bounds, fire func(Crossing)) *Watch {
	w := &Watch{sel: sel, fire: fire, bounds: Unbounded}
	sel.mu.Lock()
	if sel.closed {
		w.ended = true
	} else {
		sel.watches = append(sel.watches, w)
		sel.watched.Add(1)
	}
	sel.mu.Unlock()
	w.SetBounds(b)
	return w
}

// SetBounds changes the limits. Setting the same limits again does nothing; with others the watch
// fires at once if the value is past a limit that it has not been reported past.
func (w *Watch) SetBounds(b Bounds) {
	nowMS := w.sel.store.nowMS()
	w.sel.mu.Lock()
	if w.ended || w.bounds.equal(b) {
		w.sel.mu.Unlock()
		return
	}
	w.bounds, w.side = b, Inside
	w.sel.refresh(nowMS)
	crossing, crossed := w.judge()
	w.sel.mu.Unlock()
	if crossed {
		w.report(crossing)
	}
}

// Bounds returns the limits now.
func (w *Watch) Bounds() Bounds {
	w.sel.mu.Lock()
	defer w.sel.mu.Unlock()
	return w.bounds
}

// Close ends the watch. A call that has begun may still be running.
func (w *Watch) Close() {
	w.sel.mu.Lock()
	defer w.sel.mu.Unlock()
	if w.ended {
		return
	}
	w.ended = true
	if !w.sel.closed {
		w.sel.watches = slices.DeleteFunc(w.sel.watches, func(o *Watch) bool { return o == w })
		w.sel.watched.Add(-1)
	}
}

// judge moves the watch to the side where the value is now; sel.mu is held.
func (w *Watch) judge() (Crossing, bool) {
	now := w.sel.now
	was := w.side
	w.side = w.bounds.side(now.Value, was)
	if w.side == was || w.side == Inside {
		return Crossing{}, false
	}
	limit := w.bounds.Above
	if w.side == Under {
		limit = w.bounds.Below
	}
	return Crossing{Watch: w, Side: w.side, Limit: limit, Value: now.Value, Time: time.UnixMilli(now.UnixMS)}, true
}

func (w *Watch) report(c Crossing) {
	w.sel.store.counts.crossings.Add(1)
	w.fire(c)
}

// touch takes note that a member has a new sample, and reports crossings if someone watches.
func (sel *Selection) touch() {
	sel.dirty.Store(true)
	if sel.watched.Load() > 0 {
		sel.settle()
	}
}

// settle reduces and reports the crossings.
func (sel *Selection) settle() {
	nowMS := sel.store.nowMS()
	var few [4]Crossing
	crossings := few[:0]
	sel.mu.Lock()
	sel.refresh(nowMS)
	for _, w := range sel.watches {
		if c, crossed := w.judge(); crossed {
			crossings = append(crossings, c)
		}
	}
	sel.mu.Unlock()
	for _, c := range crossings {
		c.Watch.report(c)
	}
}
