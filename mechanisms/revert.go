package mechanisms

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Renew moves a lease's deadline. A zero ttl means the one that it was granted with.
func (s *Supervisor) Renew(_ context.Context, id LeaseID, ttl time.Duration) (expires time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leases.find(id)
	if l == nil || l.Deadline <= s.cfg.Clock.Uptime() {
		return time.Time{}, noLease("renew", id)
	}
	l.TTL = min(orDefault(max(ttl, 0), l.TTL), s.cfg.MaxLease)
	l.Deadline = s.cfg.Clock.Uptime() + l.TTL
	l.Expires = s.cfg.Clock.Now().Add(l.TTL)
	s.saveLeases()
	s.nudge()
	return l.Expires, nil
}

func noLease(verb string, id LeaseID) error {
	return &Error{Code: CodeNoLease, Op: fmt.Sprintf("%s lease %q", verb, id), Why: "there is none of that name; it may have ended", Hint: "list the leases with the mechanism's state"}
}

// Leases returns a copy of what is held, in the order of granting.
func (s *Supervisor) Leases() []Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.leases.clone()
	out := make([]Lease, len(c.List))
	for i, l := range c.List {
		out[i] = *l
	}
	return out
}

// Revert ends a lease: its knobs go to the next lease below, or to their old values.
func (s *Supervisor) Revert(ctx context.Context, id LeaseID) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leases.find(id) == nil {
		return refusal(noLease("revert", id))
	}
	return s.end(ctx, EventReverted, "asked for", func(l *Lease) bool { return l.ID == id }), nil
}

// RevertOwner ends everything that an owner holds, in every mechanism.
func (s *Supervisor) RevertOwner(ctx context.Context, owner string) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(ctx, EventReverted, "asked for", func(l *Lease) bool { return l.Owner == owner })
}

// RevertAll puts every knob that was ever touched back to its old value. The result is PartlyUndone while some can't be.
func (s *Supervisor) RevertAll(ctx context.Context, reason string) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(ctx, EventReverted, reason, func(*Lease) bool { return true })
}

// end drops leases and settles their knobs. What can't be put back now stays in the journal and is tried again by Run.
func (s *Supervisor) end(ctx context.Context, kind, reason string, match func(*Lease) bool) Result {
	if s.frozen() {
		return Result{Outcome: Refused, Code: CodeHandsOff, Reason: s.stopped}
	}
	gone := s.leases.drop(match)
	if len(gone) > 0 {
		s.saveLeases()
	}
	sum := Result{Outcome: Unchanged}
	for _, d := range s.drives {
		t := s.settle(context.WithoutCancel(ctx), d, scopeOf(gone, d.desc.Name))
		sum.Changes = append(sum.Changes, t.changes...)
		s.tellPending(d, t)
		switch {
		case len(t.pending) > 0:
			sum.Outcome = PartlyUndone
			sum.Reason = fmt.Sprintf("%d knobs can't be put back yet; they are tried again", len(t.pending))
		case len(t.changes) > 0 && sum.Outcome == Unchanged:
			sum.Outcome = Applied
		}
	}
	s.recordEnd(kind, reason, gone, sum)
	return sum
}

func scopeOf(gone []*Lease, mechanism string) []string {
	var scope []string
	for _, l := range gone {
		if l.Mechanism == mechanism {
			scope = append(scope, l.knobs()...)
		}
	}
	return scope
}

// recordEnd writes one event for each lease that ended; the changes stand with the first.
func (s *Supervisor) recordEnd(kind, reason string, gone []*Lease, sum Result) {
	if len(gone) == 0 {
		if len(sum.Changes) > 0 && sum.Outcome != PartlyUndone {
			s.record(Event{Kind: EventReverted, Outcome: sum.Outcome, Changes: sum.Changes, Reason: reason})
		}
		return
	}
	for i, l := range gone {
		e := Event{Kind: kind, Mechanism: l.Mechanism, Owner: l.Owner, Plan: l.Plan, Lease: l.ID, Outcome: sum.Outcome, Reason: reason}
		if i == 0 {
			e.Changes = sum.Changes
		}
		s.record(e)
	}
}

// Pauses between attempts to put a knob back.
const (
	firstPause = time.Second
	lastPause  = 10 * time.Second
)

// tellPending says once which knobs wait to be put back, and sets the time of the next attempt.
func (s *Supervisor) tellPending(d *drive, t settled) {
	told := slices.Equal(t.pending, d.pending)
	d.pending = t.pending
	if len(t.pending) == 0 {
		d.pause = 0
		return
	}
	d.pause = min(max(2*d.pause, firstPause), lastPause)
	d.retryAt = s.cfg.Clock.Uptime() + d.pause
	if !told {
		s.record(Event{Kind: EventPending, Mechanism: d.desc.Name, Changes: t.changes, Reason: fmt.Sprintf("%v can't be put back yet", t.pending)})
	}
}

// reset lets go of an owner's knobs.
func (s *Supervisor) reset(ctx context.Context, c Command) (Result, error) {
	d, err := s.ready(ctx, c)
	if err != nil {
		return refusal(err)
	}
	knobs, err := s.ownedKnobs(ctx, d, c)
	if err != nil {
		return refusal(err)
	}
	s.leases.release(c.Mechanism, c.Owner, knobs)
	s.saveLeases()
	t := s.settle(context.WithoutCancel(ctx), d, knobs)
	s.tellPending(d, t)
	r := Result{Outcome: Unchanged, Changes: t.changes}
	switch {
	case len(t.pending) > 0:
		r.Outcome, r.Reason = PartlyUndone, fmt.Sprintf("%v can't be put back yet; they are tried again", t.pending)
	case len(t.changes) > 0:
		r.Outcome = Applied
	}
	return r, nil
}

// ownedKnobs are the knobs that a reset means: those named, or all, as far as the owner holds them.
func (s *Supervisor) ownedKnobs(ctx context.Context, d *drive, c Command) ([]string, error) {
	owned := s.leases.owned(c.Mechanism, c.Owner)
	if len(c.Settings) == 0 {
		return owned, nil
	}
	named := make([]Setting, len(c.Settings))
	for i, st := range c.Settings {
		named[i] = Setting{Knob: st.Knob}
	}
	settings, err := d.expand(ctx, named)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, st := range settings {
		if _, known := s.knob(ctx, d, st.Knob); !known {
			return nil, d.noKnob(st.Knob)
		}
		if slices.Contains(owned, st.Knob) {
			out = append(out, st.Knob)
		}
	}
	return out, nil
}

// foretellReset is reset without writing.
func (s *Supervisor) foretellReset(ctx context.Context, c Command) (Result, error) {
	d, err := s.ready(ctx, c)
	if err != nil {
		return refusal(err)
	}
	knobs, err := s.ownedKnobs(ctx, d, c)
	if err != nil {
		return refusal(err)
	}
	kept := s.leases
	defer func() { s.leases = kept }()
	s.leases = kept.clone()
	s.leases.release(c.Mechanism, c.Owner, knobs)
	r := Result{}
	for _, t := range s.targets(d, knobs) {
		now, err := d.Read(ctx, t.knob)
		ch := Change{Knob: t.knob, Unit: d.knobs[t.knob].Unit, Old: now, Requested: t.value, Effective: t.value}
		if err != nil {
			ch = skip(ch, err.Error())
		}
		r.Changes = append(r.Changes, ch)
	}
	r.Outcome = outcome(r.Changes)
	return r, nil
}
