package proxy

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
)

// device is one that the proxy stands for. Its life is from an announcement to the next, or to its farewell.
type device struct {
	proxy    *Proxy
	endpoint string
	shell    turn // a command, its answer, and what is learnt of it belong together

	mu     sync.Mutex
	about  *mqtt.Announcement // nil while it is not announced
	end    context.CancelFunc
	done   chan struct{}
	away   string // why it is not announced
	heard  time.Time
	failed error // of the last thing that was asked
	knobs  []knob
	read   time.Time // when the knobs' values were

	settled bool // it has said in this life what its knobs take, or that it doesn't tell
}

// turn is a lock that is waited for no longer than there is patience: who speaks to a device that does not answer holds it for long.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) leave() { <-t }

func newDevice(p *Proxy, endpoint string) *device {
	closed := make(chan struct{})
	close(closed)
	return &device{proxy: p, endpoint: endpoint, shell: make(turn, 1), done: closed, end: func() {}, heard: p.config.Now()}
}

// goesOn says whether a is the life that is followed already, and takes in what else it says: a lease depends on the lifetime.
func (d *device) goesOn(a *mqtt.Announcement) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	same := d.about != nil && d.about.Epoch == a.Epoch && d.about.Sleeps == a.Sleeps && slices.EqualFunc(d.about.Objects, a.Objects, sameOffer)
	if same {
		d.about = a
	}
	return same
}

// sameOffer says whether there is nothing more to observe: an instance that has come, such as that of a new workload, is.
func sameOffer(a, b mqtt.Offer) bool { return a.Name == b.Name && slices.Equal(a.Labels, b.Labels) }

// begin notes a new life, and ends the one before; before is closed when that has ended.
func (d *device) begin(a *mqtt.Announcement, end context.CancelFunc) (before <-chan struct{}, done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
	before, done = d.done, make(chan struct{})
	d.about, d.end, d.done, d.away, d.heard, d.failed = a, end, done, "", d.proxy.config.Now(), nil
	d.settled = false // its firmware may be another
	return before, done
}

func (d *device) leave(why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
	d.about, d.away, d.heard = nil, why, d.proxy.config.Now()
}

func (d *device) present() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.about != nil
}

// goneSince says since when the device is gone, if its place may be given to another.
func (d *device) goneSince() (since time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := len(d.knobs) == 0 || d.proxy.config.Now().Sub(d.heard) > forgetAfter
	return d.heard, d.about == nil && free
}

func (d *device) silent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed != nil
}

// awakeFor is how long a device that sleeps listens after it was heard: RFC 7252's MAX_TRANSMIT_WAIT, with which LwM2M's queue mode counts.
const awakeFor = 93 * time.Second

// absent says why the device can't be asked now, "" if it can.
func (d *device) absent() string {
	if why := d.proxy.unreachable(); why != "" {
		return why
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.about == nil:
		return d.away
	case d.about.Sleeps && d.proxy.config.Now().Sub(d.heard) > awakeFor:
		return "it sleeps, and was heard last at " + d.heard.UTC().Format(time.RFC3339)
	}
	return ""
}

// heardNow notes that the device has said something. What arrives after its farewell was said before.
func (d *device) heardNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.about != nil {
		d.heard, d.failed = d.proxy.config.Now(), nil
	}
}

// note notes what came of asking. A device that refuses answers, and so does one that answers somebody else.
func (d *device) note(err error) {
	if err == nil || errors.Is(err, shell.ErrRefused) || errors.Is(err, shell.ErrTalkedOver) || errors.Is(err, errHeld) {
		d.heardNow()
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = err
}

// run lives one life: it observes what there is to observe, then reads the knobs from time to time.
func (d *device) run(ctx context.Context) {
	d.mu.Lock()
	about := d.about
	d.mu.Unlock()
	if about == nil {
		return
	}
	d.proxy.append(MetricOnline, 1, d.proxy.config.Now(), d.endpoint, "")
	missing := d.proxy.wanted(about)
	knobs := about.Has(shell.Object)
	if knobs {
		d.refresh(ctx)
	}
	missing = d.observe(ctx, missing)
	tick := time.NewTicker(d.proxy.config.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		missing = d.observe(ctx, missing)
		if knobs && d.absent() == "" {
			d.refresh(ctx)
		}
	}
}

// target is a property to observe.
type target struct {
	topic    mqtt.Topic
	property Property
	instance string // "" for the only one
}

// wanted are the properties that a device offers and the configuration names.
func (p *Proxy) wanted(a *mqtt.Announcement) (list []target) {
	if p.config.Ring == nil {
		return nil
	}
	for _, property := range p.config.Properties {
		for _, o := range a.Objects {
			if o.Name == property.Object {
				list = append(list, targets(a.Thing, o, property)...)
			}
		}
	}
	return list
}

func targets(thing string, o mqtt.Offer, property Property) (list []target) {
	labels := o.Labels
	if len(labels) == 0 {
		labels = []uint16{0}
	}
	for _, n := range labels {
		t := target{topic: mqtt.Topic{Thing: thing, Object: o.Name, Label: mqtt.At(n), Affordance: mqtt.Property, Name: property.Name}, property: property}
		if n != 0 || len(labels) > 1 {
			t.instance = strconv.Itoa(int(n))
		}
		list = append(list, t)
	}
	return list
}

// observe asks for each target once, and returns those that have to be asked for again.
func (d *device) observe(ctx context.Context, list []target) (again []target) {
	client, err := d.proxy.asking()
	if err != nil {
		return list
	}
	for i, t := range list {
		if ctx.Err() != nil || d.absent() != "" {
			return append(again, list[i:]...)
		}
		first, err := d.watch(ctx, client, t)
		switch {
		case err == nil:
			d.heardNow()
			d.told(t, first.Objects, time.Time{})
		case hasNot(err):
			d.heardNow() // it answered: it has no such property
		default:
			d.note(err)
			again = append(again, t)
		}
	}
	return again
}

// watch observes a target with values at least every so often, or as often as the device tells if this agent may not say so.
func (d *device) watch(ctx context.Context, client *mqtt.Client, t target) (first *mqtt.Response, err error) {
	told := func(n *mqtt.Notification) { d.told(t, n.Objects, n.Time) }
	attributes := map[string]any{"pmax": int64(d.proxy.config.Settle / time.Second)}
	if first, _, err = client.Observe(ctx, t.topic, attributes, told); forbidden(err) {
		first, _, err = client.Observe(ctx, t.topic, nil, told)
	}
	return first, err
}

func forbidden(err error) bool {
	e := (*mqtt.Error)(nil)
	return errors.As(err, &e) && e.Status == mqtt.Forbidden
}

// hasNot says whether a device answered that it lacks what was asked for: no reason to ask again.
func hasNot(err error) bool {
	e := (*mqtt.Error)(nil)
	return errors.As(err, &e) && (e.Status == mqtt.NotFound || e.Status == mqtt.NotAllowed) && e.Code != "device.unknown"
}

// told takes a value in.
func (d *device) told(t target, o mqtt.Objects, at time.Time) {
	d.heardNow()
	v, ok := o.Property(t.topic)
	if !ok {
		return
	}
	f, ok := number(v)
	if !ok {
		return
	}
	if at.IsZero() || at.After(d.proxy.config.Now()) {
		at = d.proxy.config.Now()
	}
	scale := t.property.Scale
	scale = cmp.Or(scale, 1)
	d.proxy.append(t.property.Metric, f*scale, at, d.endpoint, t.instance)
}

// number is a value as a metric: gateways that follow D3.3 to the letter send all of them as text. What is no finite number is none: policies compare.
func number(v any) (float64, bool) {
	f, ok := float(v)
	return f, ok && finite(f)
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}
