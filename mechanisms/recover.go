package mechanisms

import (
	"context"
	"fmt"
	"slices"
)

// Register adds a driver and settles what an earlier process of this boot has left of its knobs: leases that still
// run are adopted, everything else goes back to its old value. Leases that the present envelope would not permit end too.
func (s *Supervisor) Register(ctx context.Context, driver Driver) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	desc := driver.Describe()
	for _, name := range append([]string{desc.Name}, desc.Aliases...) {
		if _, err := s.drive(name); err == nil {
			return &Error{Code: CodeConfig, Op: "register " + name, Why: "a mechanism of that name is there already", Hint: "give each mechanism a name of its own"}
		}
	}
	d := &drive{Driver: driver, desc: desc, patience: s.cfg.DriverPatience}
	if err := s.refresh(ctx, d); err != nil {
		return err
	}
	if err := s.checkUnits(d); err != nil {
		return err
	}
	s.obeyHandsOff(ctx)
	s.drives = append(s.drives, d)
	s.recover(ctx, d)
	return nil
}

func (s *Supervisor) recover(ctx context.Context, d *drive) {
	ended := s.leases.drop(func(l *Lease) bool { return l.Mechanism == d.desc.Name && !s.adoptable(l) })
	if len(ended) > 0 {
		s.saveLeases()
	}
	var scope []string
	for _, l := range s.leases.List {
		if l.Mechanism == d.desc.Name {
			scope = append(scope, l.knobs()...)
			s.record(Event{Kind: EventAdopted, Mechanism: l.Mechanism, Owner: l.Owner, Plan: l.Plan, Lease: l.ID, Reason: fmt.Sprintf("it runs until %s", l.Expires.UTC())})
		}
	}
	t := s.settle(ctx, d, append(scope, scopeOf(ended, d.desc.Name)...))
	s.tellPending(d, t)
	if len(t.changes) > 0 {
		s.record(Event{Kind: EventReverted, Mechanism: d.desc.Name, Changes: t.changes, Reason: "left by an earlier process"})
	}
	s.nudge()
}

// adoptable tells whether a lease of an earlier process may go on.
func (s *Supervisor) adoptable(l *Lease) bool {
	if l.Deadline <= s.cfg.Clock.Uptime() {
		return false
	}
	return !slices.ContainsFunc(l.Holds, func(h Hold) bool {
		return !s.cfg.Envelope.of(l.Mechanism, h.Knob).permits(h.Wanted) || s.journal.find(l.Mechanism, h.Knob) == nil
	})
}

// Close follows the exit policy and gives the state folder back. What could not be put back stays in the journal for
// the guard or the next start.
func (s *Supervisor) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	reason := "leases run on"
	if s.cfg.Exit == ExitRevert {
		reason = "knobs put back"
		if r := s.end(ctx, EventReverted, "the daemon ends", func(*Lease) bool { return true }); r.Outcome == PartlyUndone {
			reason = r.Reason
		}
	}
	s.record(Event{Kind: EventStopped, Reason: reason})
	return s.lock.Close()
}

// Unsettled names the mechanisms with knobs that are not at their old value, registered or not.
func (s *Supervisor) Unsettled() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range s.journal.entries {
		if !slices.Contains(names, e.Mechanism) {
			names = append(names, e.Mechanism)
		}
	}
	return names
}

// Outstanding returns how many knobs are not at their old value for our sake: held, or waiting to be put back.
func (s *Supervisor) Outstanding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.journal.entries)
}
