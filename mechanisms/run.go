package mechanisms

import (
	"context"
	"errors"
	"time"
)

// tick is how often Run looks for the hands-off file and for knobs that wait to be put back.
const tick = time.Second

// Run ends leases at their deadlines, puts back what could not be put back before, watches for drift and for the
// hands-off file. It returns when the context is done; knobs stay as they are then, see Close.
func (s *Supervisor) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	drift := s.cfg.Clock.Uptime() + s.cfg.DriftEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
		case <-timer.C:
		}
		s.Expire(ctx)
		if now := s.cfg.Clock.Uptime(); s.cfg.DriftEvery > 0 && now >= drift {
			s.CheckDrift(ctx)
			drift = now + s.cfg.DriftEvery
		}
		timer.Reset(s.untilNext())
	}
}

// untilNext is how long Run may sleep.
func (s *Supervisor) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.leases.deadline(); ok {
		return min(tick, max(d-s.cfg.Clock.Uptime(), 0))
	}
	return tick
}

// Expire does once what Run does all the time, drift apart: it obeys the hands-off file, ends the leases whose
// deadline has passed, and tries again what waits to be put back.
func (s *Supervisor) Expire(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.obeyHandsOff(ctx)
	now := s.cfg.Clock.Uptime()
	d, held := s.leases.deadline()
	if (held && d <= now) || s.anythingLoose() {
		s.end(ctx, EventExpired, "not renewed", func(l *Lease) bool { return l.Deadline <= now })
	}
}

// anythingLoose tells whether it is time to put something back: the journal has a knob that nobody holds and nothing needs.
func (s *Supervisor) anythingLoose() bool {
	now := s.cfg.Clock.Uptime()
	for _, d := range s.drives {
		if len(d.pending) > 0 && now < d.retryAt {
			continue
		}
		needed := s.needed(d)
		for _, e := range s.journal.entries {
			if e.Mechanism == d.desc.Name && !needed[e.Knob] && s.leases.top(e.Mechanism, e.Knob) == nil {
				return true
			}
		}
	}
	return false
}

// CheckDrift compares every held knob with what was read back when it was set, and follows the drift policy.
func (s *Supervisor) CheckDrift(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.frozen() {
		return
	}
	for _, d := range s.drives {
		for _, e := range append([]Baseline(nil), s.journal.entries...) {
			if e.Mechanism != d.desc.Name {
				continue
			}
			if l := s.leases.top(e.Mechanism, e.Knob); l != nil {
				s.checkKnob(ctx, d, l, l.hold(e.Knob))
			}
		}
	}
}

func (s *Supervisor) checkKnob(ctx context.Context, d *drive, l *Lease, h *Hold) {
	now, err := d.Read(ctx, h.Knob)
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			s.cfg.Logger.Warn("drift", "knob", h.Knob, "error", err)
		}
		return
	}
	if now == h.Effective {
		h.Drifted = nil
		return
	}
	if h.Drifted != nil && *h.Drifted == now {
		return
	}
	h.Drifted = &now
	s.onDrift(ctx, d, l, *h, now)
}

func (s *Supervisor) onDrift(ctx context.Context, d *drive, l *Lease, h Hold, now Value) {
	policy := s.cfg.Envelope.of(d.desc.Name, h.Knob).drift
	ch := Change{Knob: h.Knob, Unit: d.knobs[h.Knob].Unit, Old: h.Effective, Requested: h.Wanted, Effective: now}
	switch policy {
	case DriftReassert:
		t := s.turn(context.WithoutCancel(ctx), d, []Setting{{Knob: h.Knob, Value: h.Wanted}}, true, nil)[h.Knob]
		if t.err == nil {
			ch.Old, ch.Effective = now, t.value
			hold := l.hold(h.Knob)
			hold.Effective, hold.Drifted = t.value, nil
		} else {
			ch.Reason = t.err.Error()
		}
	case DriftYield:
		s.yield(d, h.Knob)
	}
	s.saveLeases()
	s.record(Event{Kind: EventDrift, Mechanism: d.desc.Name, Owner: l.Owner, Plan: l.Plan, Lease: l.ID, Changes: []Change{ch}, Reason: "policy: " + string(policy)})
}

// yield lets everyone go of a knob and leaves it to whoever moved it.
func (s *Supervisor) yield(d *drive, knob string) {
	for _, l := range s.leases.clone().List {
		if l.Mechanism == d.desc.Name {
			s.leases.release(l.Mechanism, l.Owner, []string{knob})
		}
	}
	if err := s.journal.remove(d.desc.Name, []string{knob}); err != nil {
		s.cfg.Logger.Error("journal", "error", err)
	}
}
