package mechanisms

import (
	"context"
	"fmt"
	"slices"
)

// Unregister ends every lease of a mechanism, puts its knobs back, and forgets its driver. With knobs that can't be put
// back now it fails and leaves everything registered, leases apart: it is tried again like any other way back. With force
// the driver goes all the same, and the journal keeps the old values for whoever registers the mechanism next.
func (s *Supervisor) Unregister(ctx context.Context, mechanism string, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.drive(mechanism)
	if err != nil {
		return err
	}
	op := "give up " + d.desc.Name
	if s.frozen() && !force {
		return &Error{Code: CodeHandsOff, Op: op, Why: s.stopped, Hint: "remove the hands-off file, or wait until its work is done"}
	}
	gone := s.leases.drop(func(l *Lease) bool { return l.Mechanism == d.desc.Name })
	if len(gone) > 0 {
		s.saveLeases()
	}
	t := s.settle(context.WithoutCancel(ctx), d, scopeOf(gone, d.desc.Name))
	s.tellPending(d, t)
	s.recordEnd(EventReverted, "the mechanism is given up", gone, Result{Outcome: ended(t), Changes: t.changes})
	if len(t.pending) > 0 && !force {
		return &Error{Code: CodeUnavailable, Op: op, Why: fmt.Sprintf("%v can't be put back yet; it is tried again", t.pending),
			Hint: "wait until the device answers, then try again"}
	}
	s.drives = slices.DeleteFunc(s.drives, func(o *drive) bool { return o == d })
	return nil
}

func ended(t settled) Outcome {
	switch {
	case len(t.pending) > 0:
		return PartlyUndone
	case len(t.changes) > 0:
		return Applied
	}
	return Unchanged
}
