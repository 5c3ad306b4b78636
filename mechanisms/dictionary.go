package mechanisms

import (
	"fmt"
	"path"
)

// Dictionary is implemented by drivers of mechanisms for which D3.3 defines a command dictionary.
type Dictionary interface {
	// ParseD33 reads one. Quantities are written with their units.
	ParseD33(dict map[string]any) (Command, error)
}

// Dictionary returns the driver's reader of D3.3 dictionaries, if it has one.
func (m *Supervised) Dictionary() (Dictionary, bool) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	d, err := m.s.drive(m.desc.Name)
	if err != nil {
		return nil, false
	}
	dict, ok := d.Driver.(Dictionary)
	return dict, ok
}

// checkUnits refuses rules of the envelope that bound a knob in another unit than its own.
func (s *Supervisor) checkUnits(d *drive) error {
	for _, r := range s.cfg.Envelope.Rules {
		if r.Unit == "" || r.Mechanism != "" && r.Mechanism != d.desc.Name {
			continue
		}
		for _, k := range d.sorted() {
			if matched, _ := path.Match(r.Knob, k.Name); (matched || r.Knob == "" || r.Knob == "*") && k.Kind == KindNumber && k.Unit != r.Unit {
				return &Error{
					Code: CodeConfig, Op: "bound " + k.Name + " of " + d.desc.Name, Why: fmt.Sprintf("the envelope's bounds are in %s, the knob is in %q", r.Unit, k.Unit),
					Hint: "write the bounds in the unit of the knob",
				}
			}
		}
	}
	return nil
}
