package knob

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// MaxLease bounds how long a setting with a lease holds.
const MaxLease = 24 * time.Hour

const maxHolder = 64 // bytes

// hold is what a knob is held by.
type hold struct {
	holder string
	until  time.Time   // zero: until it is given back
	timer  *time.Timer // nil without a time
}

// Lease says for whom a knob is held, and for how long.
type Lease struct {
	Holder string        // nobody else's lease takes the knob from it; "" lets it go to any
	For    time.Duration // 0: until it is given back
}

// Held is a knob that somebody holds.
type Held struct {
	Name, Value, Holder string
	Left                time.Duration // 0: until it is given back
}

// SetFor turns a knob under a lease. At its end the knob goes back to what Set has turned it to last, else to its default.
func (p *Panel) SetFor(name, value string, l Lease) error {
	return p.lease(name, value, l, p.turn)
}

// Renew has the lease of a knob that still is where its holder turned it begin again. Whoever was overruled meanwhile, by a person or a
// restart, does not turn the knob again by it.
func (p *Panel) Renew(name, value string, l Lease) error {
	return p.lease(name, value, l, func(i int, v string) error {
		switch at := &p.places[i]; {
		case at.value != v:
			return fmt.Errorf("%w: %s is at %s", ErrLapsed, name, at.value)
		case at.hold == nil:
			return fmt.Errorf("%w: %s is at %s without a lease", ErrLapsed, name, at.value)
		}
		return nil
	})
}

// lease has a lease of a knob begin, if nobody else holds it and ready agrees; ready is called with mu held.
func (p *Panel) lease(name, value string, l Lease, ready func(place int, kept string) error) error {
	i, v, err := p.checkLease(name, value, l)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.free(i, l.Holder); err != nil {
		return err
	}
	if err := ready(i, v); err != nil {
		return err
	}
	p.take(i, l)
	return nil
}

// GiveBack ends a holder's hold of a knob, if it has one.
func (p *Panel) GiveBack(name, holder string) error {
	i, err := p.find(name)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.places[i].hold; h == nil || h.holder != holder {
		return nil
	}
	if err := p.turn(i, p.places[i].home); err != nil {
		return err
	}
	p.let(i)
	return nil
}

// Held returns the knobs that somebody holds.
func (p *Panel) Held() (all []Held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.places {
		h := p.places[i].hold
		if h == nil {
			continue
		}
		all = append(all, Held{Name: p.knobs[i].Name, Value: p.places[i].value, Holder: h.holder, Left: h.left()})
	}
	return all
}

// left is how long a hold lasts, in whole seconds, of which it says at least one.
func (h *hold) left() time.Duration {
	if h.until.IsZero() {
		return 0
	}
	return max(time.Until(h.until).Round(time.Second), time.Second)
}

// Check tells whether SetFor would take a setting.
func (p *Panel) Check(name, value string, l Lease) error {
	_, _, err := p.checkLease(name, value, l)
	return err
}

func (p *Panel) checkLease(name, value string, l Lease) (place int, kept string, err error) {
	switch {
	case l.For < 0 || l.For > MaxLease:
		return 0, "", fmt.Errorf("%w: a lease of %s is more than 0, at most %s", ErrLease, l.For, MaxLease)
	case len(l.Holder) > maxHolder || strings.ContainsFunc(l.Holder, func(r rune) bool { return r == '|' || r == ' ' || !unicode.IsPrint(r) }):
		return 0, "", fmt.Errorf("%w: a holder is one word of at most %d bytes", ErrLease, maxHolder)
	}
	return p.check(name, value)
}

// HeldError says who has what another one wants.
type HeldError struct {
	Knob, Holder string
	Left         time.Duration // 0: until it is given back
}

// Error says so to people.
func (e *HeldError) Error() string {
	text := e.Knob + " is held by " + e.Holder
	if e.Left > 0 {
		text += " for " + e.Left.String() + " more"
	}
	return text
}

// free refuses to let a holder have what another one has. With mu held, as for all that follow.
func (p *Panel) free(i int, holder string) error {
	h := p.places[i].hold
	if h == nil || h.holder == "" || h.holder == holder {
		return nil
	}
	return &HeldError{Knob: p.knobs[i].Name, Holder: h.holder, Left: h.left()}
}

// take begins a lease, in the place of any other.
func (p *Panel) take(i int, l Lease) {
	p.let(i)
	if p.closed {
		return
	}
	h := &hold{holder: l.Holder}
	if l.For > 0 {
		h.until = time.Now().Add(l.For)
		h.timer = time.AfterFunc(l.For, func() { p.expire(i, h) })
	}
	p.places[i].hold = h
}

// let forgets who holds a knob, and leaves it where it is.
func (p *Panel) let(i int) {
	if h := p.places[i].hold; h != nil && h.timer != nil {
		h.timer.Stop()
	}
	p.places[i].hold = nil
}

// retryExpiry is how long a knob that can't be turned back at the end of its lease is left before the next attempt.
const retryExpiry = 10 * time.Second

// expire turns a knob home, unless its lease was renewed or replaced meanwhile. If it can't be turned, it is tried again.
func (p *Panel) expire(i int, h *hold) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places[i].hold != h {
		return
	}
	if err := p.turn(i, p.places[i].home); err != nil {
		p.take(i, Lease{For: retryExpiry})
		return
	}
	p.let(i)
}
