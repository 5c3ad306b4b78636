package mechanisms

import (
	"context"
	"slices"
	"strings"
)

// Options lists what may be set, sorted by name. The envelope's bounds are not in it: they are the operator's, the
// options are the hardware's.
func (s *Supervisor) Options(ctx context.Context, mechanism string) ([]Knob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.drive(mechanism)
	if err != nil {
		return nil, err
	}
	if err := s.refresh(ctx, d); err != nil {
		return nil, err
	}
	return d.sorted(), nil
}

func (d *drive) sorted() []Knob {
	out := make([]Knob, 0, len(d.knobs))
	for _, k := range d.knobs {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Knob) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// State reads every knob of a mechanism and tells who holds it.
func (s *Supervisor) State(ctx context.Context, mechanism string) (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.drive(mechanism)
	if err != nil {
		return State{}, err
	}
	if err := s.refresh(ctx, d); err != nil {
		return State{}, err
	}
	st := State{Mechanism: d.desc.Name, At: s.cfg.Clock.Now(), HandsOff: s.stopped, Facts: d.facts(ctx)}
	for _, k := range d.sorted() {
		st.Knobs = append(st.Knobs, s.knobState(ctx, d, k))
	}
	return st, nil
}

func (s *Supervisor) knobState(ctx context.Context, d *drive, k Knob) KnobState {
	ks := KnobState{Knob: k.Name, Unit: k.Unit, Problem: k.Unavailable}
	if v, err := d.Read(ctx, k.Name); err == nil {
		ks.Value = v
	} else if ks.Problem == "" {
		ks.Problem = err.Error()
	}
	if b := s.journal.find(d.desc.Name, k.Name); b != nil {
		ks.Baseline = &b.Value
	}
	ks.Pending = slices.Contains(d.pending, k.Name)
	l := s.leases.top(d.desc.Name, k.Name)
	if l == nil {
		return ks
	}
	h := *l.hold(k.Name)
	ks.Wanted, ks.Since = &h.Wanted, h.Since
	ks.Owner, ks.Plan, ks.Lease, ks.Priority, ks.Expires = l.Owner, l.Plan, l.ID, l.Priority, l.Expires
	ks.Drifted = ks.Problem == "" && ks.Value != h.Effective
	return ks
}
