package proxy

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
)

const (
	maxKnobs = 64 // of one device
	maxWord  = 64 // bytes of a name or a value
)

// knob is one of a device's.
type knob struct {
	Name    string              `json:"name"`
	Kind    mechanisms.KnobKind `json:"kind"`
	Choices []string            `json:"choices,omitempty"`
	Min     float64             `json:"min,omitempty"`
	Max     float64             `json:"max,omitempty"`
	Unit    string              `json:"unit,omitempty"`
	Lease   time.Duration       `json:"lease,omitempty"` // the longest that the device takes; 0: it knows none
	Ours    string              `json:"ours,omitempty"`  // what this agent has turned it to under a lease that it renews; "" if it has not

	value string    // as last read; "" if never
	until time.Time // the end of the lease of what is Ours, as far as this process knows
	other holder
}

// holder is somebody else who has a knob under a lease.
type holder struct {
	name  string
	until time.Time // zero: until it gives the knob back
}

// holds says whether it still has it, as far as is known.
func (h holder) holds(now time.Time) bool {
	return h.name != "" && (h.until.IsZero() || now.Before(h.until))
}

// knobOf makes a knob of what a device tells of it.
func knobOf(o shell.Option) (knob, bool) {
	k, ok := positions(o.Knob, o.Values)
	k.Unit, k.Lease = o.Unit, o.Lease
	return k, ok && nameable(k.Name)
}

// positions reads what a knob takes: "LOW,MEDIUM,HIGH", or "1..3600".
func positions(name, text string) (knob, bool) {
	if low, high, ok := strings.Cut(text, ".."); ok {
		lo, err := strconv.ParseFloat(low, 64)
		hi, err2 := strconv.ParseFloat(high, 64)
		return knob{Name: name, Kind: mechanisms.KindNumber, Min: lo, Max: hi}, err == nil && err2 == nil && finite(lo) && finite(hi) && lo <= hi
	}
	choices := strings.Split(text, ",")
	for i := range choices {
		choices[i] = strings.TrimSpace(choices[i])
	}
	bad := slices.ContainsFunc(choices, func(c string) bool {
		return c == "" || len(c) > maxWord || strings.Contains(c, " ") || !shell.Printable(c)
	})
	return knob{Name: name, Kind: mechanisms.KindChoice, Choices: choices}, !bad
}

// nameable says whether a name can stand in a command and in a policy's manifest.
func nameable(name string) bool {
	return name != "" && !strings.ContainsAny(name, "*?[\\ /") && shell.Printable(name)
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// speak begins to speak to the device's shell, whose answers come to one place. It belongs to the caller until leave is called, together with what is
// learnt of the answers.
func (d *device) speak(ctx context.Context) (s *shell.Shell, leave func(), err error) {
	client, err := d.proxy.asking()
	if err != nil {
		return nil, nil, err
	}
	if err := d.shell.take(ctx); err != nil {
		return nil, nil, errBusy
	}
	return shell.New(client, shell.Data(d.endpoint, 0)), d.shell.leave, nil
}

var errBusy = errors.New("it has not answered what it was asked before")

// refresh reads the knobs, and which they are if that is not known, and keeps those that this agent has turned.
func (d *device) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.proxy.config.Patience)
	defer cancel()
	s, leave, err := d.speak(ctx)
	if err != nil {
		return
	}
	defer d.proxy.saveChanges() // after leave: disks may be slow
	defer leave()
	list, err := s.List(ctx)
	d.note(err)
	if err != nil {
		return
	}
	now := d.taken(list)
	if !d.knows(now) {
		told, err := s.Options(ctx)
		if err != nil && !errors.Is(err, shell.ErrRefused) {
			return // what they take is asked next time
		}
		d.meet(now, told) // of one that only lists nothing is told
	}
	moved := d.learn(now)
	lost := d.renew(ctx, s)
	if moved || lost || d.othersHold() {
		_ = d.askHolders(ctx, s) // else next time
	}
}

// taken are the values of knobs that can be knobs here.
func (d *device) taken(list []shell.Value) map[string]string {
	m := map[string]string{}
	for _, v := range list {
		if nameable(v.Knob) && len(m) < maxKnobs {
			m[v.Knob] = v.Value
		}
	}
	return m
}

// knows says whether the device has said in this life what its knobs take, and whether they are those.
func (d *device) knows(now map[string]string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settled && len(d.knobs) == len(now) && !slices.ContainsFunc(d.knobs, func(k knob) bool { _, ok := now[k.Name]; return !ok })
}

// meet takes in which knobs there are. What this agent has turned stays its own.
func (d *device) meet(now map[string]string, told []shell.Option) {
	d.mu.Lock()
	before := d.knobs
	d.knobs, d.settled = d.proxy.config.merge(now, told), true
	for i := range d.knobs {
		k := &d.knobs[i]
		if at := slices.IndexFunc(before, func(old knob) bool { return old.Name == k.Name }); at >= 0 {
			k.Ours, k.until = before[at].Ours, before[at].until
		}
	}
	d.mu.Unlock()
	d.proxy.unsaved.Store(true)
}

// learn takes in where the knobs are, and says whether one has moved that may be somebody else's.
func (d *device) learn(now map[string]string) (moved bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.knobs {
		k := &d.knobs[i]
		moved = moved || k.Lease > 0 && k.value != now[k.Name]
		k.value = now[k.Name]
	}
	d.read = d.proxy.config.Now()
	return moved
}

// merge says what the knobs are of which a device lists the values: as it told, or else as the configuration has it. A knob of which nobody tells is a choice of one.
func (c *Config) merge(now map[string]string, told []shell.Option) (list []knob) {
	known := map[string]knob{}
	for _, o := range told {
		if k, ok := knobOf(o); ok {
			known[k.Name] = k
		}
	}
	for name, value := range now {
		k, ok := known[name]
		switch {
		case ok:
		case len(c.Choices[name]) > 0:
			k = knob{Name: name, Kind: mechanisms.KindChoice, Choices: c.Choices[name]}
		default:
			k = knob{Name: name, Kind: mechanisms.KindChoice, Choices: []string{value}}
		}
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b knob) int { return strings.Compare(a.Name, b.Name) })
	return list
}
