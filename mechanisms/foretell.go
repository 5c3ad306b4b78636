package mechanisms

import "context"

// Foreteller is implemented by drivers that can tell what would become of settings without writing. Knobs that it has
// nothing to say about are left out of the answer.
type Foreteller interface {
	Foretell(ctx context.Context, settings []Setting) (map[string]Value, error)
}

// foretell corrects the changes of a simulation by what the driver knows.
func (cs *changeSet) foretell(ctx context.Context) error {
	f, ok := cs.drive.Driver.(Foreteller)
	if !ok || len(cs.writes()) == 0 {
		return nil
	}
	said, err := leashed(cs.drive, "foretell", func() (map[string]Value, error) { return f.Foretell(ctx, cs.writes()) })
	if err != nil {
		return &Error{Code: CodeDriver, Op: "simulate " + cs.cmd.Mechanism, Why: "the driver can't tell", Hint: "run edgehold doctor", Err: err}
	}
	for i := range cs.changes {
		ch := &cs.changes[i]
		if v, told := said[ch.Knob]; told && !ch.Skipped && v != ch.Effective {
			ch.Effective, ch.Reason = v, "the device would take this value"
		}
	}
	return nil
}
