package mechanisms

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Overdue does what a [Supervisor] should have done: it puts back the knobs of leases whose deadline passed more than
// slack ago. It is for the guard, while the process that owns the state folder is there but does not move (stopped,
// hung, starved). It leaves the folder's files alone, for their owner finds them as it left them; when the owner moves
// again it ends the same leases again, which does no harm. skip tells which leases were dealt with before.
func Overdue(ctx context.Context, c Config, slack time.Duration, skip func(Lease) bool, drivers ...Driver) (Ended, error) {
	s, err := newSupervisor(c)
	if err != nil {
		return Ended{}, err
	}
	s.journal.look = true
	if err := s.load(); err != nil {
		return Ended{}, err
	}
	now := s.cfg.Clock.Uptime()
	gone := s.leases.drop(func(l *Lease) bool { return l.Deadline+slack <= now })
	var out Ended
	for _, l := range gone {
		if !skip(*l) {
			out.Leases = append(out.Leases, *l)
		}
	}
	if s.stopped = s.readHandsOff(); len(out.Leases) == 0 || s.frozen() {
		return Ended{}, nil
	}
	for _, driver := range drivers {
		out.add(s.settle(ctx, &drive{Driver: driver, desc: driver.Describe(), patience: s.cfg.DriverPatience}, scopeOf(gone, driver.Describe().Name)))
	}
	for _, l := range out.Leases {
		s.record(Event{Kind: EventExpired, Mechanism: l.Mechanism, Owner: l.Owner, Plan: l.Plan, Lease: l.ID, Changes: out.Changes, Reason: "the daemon does not move"})
	}
	return out, nil
}

// OverdueNames tells which mechanisms' leases Overdue would end.
func OverdueNames(c Config, slack time.Duration, skip func(Lease) bool) ([]string, error) {
	s, err := newSupervisor(c)
	if err != nil {
		return nil, err
	}
	s.journal.look = true
	ls, _, err := s.journal.load()
	if err != nil {
		return nil, err
	}
	now := s.cfg.Clock.Uptime()
	var names []string
	for _, l := range ls.List {
		if l.Deadline+slack <= now && !skip(*l) && !slices.Contains(names, l.Mechanism) {
			names = append(names, l.Mechanism)
		}
	}
	return names, nil
}

// Ended is what Overdue has done.
type Ended struct {
	Leases  []Lease
	Changes []Change
	Pending int // knobs that can't be put back yet
}

func (e *Ended) add(t settled) {
	e.Changes = append(e.Changes, t.changes...)
	e.Pending += len(t.pending)
}

// Owner tells which supervisor owns a state folder at this moment; empty = none. Each supervisor has a name of its own.
func Owner(dir string) string {
	name := filepath.Join(dir, lockFile)
	f, err := tryLock(name)
	if err == nil {
		f.Close()
		return ""
	}
	if !errors.Is(err, errLocked) {
		return ""
	}
	b, err := os.ReadFile(name)
	if err != nil || len(b) == 0 {
		return "unnamed"
	}
	return string(b)
}

// Peek reads a state folder without owning it: how many knobs are away from their old value, and when the next
// lease ends in uptime (zero = none).
func Peek(c Config) (outstanding int, deadline time.Duration, err error) {
	s, err := newSupervisor(c)
	if err != nil {
		return 0, 0, err
	}
	s.journal.look = true
	ls, _, err := s.journal.load()
	deadline, _ = ls.deadline()
	return len(s.journal.entries), deadline, err
}
