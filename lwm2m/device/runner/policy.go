package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// Mechanism is what a device's knobs are called in manifests and plans, here as where an agent stands for the device.
const Mechanism = "DeviceKnobs"

// Bounds of policies.
const (
	defaultInterval = 30 * time.Second
	leastInterval   = 100 * time.Millisecond
	watchEvery      = time.Second // between two looks at metrics with bounds
	maxDecision     = 200         // bytes of what servers read of a decision
)

// Reading is what is known of a metric.
type Reading struct {
	Value float64
	Age   time.Duration
}

// policy is one that was started: an episode at each interval, in a fresh instance as on a node, over what the device knows of itself.
type policy struct {
	life
	init    wasmabi.Init // all but the context
	knobs   []turnable   // beside init.Knobs
	verbs   []string     // granted
	context keeper

	seq      uint64
	interval time.Duration
	next     time.Time // the next episode is due
	watch    time.Time // the next look at bounds is due
	bounds   []bound
	decision string

	observation wasmabi.Observation // of the runner's loop alone, as request is
	request     []byte
}

// fitsPolicy refuses a policy that this engine can't show what it asks for.
func fitsPolicy(m *wasmabi.Manifest) error {
	for _, r := range m.Metrics {
		if r.Query != "" {
			return &host.Refusal{Code: "device.query", Why: fmt.Sprintf("its metric %s is a query, and a device keeps no series", r.Name), Hint: "name a metric of the device, or run it on a node"}
		}
	}
	if m.Scope == wasmabi.ScopeApplication {
		return &host.Refusal{Code: "device.scope", Why: "it decides for an application, and a device has none", Hint: "give policy.yaml `scope: node`"}
	}
	return nil
}

func newPolicy(r *Runner, id uint16, m *host.Module, parameters map[string]float64) *policy {
	p := &policy{life: newLife(r, id, m), init: *wasmabi.NewInit(m.Manifest()), interval: defaultInterval}
	p.init.Asset, p.init.Parameters = wasmabi.ScopeNode, chosen(p.manifest, parameters)
	if ms := p.manifest.AnalyzeIntervalMS; ms > 0 {
		p.interval = max(time.Duration(ms)*time.Millisecond, leastInterval)
	}
	p.grant()
	for _, w := range p.manifest.Wake {
		p.bounds = append(p.bounds, bound{metric: w.Metric, above: w.Above, below: w.Below})
	}
	return p
}

// begin initialises the policy once, so that one that can't start is refused to whoever sent it.
func (p *policy) begin(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.meter.begin(now)
	if err := p.recall(ctx); err != nil {
		return err
	}
	s, err := p.initialise(ctx, now)
	if err != nil {
		return err
	}
	s.Close()
	p.running, p.next = true, now
	return nil
}

func (p *policy) due(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.module == nil:
		return idle
	case !p.running:
		return p.retryAt.Sub(now)
	case len(p.bounds) > 0 && p.watch.Before(p.next):
		return p.watch.Sub(now)
	}
	return p.next.Sub(now)
}

// run makes an episode if its time has come, or a metric has crossed a bound.
func (p *policy) run(ctx context.Context) {
	p.look() // before the lock: who holds it must not wait for the device's objects
	p.mu.Lock()
	changed := p.step(ctx)
	p.mu.Unlock()
	if changed {
		p.runner.config.Changed(p.id)
	}
}

func (p *policy) step(ctx context.Context) (changed bool) {
	now := time.Now()
	if p.module == nil || !p.running && now.Before(p.retryAt) {
		return false
	}
	p.watch = now.Add(watchEvery)
	trigger := uint32(wasmabi.TriggerPeriodic)
	if crossed(p.bounds, p.observation.Values) {
		trigger = wasmabi.TriggerWake
	} else if p.running && now.Before(p.next) {
		return false
	}
	if !p.running {
		p.meter.restarts++
	}
	before := p.decision
	p.next = now.Add(p.interval)
	if missing := p.missing(); missing != "" {
		p.decision = "waits for " + missing
		return p.decision != before
	}
	err := p.episode(ctx, now, trigger)
	if err == nil {
		p.running = true
	}
	if changed = p.note("decide", err); err != nil && !p.running {
		p.giveBackAll()
	}
	return changed || p.decision != before
}

// look puts the readings into the next observation.
func (p *policy) look() {
	o := &p.observation
	o.IDs, o.Values, o.AgesMS = o.IDs[:0], o.Values[:0], o.AgesMS[:0]
	for id := range p.manifest.Metrics {
		value, age := p.reading(&p.manifest.Metrics[id])
		o.IDs, o.Values, o.AgesMS = append(o.IDs, uint32(id)), append(o.Values, value), append(o.AgesMS, age)
	}
}

func (p *policy) reading(r *wasmabi.MetricRequest) (value float64, ageMS uint32) {
	if p.runner.config.Metric != nil {
		if v, ok := p.runner.config.Metric(r); ok && v.Value-v.Value == 0 {
			return v.Value, uint32(min(max(v.Age.Milliseconds(), 0), wasmabi.AgeMissing-1))
		}
	}
	return nan, wasmabi.AgeMissing
}

// missing names a metric that the policy can't do without and that has no value.
func (p *policy) missing() string {
	i := slices.IndexFunc(p.observation.IDs, func(id uint32) bool {
		return p.manifest.Metrics[id].Required && p.observation.AgesMS[id] == wasmabi.AgeMissing
	})
	if i < 0 {
		return ""
	}
	return p.manifest.Metrics[i].Name
}

// accept refuses: a policy takes no inputs.
func (p *policy) accept(string, Value, int) error { return ErrUnknown }

// end gives back what the policy holds, and keeps what it remembers.
func (p *policy) end(context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveBackAll()
	p.keep(true)
	p.module.Close()
	p.module, p.running = nil, false
}

func (p *policy) status(now time.Time) Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.measured(now)
	s.Decision = p.decision
	return s
}
