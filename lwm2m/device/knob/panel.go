package knob

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Panel is the knobs of a device. It may be used by several goroutines.
type Panel struct {
	knobs []Knob

	mu     sync.Mutex
	places []place // by knob
	closed bool
}

// place is where a knob stands.
type place struct {
	value string
	home  string // where it goes when what holds it ends: what it was last turned to by Set
	hold  *hold  // nil without one
}

// NewPanel turns every knob to its default.
func NewPanel(knobs ...Knob) (*Panel, error) {
	p := &Panel{knobs: knobs, places: make([]place, len(knobs))}
	var errs []error
	for i := range knobs {
		k := &knobs[i]
		v, err := k.takes(k.Default)
		if err == nil {
			p.places[i].home = v
			err = p.turn(i, v)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("default %q of %s: %w", k.Default, k.Name, err))
		}
	}
	return p, errors.Join(errs...)
}

func (p *Panel) find(name string) (int, error) {
	i := slices.IndexFunc(p.knobs, func(k Knob) bool { return k.Name == name })
	if i < 0 {
		return i, fmt.Errorf("%w: %.40q; there is %s", ErrUnknown, name, strings.Join(p.names(), ", "))
	}
	return i, nil
}

func (p *Panel) names() (all []string) {
	for i := range p.knobs {
		all = append(all, p.knobs[i].Name)
	}
	return all
}

// Knobs returns what there is. It is shared: do not change it.
func (p *Panel) Knobs() []Knob { return p.knobs }

// Get returns what a knob is at.
func (p *Panel) Get(name string) (string, error) {
	i, err := p.find(name)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.places[i].value, nil
}

// Set turns a knob for ever, whoever holds it, and ends that.
func (p *Panel) Set(name, value string) error {
	i, v, err := p.check(name, value)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.turn(i, v); err != nil {
		return err
	}
	p.places[i].home = v
	p.let(i)
	return nil
}

// Reset turns a knob to its default.
func (p *Panel) Reset(name string) error {
	i, err := p.find(name)
	if err != nil {
		return err
	}
	return p.Set(name, p.knobs[i].Default)
}

func (p *Panel) check(name, value string) (place int, kept string, err error) {
	if place, err = p.find(name); err != nil {
		return place, "", err
	}
	kept, err = p.knobs[place].takes(value)
	return place, kept, err
}

func (p *Panel) turn(i int, v string) error {
	if k := &p.knobs[i]; k.Apply != nil {
		if err := k.Apply(v); err != nil {
			return fmt.Errorf("turn %s to %s: %w", k.Name, v, err)
		}
	}
	p.places[i].value = v
	return nil
}

// Close ends all leases, without turning anything.
func (p *Panel) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i := range p.places {
		p.let(i)
	}
}
