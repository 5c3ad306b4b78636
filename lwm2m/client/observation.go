package client

import (
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// observation decides when what a server observes is worth a notification (LwM2M Core 1.2 §7.4.4). It has neither clock nor I/O: it is
// told the time and the values, and says when it wants to be asked again.
//
// A change marks it dirty; an evaluation, at most every epmin, looks at the values and may find them worth a notification; that one is sent
// once pmin has passed since the last. A pmax sends whatever there is.
type observation struct {
	paths      []lwm2m.Path
	composite  bool
	format     lwm2m.Format
	own        lwm2m.Attributes // that came with the request (1.2)
	attributes lwm2m.Attributes // own, those of the paths, the server's defaults
	sampling   time.Duration    // how often to look without being told; 0 for never

	dirty     bool // something has changed since the evaluation
	pending   bool // a notification is due
	evaluated time.Time
	sent      time.Time
	print     uint64  // of what was last sent
	reported  float64 // the number last sent, NaN if it was none
	seen      float64 // the number last evaluated
	history   lwm2m.Tree
	worth     int // values in the history, counting a tree as one
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// begin takes what the answer to the Observe tells as the first notification.
func (o *observation) begin(now time.Time, t lwm2m.Tree) {
	o.evaluated = now
	o.seen = o.number(t)
	o.delivered(now, t)
}

// due is when the observation wants to be looked at; ok is false for never. What may be sent now is due at the beginning of time.
func (o *observation) due() (at time.Time, ok bool) {
	sooner := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if o.pending {
		sooner(o.sent.Add(seconds(o.attributes.PMin)))
	}
	if o.dirty {
		sooner(o.evaluated.Add(seconds(o.attributes.EPMin)))
	}
	if period := o.period(); period > 0 {
		sooner(o.evaluated.Add(period))
	}
	if o.attributes.MaxPeriod() > 0 {
		sooner(o.sent.Add(seconds(o.attributes.MaxPeriod())))
	}
	return at, ok
}

// period is how often to evaluate without being told of a change.
func (o *observation) period() time.Duration {
	period := o.sampling
	if o.attributes.EPMax > 0 {
		period = seconds(o.attributes.EPMax)
	}
	if period > 0 {
		period = max(period, seconds(o.attributes.EPMin))
	}
	return period
}

// wantsValues tells whether it is time to evaluate.
func (o *observation) wantsValues(now time.Time) bool {
	since := now.Sub(o.evaluated)
	period := o.period()
	return o.dirty && since >= seconds(o.attributes.EPMin) || period > 0 && since >= period
}

// evaluate looks at the values.
func (o *observation) evaluate(now time.Time, t lwm2m.Tree, room int) {
	o.evaluated, o.dirty = now, false
	n := o.number(t)
	if o.notable(t, n) {
		o.pending = true
		o.remember(now, t, room)
	}
	o.seen = n
}

// wantsToSend tells whether a notification is due.
func (o *observation) wantsToSend(now time.Time) bool {
	since := now.Sub(o.sent)
	most := o.attributes.MaxPeriod()
	return o.pending && since >= seconds(o.attributes.PMin) || most > 0 && since >= seconds(most)
}

// delivered notes what has gone out.
func (o *observation) delivered(now time.Time, t lwm2m.Tree) {
	o.sent, o.pending = now, false
	o.print, o.reported = fingerprint(t), o.number(t)
	o.history, o.worth = nil, 0
}

// forget drops what has not been sent, for a server that wants nothing stored while it is away.
func (o *observation) forget() {
	o.pending, o.history, o.worth = false, nil, 0
}

const conditions = lwm2m.GT | lwm2m.LT | lwm2m.ST | lwm2m.Edge

// notable: any change without conditions; else one of the conditions.
func (o *observation) notable(t lwm2m.Tree, n float64) bool {
	a := &o.attributes
	if a.Has&conditions == 0 || math.IsNaN(n) {
		return fingerprint(t) != o.print
	}
	switch {
	case a.Has&lwm2m.Edge != 0 && !math.IsNaN(o.seen) && n != o.seen && (n != 0) == a.Edge:
		return true
	case a.Has&lwm2m.GT != 0 && (n > a.GT) != (o.seen > a.GT):
		return true
	case a.Has&lwm2m.LT != 0 && (n < a.LT) != (o.seen < a.LT):
		return true
	case a.Has&lwm2m.ST != 0 && !(math.Abs(n-o.reported) < a.ST):
		return true
	default:
		return false
	}
}

// number is the value as a number if a single numeric or boolean value is observed, NaN otherwise.
func (o *observation) number(t lwm2m.Tree) float64 {
	if o.composite || len(t) != 1 || o.paths[0].Depth() < 3 {
		return math.NaN()
	}
	return t[0].Value.Float()
}

// remember keeps a value that is worth a notification, with its time, if hqmax asks for it. The oldest give way, and room bounds it.
func (o *observation) remember(now time.Time, t lwm2m.Tree, room int) {
	if o.attributes.HQMax == 0 || len(t) == 0 {
		return
	}
	room = o.shed(int(o.attributes.HQMax)-1, room-len(t))
	if room < 0 {
		return
	}
	for _, r := range t {
		r.Time = now
		o.history = append(o.history, r)
	}
	o.worth++
}

// undelivered takes back what a notification said that did not arrive: it stands before what has come since. The oldest give way again.
func (o *observation) undelivered(history lwm2m.Tree, worth, room int) {
	o.pending = true
	o.history, o.worth = append(history, o.history...), worth+o.worth
	o.shed(int(o.attributes.HQMax), room-len(history))
}

// shed drops the oldest values until most trees are left and room is not below zero, and returns the room that there is then.
func (o *observation) shed(most, room int) int {
	for o.worth > 0 && (o.worth > most || room < 0) {
		oldest := o.history[0].Time
		kept := slices.DeleteFunc(o.history, func(r lwm2m.Record) bool { return r.Time.Equal(oldest) })
		room += len(o.history) - len(kept)
		o.history = kept
		o.worth--
	}
	return room
}

// overlaps tells whether a change at a path may change what is observed.
func (o *observation) overlaps(p lwm2m.Path) bool {
	return slices.ContainsFunc(o.paths, func(q lwm2m.Path) bool { return p.Overlaps(q) })
}

// seed makes fingerprints of this process; they are compared here only.
var seed = maphash.MakeSeed()

// fingerprint tells trees apart without keeping them: 8 bytes for each observation instead of its values.
func fingerprint(t lwm2m.Tree) uint64 {
	type link struct {
		before uint64
		path   lwm2m.Path
		value  lwm2m.Value
	}
	var sum uint64
	for _, r := range t {
		sum = maphash.Comparable(seed, link{sum, r.Path, r.Value})
	}
	return sum
}
