package knob

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Knob is one thing that can be turned: one of its choices, or a number in a range.
type Knob struct {
	Name     string // "TX_PWR"
	Choices  []string
	Min, Max float64 // of a number
	Unit     string
	Default  string
	// Apply turns it. It is called with the default when the panel is made, and never with what the knob does not take.
	Apply func(value string) error
}

// Values says what the knob takes: "LOW,MEDIUM,HIGH", or "1..3600".
func (k *Knob) Values() string {
	if len(k.Choices) > 0 {
		return strings.Join(k.Choices, ",")
	}
	return number(k.Min) + ".." + number(k.Max)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// takes returns the value in the form that is kept.
func (k *Knob) takes(value string) (string, error) {
	if len(k.Choices) > 0 {
		i := slices.IndexFunc(k.Choices, func(c string) bool { return strings.EqualFold(c, value) })
		if i < 0 {
			return "", fmt.Errorf("%w: %s takes %s", ErrValue, k.Name, k.Values())
		}
		return k.Choices[i], nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(f) || f < k.Min || f > k.Max {
		return "", fmt.Errorf("%w: %s takes %s", ErrValue, k.Name, strings.TrimSpace(k.Values()+" "+k.Unit))
	}
	return number(f), nil
}

// Errors of a Panel.
var (
	ErrUnknown = errors.New("there is no such knob")
	ErrValue   = errors.New("the knob does not take that")
)

// MaxLease bounds how long a setting with a lease holds.
const MaxLease = 24 * time.Hour

// Panel is the knobs of a device. It may be used by several goroutines.
type Panel struct {
	knobs []Knob

	mu     sync.Mutex
	values []string
	leases []*time.Timer // nil without one
	closed bool
}

// NewPanel turns every knob to its default.
func NewPanel(knobs ...Knob) (*Panel, error) {
	p := &Panel{knobs: knobs, values: make([]string, len(knobs)), leases: make([]*time.Timer, len(knobs))}
	var errs []error
	for i := range knobs {
		k := &knobs[i]
		v, err := k.takes(k.Default)
		if err == nil {
			p.values[i], err = v, p.apply(k, v)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("turn %s to its default %q: %w", k.Name, k.Default, err))
		}
	}
	return p, errors.Join(errs...)
}

func (p *Panel) apply(k *Knob, v string) error {
	if k.Apply == nil {
		return nil
	}
	return k.Apply(v)
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
	return p.values[i], nil
}

// Set turns a knob, until it is turned again.
func (p *Panel) Set(name, value string) error { return p.SetFor(name, value, 0) }

// SetFor turns a knob for a while, after which it goes back to its default; 0 is for ever.
func (p *Panel) SetFor(name, value string, lease time.Duration) error {
	i, v, err := p.check(name, value, lease)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.turn(i, v); err != nil {
		return err
	}
	if p.leases[i] != nil {
		p.leases[i].Stop()
		p.leases[i] = nil
	}
	if lease > 0 && !p.closed {
		var t *time.Timer
		t = time.AfterFunc(lease, func() { p.expire(i, &t) })
		p.leases[i] = t
	}
	return nil
}

// Check tells whether SetFor would take a setting.
func (p *Panel) Check(name, value string, lease time.Duration) error {
	_, _, err := p.check(name, value, lease)
	return err
}

func (p *Panel) check(name, value string, lease time.Duration) (place int, kept string, err error) {
	if place, err = p.find(name); err != nil {
		return place, "", err
	}
	if lease < 0 || lease > MaxLease {
		return place, "", fmt.Errorf("%w: a lease of %s is more than 0, at most %s", ErrValue, lease, MaxLease)
	}
	kept, err = p.knobs[place].takes(value)
	return place, kept, err
}

// Reset turns a knob to its default.
func (p *Panel) Reset(name string) error {
	i, err := p.find(name)
	if err != nil {
		return err
	}
	return p.Set(name, p.knobs[i].Default)
}

func (p *Panel) turn(i int, v string) error {
	if err := p.apply(&p.knobs[i], v); err != nil {
		return fmt.Errorf("turn %s to %s: %w", p.knobs[i].Name, v, err)
	}
	p.values[i] = v
	return nil
}

// expire goes back to the default, unless the lease was renewed meanwhile. A default that can't be had leaves the knob where it is.
func (p *Panel) expire(i int, lease **time.Timer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leases[i] != *lease || p.closed {
		return
	}
	p.leases[i] = nil
	v, err := p.knobs[i].takes(p.knobs[i].Default)
	if err == nil {
		_ = p.turn(i, v)
	}
}

// Close ends all leases, without turning anything.
func (p *Panel) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i, t := range p.leases {
		if t != nil {
			t.Stop()
			p.leases[i] = nil
		}
	}
}
