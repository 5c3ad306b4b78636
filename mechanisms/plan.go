package mechanisms

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// changeSet is a set command thought through: what would be written, and what should come of it. Nothing has been
// written yet, and making one leaves no trace.
type changeSet struct {
	cmd     Command
	drive   *drive
	changes []Change // Effective is the value to write
}

// plan checks a set command against the knobs, the holders, the envelope and the pace.
func (s *Supervisor) plan(ctx context.Context, c Command) (*changeSet, error) {
	d, err := s.ready(ctx, c)
	if err != nil {
		return nil, err
	}
	settings, err := d.expand(ctx, c.Settings)
	if err != nil {
		return nil, err
	}
	cs := &changeSet{cmd: c, drive: d, changes: make([]Change, 0, len(settings))}
	for _, st := range settings {
		ch, err := s.admit(ctx, d, c, st)
		if err != nil {
			return nil, err
		}
		cs.changes = append(cs.changes, ch)
	}
	if !slices.ContainsFunc(cs.changes, func(ch Change) bool { return !ch.Skipped }) {
		return nil, &Error{Code: CodeUnavailable, Op: "set " + cs.changes[0].Knob, Why: cs.changes[0].Reason, Hint: "try again when it is back; nothing was written"}
	}
	return cs, s.checkPace(cs)
}

// ready finds the mechanism of a command that may be carried out.
func (s *Supervisor) ready(ctx context.Context, c Command) (*drive, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	d, err := s.drive(c.Mechanism)
	if err != nil {
		return nil, err
	}
	if err := s.mayWrite(c); err != nil {
		return nil, err
	}
	return d, s.refresh(ctx, d)
}

// expand replaces the driver's shorthands and the patterns by knobs, each at most once.
func (d *drive) expand(ctx context.Context, settings []Setting) ([]Setting, error) {
	if r, ok := d.Driver.(Resolver); ok {
		var err error
		if settings, err = leashed(d, "resolve settings", func() ([]Setting, error) { return r.Resolve(ctx, settings) }); err != nil {
			return nil, err
		}
	}
	var out []Setting
	seen := map[string]Value{}
	for _, st := range settings {
		names, err := d.match(st.Knob)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if v, twice := seen[name]; twice && v != st.Value {
				return nil, &Error{Code: CodeBadCommand, Op: "set " + name, Why: fmt.Sprintf("the command asks for both %s and %s", v, st.Value), Hint: "name each knob once"}
			} else if twice {
				continue
			}
			seen[name] = st.Value
			out = append(out, Setting{Knob: name, Value: st.Value})
		}
	}
	return out, nil
}

// match returns the knobs that a name or pattern stands for. A pattern passes over read-only knobs.
func (d *drive) match(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}, nil
	}
	var names []string
	for name, k := range d.knobs {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, &Error{Code: CodeBadCommand, Op: "match " + pattern, Why: "the pattern can't be read", Hint: "use * for any part of a name", Err: err}
		}
		if ok && !k.ReadOnly {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, d.noKnob(pattern)
	}
	slices.Sort(names)
	return names, nil
}

func (d *drive) noKnob(name string) error {
	return &Error{Code: CodeNoKnob, Op: "set " + name, Why: fmt.Sprintf("%s has no such knob here", d.desc.Name), Hint: "list them with: edgehold mechanism options " + d.desc.Name}
}

// admit decides about one setting.
func (s *Supervisor) admit(ctx context.Context, d *drive, c Command, st Setting) (Change, error) {
	k, ok := s.knob(ctx, d, st.Knob)
	if !ok {
		return Change{}, d.noKnob(st.Knob)
	}
	ch := Change{Knob: k.Name, Unit: k.Unit, Requested: st.Value}
	if k.ReadOnly {
		return ch, &Error{Code: CodeReadOnly, Op: "set " + k.Name, Why: "the hardware only shows it", Hint: "choose another knob"}
	}
	if k.Unavailable != "" {
		return skip(ch, k.Unavailable), nil
	}
	asked, err := k.resolve(st.Value)
	if err != nil {
		return ch, err
	}
	ch.Requested = asked
	if err := s.checkHolder(c, d, k); err != nil {
		return ch, err
	}
	ch.Old, err = d.Read(ctx, k.Name)
	if errors.Is(err, ErrUnavailable) {
		d.stale = true
		return skip(ch, err.Error()), nil
	}
	if err != nil {
		return ch, &Error{Code: CodeDriver, Op: "read " + k.Name, Why: "the driver can't", Hint: "run edgehold doctor", Err: err}
	}
	ch.Effective, ch.Reason, err = s.cfg.Envelope.of(d.desc.Name, k.Name).admit(k, ch.Old, asked)
	return ch, err
}

func skip(ch Change, why string) Change {
	ch.Skipped, ch.Reason = true, why
	return ch
}

// checkHolder refuses a knob that someone else holds with the same or a higher priority, itself or another of its conflict key.
func (s *Supervisor) checkHolder(c Command, d *drive, k Knob) error {
	l, knob := s.rival(c.Owner, d, k)
	if l == nil || l.Priority < c.Priority {
		return nil
	}
	return &Error{Code: CodeHeld, Op: "set " + k.Name,
		Why:  fmt.Sprintf("%s holds %s with priority %d until %s", l.Owner, knob, l.Priority, l.Expires.UTC().Format(time.RFC3339)),
		Hint: "wait, revert lease " + string(l.ID) + ", or ask with a higher priority than its"}
}

// rival returns the strongest lease of anybody else on the knob's conflict key, and the knob that it holds.
func (s *Supervisor) rival(owner string, d *drive, k Knob) (best *Lease, knob string) {
	for _, l := range s.leases.List {
		if l.Mechanism != d.desc.Name || l.Owner == owner || (best != nil && best.outranks(l)) {
			continue
		}
		for _, h := range l.Holds {
			if d.key(h.Knob) == k.key() {
				best, knob = l, h.Knob
			}
		}
	}
	return best, knob
}

// key is the conflict key of a knob that may not be listed at present.
func (d *drive) key(knob string) string {
	if k, ok := d.knobs[knob]; ok {
		return k.key()
	}
	return knob
}

// checkPace refuses a command that would change a knob too soon after the last change.
func (s *Supervisor) checkPace(cs *changeSet) error {
	now := s.cfg.Clock.Uptime()
	for _, ch := range cs.changes {
		if ch.Skipped || ch.Old == ch.Effective {
			continue
		}
		key, pace := s.pace(cs.drive, ch.Knob)
		if wait := s.pacer.wait(key, pace, now); wait > 0 {
			return &Error{Code: CodePaced, Op: "set " + ch.Knob, Why: fmt.Sprintf("it may change once in %s, after %d at once", pace.Every, max(pace.Burst, 1)),
				Hint: fmt.Sprintf("try again in %s", wait.Round(time.Millisecond))}
		}
	}
	return nil
}

func (s *Supervisor) takePace(cs *changeSet) {
	taken := map[string]bool{}
	for _, ch := range cs.changes {
		key, pace := s.pace(cs.drive, ch.Knob)
		if ch.Skipped || ch.Old == ch.Effective || taken[key] {
			continue
		}
		taken[key] = true
		s.pacer.take(key, pace, s.cfg.Clock.Uptime())
	}
}

func (s *Supervisor) pace(d *drive, knob string) (key string, p Pace) {
	p = d.desc.Pace
	if own := s.cfg.Envelope.of(d.desc.Name, knob).pace; own != nil {
		p = *own
	}
	return d.desc.Name + "/" + d.key(knob), p
}

// writes are the settings that differ from what is there.
func (cs *changeSet) writes() []Setting {
	var out []Setting
	for _, ch := range cs.changes {
		if !ch.Skipped && ch.Old != ch.Effective {
			out = append(out, Setting{Knob: ch.Knob, Value: ch.Effective})
		}
	}
	return out
}

// outcome sums the changes up; they hold what was read back, or foretold.
func outcome(changes []Change) Outcome {
	sum := Unchanged
	for _, ch := range changes {
		switch {
		case ch.Skipped || ch.Effective != ch.Requested:
			return Clamped
		case ch.Effective != ch.Old:
			sum = Applied
		}
	}
	return sum
}
