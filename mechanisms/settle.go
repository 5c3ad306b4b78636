package mechanisms

import (
	"context"
	"errors"
	"slices"
)

// turned is what came of one write.
type turned struct {
	value Value // read back
	err   error
}

// turn writes the settings in the driver's order and reads each one back; with care, it stops at the first failure.
// back names the knobs that go to their old value for good.
func (s *Supervisor) turn(ctx context.Context, d *drive, settings []Setting, care bool, back map[string]bool) map[string]turned {
	got := make(map[string]turned, len(settings))
	for _, st := range d.Order(d.present(ctx, settings), settings) {
		s.probe("turn " + st.Knob)
		err := d.put(ctx, st, back[st.Knob])
		s.probe("turned " + st.Knob)
		v, readErr := d.Read(ctx, st.Knob)
		if err == nil {
			err = readErr
		}
		got[st.Knob] = turned{v, err}
		if err != nil {
			d.stale = true
		}
		if care && err != nil && !errors.Is(err, ErrUnavailable) {
			return got
		}
	}
	d.lookAgain(ctx, got)
	return got
}

// present reads the knobs that are about to be written and those that they affect.
func (d *drive) present(ctx context.Context, settings []Setting) map[string]Value {
	now := map[string]Value{}
	read := func(knob string) {
		if _, done := now[knob]; done {
			return
		}
		if v, err := d.Read(ctx, knob); err == nil {
			now[knob] = v
		}
	}
	for _, st := range settings {
		read(st.Knob)
		for _, other := range d.knobs[st.Knob].Affects {
			read(other)
		}
	}
	return now
}

// lookAgain reads back once more: a later write may have moved what an earlier one had set.
func (d *drive) lookAgain(ctx context.Context, got map[string]turned) {
	if len(got) < 2 {
		return
	}
	for knob, t := range got {
		if t.err == nil {
			t.value, t.err = d.Read(ctx, knob)
			got[knob] = t
		}
	}
}

// failure returns an error that makes a command fail: any but "not available", unless nothing else is left.
func failure(got map[string]turned) error {
	var skipped error
	done := 0
	for _, t := range got {
		switch {
		case t.err == nil:
			done++
		case !errors.Is(t.err, ErrUnavailable):
			return t.err
		default:
			skipped = t.err
		}
	}
	if done == 0 {
		return skipped
	}
	return nil
}

// settled is what settle has done.
type settled struct {
	changes []Change
	pending []string // knobs that are not where they belong yet
}

func (t settled) value(knob string, other Value) Value {
	for _, ch := range t.changes {
		if ch.Knob == knob {
			return ch.Effective
		}
	}
	return other
}

// target is where a knob belongs.
type target struct {
	knob    string
	value   Value
	release bool // it is the old value and nothing needs it any more: forget the knob when it is there
}

// settle brings the knobs in scope where the leases and the journal say that they belong, and every knob that
// nobody holds any more to its old value. It is the one way back: undo, reset, expiry, recovery and the guard use it,
// and doing it twice does no harm.
func (s *Supervisor) settle(ctx context.Context, d *drive, scope []string) settled {
	if s.frozen() {
		return settled{}
	}
	if err := s.refresh(ctx, d); err != nil {
		s.cfg.Logger.Error("settle", "mechanism", d.desc.Name, "error", err)
	}
	targets := s.targets(d, scope)
	out := settled{changes: d.survey(ctx, targets)}
	for range settleRounds {
		writes := out.writes()
		if len(writes) == 0 {
			break
		}
		out.take(s.turn(ctx, d, writes, false, releases(targets)))
		out.lookAgain(ctx, d)
	}
	s.forget(d, targets, &out)
	out.changes = slices.DeleteFunc(out.changes, func(ch Change) bool { return ch.Old == ch.Effective && ch.Effective == ch.Requested })
	return out
}

// settleRounds is how often settle writes: once, and once more for what moved along when another knob was put back.
const settleRounds = 2

// survey compares where knobs are with where they belong.
func (d *drive) survey(ctx context.Context, targets []target) []Change {
	out := make([]Change, len(targets))
	for i, t := range targets {
		now, err := d.Read(ctx, t.knob)
		out[i] = Change{Knob: t.knob, Unit: d.knobs[t.knob].Unit, Old: now, Requested: t.value, Effective: now}
		if err != nil {
			out[i].Reason = err.Error()
		}
	}
	return out
}

// writes are the settings that are still needed.
func (t *settled) writes() []Setting {
	var out []Setting
	for _, ch := range t.changes {
		if ch.Reason == "" && ch.Effective != ch.Requested {
			out = append(out, Setting{Knob: ch.Knob, Value: ch.Requested})
		}
	}
	return out
}

// take enters what was read back.
func (t *settled) take(got map[string]turned) {
	for i := range t.changes {
		ch := &t.changes[i]
		g, ok := got[ch.Knob]
		if !ok {
			continue
		}
		if g.err != nil {
			ch.Reason = g.err.Error()
			continue
		}
		ch.Effective = g.value
	}
}

// lookAgain finds knobs that moved along with those written.
func (t *settled) lookAgain(ctx context.Context, d *drive) {
	for i := range t.changes {
		ch := &t.changes[i]
		if ch.Reason != "" {
			continue
		}
		if v, err := d.Read(ctx, ch.Knob); err == nil {
			ch.Effective = v
		}
	}
}

// forget drops the knobs that are back from the journal and notes those that are not.
func (s *Supervisor) forget(d *drive, targets []target, out *settled) {
	var back []string
	for i, t := range targets {
		ch := out.changes[i]
		switch {
		case ch.Reason != "" || ch.Effective != t.value:
			if t.release {
				out.pending = append(out.pending, t.knob)
			}
		case t.release:
			back = append(back, t.knob)
		}
		if l := s.leases.top(d.desc.Name, t.knob); l != nil && ch.Reason == "" {
			l.hold(t.knob).Effective = ch.Effective
		}
	}
	if err := s.journal.remove(d.desc.Name, back); err != nil {
		s.cfg.Logger.Error("journal", "error", err)
	}
}

// targets lists where the knobs of the journal belong.
func (s *Supervisor) targets(d *drive, scope []string) []target {
	needed := s.needed(d)
	var out []target
	var foreign []string
	for _, e := range s.journal.entries {
		if e.Mechanism != d.desc.Name {
			continue
		}
		if k, listed := d.knobs[e.Knob]; listed && k.Unavailable == "" && k.Driver != e.Driver {
			foreign = append(foreign, e.Knob)
			continue
		}
		inScope := slices.Contains(scope, e.Knob)
		if l := s.leases.top(e.Mechanism, e.Knob); l != nil {
			if inScope {
				out = append(out, target{knob: e.Knob, value: l.hold(e.Knob).Wanted})
			}
			continue
		}
		if !needed[e.Knob] || inScope {
			out = append(out, target{knob: e.Knob, value: e.Value, release: !needed[e.Knob]})
		}
	}
	s.disown(d, foreign)
	return out
}

// needed are the knobs that a held knob may move along, so that their old values must be kept.
func (s *Supervisor) needed(d *drive) map[string]bool {
	out := map[string]bool{}
	for _, l := range s.leases.List {
		if l.Mechanism != d.desc.Name {
			continue
		}
		for _, h := range l.Holds {
			for _, other := range d.knobs[h.Knob].Affects {
				out[other] = true
			}
		}
	}
	return out
}

// disown forgets knobs that are served by something else than when their old values were taken: those values
// mean nothing any more.
func (s *Supervisor) disown(d *drive, knobs []string) {
	if len(knobs) == 0 {
		return
	}
	if err := s.journal.remove(d.desc.Name, knobs); err != nil {
		s.cfg.Logger.Error("journal", "error", err)
	}
	for _, l := range s.leases.List {
		if l.Mechanism == d.desc.Name {
			l.Holds = slices.DeleteFunc(l.Holds, func(h Hold) bool { return slices.Contains(knobs, h.Knob) })
		}
	}
	s.leases.drop(func(l *Lease) bool { return len(l.Holds) == 0 })
	s.saveLeases()
	changes := make([]Change, len(knobs))
	for i, k := range knobs {
		changes[i] = Change{Knob: k, Skipped: true, Reason: "another kernel driver serves it now"}
	}
	s.record(Event{Kind: EventForeign, Mechanism: d.desc.Name, Changes: changes})
}
