package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// Proxy stands for devices. New makes one that knows what its file remembers; Run follows the devices.
type Proxy struct {
	config Config

	mu        sync.Mutex
	client    *mqtt.Client // nil until there is a connection
	trouble   error        // why there is none
	told      string       // of it in the log, and when
	toldAt    time.Time
	devices   map[string]*device
	gateways  map[string]bool // by name: online
	refused   int             // devices beyond the bound
	following sync.WaitGroup
	saving    sync.Mutex
	unsaved   atomic.Bool // what the file is to hold has changed
}

// New makes a proxy of a valid configuration. It connects to nothing yet.
func New(config Config) (*Proxy, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config.defaults()
	p := &Proxy{config: config, devices: map[string]*device{}, gateways: map[string]bool{}, trouble: errNotYet}
	known, err := load(config.File)
	if err != nil {
		return nil, err
	}
	for endpoint, knobs := range known {
		d := newDevice(p, endpoint)
		d.knobs, d.away = knobs, "it has not been announced since the agent started"
		p.devices[endpoint] = d
	}
	return p, p.describe()
}

var errNotYet = fmt.Errorf("the broker has not been reached yet")

func (p *Proxy) describe() error {
	if p.config.Ring == nil {
		return nil
	}
	metrics := append(slices.Clone(p.config.Properties), Property{Metric: MetricOnline, Unit: "1", Help: "Whether the device is announced: 1, or 0 when it is gone."})
	for _, m := range metrics {
		if err := p.config.Ring.Describe(m.Metric, ring.Meta{Kind: ring.Gauge, Unit: m.Unit, Help: m.Help}); err != nil {
			return fmt.Errorf("describe metric %s: %w", m.Metric, err)
		}
	}
	return nil
}

// Run connects, and follows the devices until ctx ends. A broker that can't be reached is tried again and again.
func (p *Proxy) Run(ctx context.Context) error {
	dial := p.config.dial()
	dial.Down = p.disconnected
	dial.Up = func(context.Context) { p.reached() }
	conn, err := mqtt.Dial(ctx, dial)
	if err != nil {
		return p.ended(ctx, err)
	}
	defer conn.Close()
	p.followOn(ctx, conn)
	return nil
}

// followOn follows the devices until ctx ends. What breaks off at its beginning, because the connection does or because the broker refuses a subscription, is begun again.
func (p *Proxy) followOn(ctx context.Context, bus mqtt.Bus) {
	for wait := followAgain; ; wait = min(2*wait, followAgainMost) {
		err := p.follow(ctx, bus)
		if ctx.Err() != nil {
			return
		}
		p.disconnected(err)
		p.leaveAll()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// leaveAll has the devices that were announced already be followed anew when they are again.
func (p *Proxy) leaveAll() {
	for _, d := range p.all() {
		if d.present() {
			d.leave("it has not been announced since the broker was reached")
		}
	}
}

// How long what broke off waits before it is begun again: at first, and at most.
const (
	followAgain     = 100 * time.Millisecond
	followAgainMost = time.Minute
)

// ended is why Run ends; what fails because ctx has ended is no failure.
func (p *Proxy) ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow devices: %w", err)
}

// follow is Run on a connection.
func (p *Proxy) follow(ctx context.Context, bus mqtt.Bus) error {
	ctx, stop := context.WithCancel(ctx)
	defer p.following.Wait()
	defer stop()
	client, err := mqtt.NewClient(ctx, bus, mqtt.ClientConfig{CBOR: true, Timeout: p.config.Patience, Logger: p.config.Logger})
	if err != nil {
		return err
	}
	defer client.Close()
	p.connected(client)
	defer p.connected(nil)
	cancel, err := client.Watch(ctx, mqtt.Watcher{
		Announced: func(a *mqtt.Announcement) { p.announced(ctx, a) }, Gone: p.gone, Gateway: p.gateway,
	})
	if err != nil {
		return err
	}
	defer cancel()
	tick := time.NewTicker(p.config.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.tellOnline()
			p.saveChanges()
		}
	}
}

func (p *Proxy) connected(c *mqtt.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client, p.trouble = c, nil; c == nil {
		p.trouble = errNotYet
	}
}

func (p *Proxy) disconnected(err error) {
	p.mu.Lock()
	p.trouble = err
	now, text := p.config.Now(), err.Error()
	news := text != p.told || now.Sub(p.toldAt) >= time.Minute
	if news {
		p.told, p.toldAt = text, now
	}
	p.mu.Unlock()
	if news {
		p.config.Logger.Warn("the devices' broker is away", "error", err)
	}
}

func (p *Proxy) reached() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil { // else devices are not followed yet
		p.trouble = nil
	}
}

// announced starts to follow a device, or does so anew if it began anew. It is called by the goroutine that reads, and does not block.
func (p *Proxy) announced(ctx context.Context, a *mqtt.Announcement) {
	if !p.config.follows(a.Thing) || strings.ContainsAny(a.Thing, `*?[\ `) || !shell.Printable(a.Thing) {
		return // such a name could not be told from a pattern of knobs, or not be shown
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.devices[a.Thing]
	switch {
	case d == nil && len(p.devices) >= p.config.Devices && !p.makeRoom():
		if p.refused++; p.refused == 1 {
			p.config.Logger.Warn("more devices are announced than are followed", "followed", len(p.devices))
		}
		return
	case d == nil:
		d = newDevice(p, a.Thing)
		p.devices[a.Thing] = d
	case d.goesOn(a):
		return
	}
	life, end := context.WithCancel(ctx)
	before, done := d.begin(a, end)
	p.following.Go(func() {
		defer close(done)
		<-before // the former life has ended
		d.run(life)
	})
}

// forgetAfter is how long a device that is gone keeps its place where others want it: something may have to be put back on it.
const forgetAfter = time.Hour

// makeRoom forgets the device that is gone for longest. One without knobs has nothing that could be put back. With mu held.
func (p *Proxy) makeRoom() bool {
	var oldest *device
	var since time.Time
	for _, d := range p.devices {
		if gone, ok := d.goneSince(); ok && (oldest == nil || gone.Before(since)) {
			oldest, since = d, gone
		}
	}
	if oldest == nil {
		return false
	}
	delete(p.devices, oldest.endpoint)
	return true
}

func (p *Proxy) gone(f *mqtt.Farewell) {
	p.mu.Lock()
	d := p.devices[f.Thing]
	p.mu.Unlock()
	if d == nil {
		return
	}
	d.leave("it is gone: " + f.Reason)
	p.append(MetricOnline, 0, p.config.Now(), f.Thing, "")
}

func (p *Proxy) gateway(g mqtt.Presence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.gateways[g.Name]; !known && len(p.gateways) >= 64 {
		return
	}
	p.gateways[g.Name] = g.Online
}

// innermost is the cause without who tried what on the way to it: it stands in a table, once for each knob.
func innermost(err error) error {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return err
}

// unreachable says why nobody can be asked now, "" if one can.
func (p *Proxy) unreachable() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trouble != nil {
		return "the broker can't be reached: " + innermost(p.trouble).Error()
	}
	for _, online := range p.gateways {
		if online {
			return ""
		}
	}
	if len(p.gateways) > 0 {
		return "the gateway is away"
	}
	return ""
}

// tellOnline says again which devices are there. While nobody can know, nothing is said, and what was said grows old.
func (p *Proxy) tellOnline() {
	if p.unreachable() != "" {
		return
	}
	now := p.config.Now()
	for _, d := range p.all() {
		if d.present() {
			p.append(MetricOnline, 1, now, d.endpoint, "")
		}
	}
}

// all are the devices by name.
func (p *Proxy) all() []*device {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*device, 0, len(p.devices))
	for _, d := range p.devices {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *device) int { return strings.Compare(a.endpoint, b.endpoint) })
	return list
}

func (p *Proxy) device(endpoint string) *device {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.devices[endpoint]
}

// asking is the client, or why there is none.
func (p *Proxy) asking() (*mqtt.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil {
		return nil, p.trouble
	}
	return p.client, nil
}

func (p *Proxy) append(metric string, v float64, at time.Time, endpoint, instance string) {
	if p.config.Ring == nil {
		return
	}
	labels := []ring.Label{{Name: LabelDevice, Value: endpoint}}
	if instance != "" {
		labels = append(labels, ring.Label{Name: LabelInstance, Value: instance})
	}
	_ = p.config.Ring.Append(metric, labels, at.UnixMilli(), v) // the ring counts what it refuses
}

// Status is what a person wants to know of a proxy.
type Status struct {
	Devices     int      // announced now
	Away        int      // known, and not announced
	Refused     int      // announcements beyond the bound
	Unreachable string   // why nobody can be asked, "" if one can
	Silent      []string // devices that do not answer although they are announced
}

// Status tells how it stands.
func (p *Proxy) Status() Status {
	s := Status{Unreachable: p.unreachable()}
	for _, d := range p.all() {
		switch present := d.present(); {
		case !present:
			s.Away++
		default:
			s.Devices++
			if d.silent() {
				s.Silent = append(s.Silent, d.endpoint)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Refused = p.refused
	return s
}
