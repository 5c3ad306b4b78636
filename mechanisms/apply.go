package mechanisms

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Apply carries a command out under a lease, as a whole or not at all. The result tells what was read back. For the
// outcomes Refused, Undone and PartlyUndone an [*Error] with a code and a hint comes along.
//
// The context bounds waiting for the first write; what has begun is finished or undone whatever becomes of it.
func (s *Supervisor) Apply(ctx context.Context, c Command) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.cfg.Clock.Uptime()
	s.obeyHandsOff(ctx)
	c = s.canonical(c)
	var r Result
	var err error
	if c.Verb == Reset {
		r, err = s.reset(ctx, c)
	} else {
		r, err = s.set(ctx, c)
	}
	s.record(Event{Kind: EventCommand, Mechanism: c.Mechanism, Owner: c.Owner, Plan: c.Plan, Lease: r.Lease, Outcome: r.Outcome,
		Changes: r.Changes, Code: r.Code, Reason: r.Reason, Took: s.cfg.Clock.Uptime() - begun})
	return r, err
}

// Simulate tells what Apply would do now and touches nothing.
func (s *Supervisor) Simulate(ctx context.Context, c Command) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = s.canonical(c)
	if c.Verb == Reset {
		return s.foretellReset(ctx, c)
	}
	cs, err := s.plan(ctx, c)
	if err == nil {
		err = cs.foretell(ctx)
	}
	if err != nil {
		return refusal(err)
	}
	return Result{Outcome: outcome(cs.changes), Changes: cs.changes}, nil
}

// canonical replaces an alias by the mechanism's name.
func (s *Supervisor) canonical(c Command) Command {
	if d, err := s.drive(c.Mechanism); err == nil {
		c.Mechanism = d.desc.Name
	}
	return c
}

func refusal(err error) (Result, error) {
	r := Result{Outcome: Refused, Reason: err.Error()}
	if e, ok := errors.AsType[*Error](err); ok {
		r.Code = e.Code
	}
	return r, err
}

func (s *Supervisor) set(ctx context.Context, c Command) (Result, error) {
	cs, err := s.plan(ctx, c)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = s.remember(ctx, cs)
	}
	if err != nil {
		return refusal(err)
	}
	before := s.leases.clone()
	lease := s.grant(cs)
	if err := s.journal.saveLeases(s.leases); err != nil {
		s.leases = before
		return refusal(journalError("set "+c.Mechanism, err))
	}
	s.takePace(cs)
	got := s.turn(context.WithoutCancel(ctx), cs.drive, cs.writes(), true, nil)
	if err := failure(got); err != nil {
		return s.undo(ctx, cs, before, got, err)
	}
	return s.conclude(ctx, cs, lease, got), nil
}

// remember makes durable what the knobs are at now, and those that they may move along, before anything is written.
func (s *Supervisor) remember(ctx context.Context, cs *changeSet) error {
	var more []Baseline
	add := func(knob string, v Value) {
		more = append(more, Baseline{Mechanism: cs.drive.desc.Name, Driver: cs.drive.knobs[knob].Driver, Knob: knob, Value: v, Taken: s.cfg.Clock.Now()})
	}
	seen := map[string]bool{}
	known := func(knob string) bool {
		was := seen[knob]
		seen[knob] = true
		return was || s.journal.find(cs.drive.desc.Name, knob) != nil
	}
	for _, ch := range cs.changes {
		if !ch.Skipped && !known(ch.Knob) {
			add(ch.Knob, ch.Old)
		}
	}
	for _, ch := range cs.changes {
		if ch.Skipped {
			continue
		}
		for _, other := range cs.drive.knobs[ch.Knob].Affects {
			if known(other) {
				continue
			}
			if v, err := cs.drive.Read(ctx, other); err == nil {
				add(other, v)
			}
		}
	}
	if err := s.journal.add(more); err != nil {
		return journalError("set "+cs.cmd.Mechanism, err)
	}
	return nil
}

func journalError(op string, err error) error {
	return &Error{Code: CodeJournal, Op: op, Why: "the old values can't be kept safe, so nothing was written", Hint: "check free space and permissions of the state folder", Err: err}
}

// grant puts a lease for the change set in place of what its owner held of these knobs.
func (s *Supervisor) grant(cs *changeSet) *Lease {
	c, now := cs.cmd, s.cfg.Clock.Now()
	ttl := min(orDefault(c.Lease, s.cfg.DefaultLease), s.cfg.MaxLease)
	s.leases.Next++
	l := &Lease{ID: LeaseID(fmt.Sprintf("lease-%d", s.leases.Next)), Mechanism: c.Mechanism, Owner: c.Owner, Plan: c.Plan, Priority: c.Priority,
		Order: s.leases.Next, Granted: now, Expires: now.Add(ttl), Deadline: s.cfg.Clock.Uptime() + ttl, TTL: ttl}
	for _, ch := range cs.changes {
		if ch.Skipped {
			continue
		}
		l.Holds = append(l.Holds, Hold{Knob: ch.Knob, Wanted: ch.Effective, Effective: ch.Effective, Since: s.since(c, ch, now)})
	}
	s.leases.grant(l)
	s.nudge()
	return l
}

// since is when the owner took the knob to this value: renewing does not start it anew.
func (s *Supervisor) since(c Command, ch Change, now time.Time) time.Time {
	for _, l := range s.leases.List {
		if l.Mechanism != c.Mechanism || l.Owner != c.Owner {
			continue
		}
		if h := l.hold(ch.Knob); h != nil && h.Wanted == ch.Effective {
			return h.Since
		}
	}
	return now
}

func orDefault(d, other time.Duration) time.Duration {
	if d != 0 {
		return d
	}
	return other
}

// conclude compares what was read back with what was asked for.
func (s *Supervisor) conclude(ctx context.Context, cs *changeSet, l *Lease, got map[string]turned) Result {
	for i := range cs.changes {
		ch := &cs.changes[i]
		t, written := got[ch.Knob]
		if ch.Skipped || !written {
			continue
		}
		if errors.Is(t.err, ErrUnavailable) {
			*ch = skip(*ch, t.err.Error())
			s.leases.release(l.Mechanism, l.Owner, []string{ch.Knob})
			continue
		}
		if t.value != ch.Effective {
			ch.Reason = cs.drive.explain(ctx, ch.Knob, ch.Effective, t.value)
		}
		ch.Effective = t.value
		if h := l.hold(ch.Knob); h != nil {
			h.Effective = t.value
		}
	}
	s.saveLeases()
	return Result{Outcome: outcome(cs.changes), Changes: cs.changes, Lease: l.ID, Expires: l.Expires, TTL: l.TTL}
}

func (d *drive) explain(ctx context.Context, knob string, want, got Value) string {
	if e, ok := d.Driver.(Explainer); ok {
		why, _ := leashed(d, "explain "+knob, func() (string, error) { return e.Explain(ctx, knob, want, got), nil })
		if why != "" {
			return why
		}
	}
	return fmt.Sprintf("%s was written and accepted, %s is what it reads back", want, got)
}

// undo takes back what a failed command has written.
func (s *Supervisor) undo(ctx context.Context, cs *changeSet, before leases, got map[string]turned, cause error) (Result, error) {
	cs.drive.stale = true
	s.leases = before
	s.saveLeases()
	scope := make([]string, 0, len(got))
	for knob := range got {
		scope = append(scope, knob)
	}
	settled := s.settle(context.WithoutCancel(ctx), cs.drive, scope)
	s.tellPending(cs.drive, settled)
	err := &Error{Code: CodeWrite, Op: "set " + cs.cmd.Mechanism, Why: "a write failed, so the command was undone", Hint: "the changes say which knob refused and why", Err: cause}
	r := Result{Outcome: Undone, Code: err.Code, Changes: cs.changes}
	if len(settled.pending) > 0 {
		r.Outcome, err.Why = PartlyUndone, "a write failed, and not everything before it could be undone yet; it is tried again"
	}
	for i := range r.Changes {
		ch := &r.Changes[i]
		ch.Effective = settled.value(ch.Knob, ch.Old)
		if t := got[ch.Knob]; t.err != nil {
			ch.Reason = t.err.Error()
		}
	}
	r.Reason = err.Error()
	return r, err
}

func (s *Supervisor) saveLeases() {
	if err := s.journal.saveLeases(s.leases); err != nil {
		s.cfg.Logger.Error("leases", "error", err)
	}
}

// nudge tells Run that a deadline may have come nearer.
func (s *Supervisor) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
