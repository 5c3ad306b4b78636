package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// LeastInterval is the shortest interval that can be asked for.
const LeastInterval = 50 * time.Millisecond

// Config sets a [Runner] up. The zero value of every field means its default.
type Config struct {
	// Interval is how often sources are read when nobody asks for more. Default 1 s.
	Interval time.Duration
	// MaxLoad is the share of one processor that a source may take. Default 0.05.
	MaxLoad float64
	// Filter keeps the metrics whose names match one of these patterns (as in path.Match), and
	// those that somebody asks for. Empty keeps all.
	Filter []string
	// Clock stamps samples; default time.Now.
	Clock  func() time.Time
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.MaxLoad == 0 {
		c.MaxLoad = 0.05
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every problem of c at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.Interval < LeastInterval {
		errs = append(errs, fmt.Errorf("sources: interval is %v, the least is %v", c.Interval, LeastInterval))
	}
	if !(c.MaxLoad > 0 && c.MaxLoad <= 1) {
		errs = append(errs, fmt.Errorf("sources: max load is %v, it must be above 0 and at most 1", c.MaxLoad))
	}
	return errors.Join(append(errs, checkPatterns(c.Filter))...)
}

func checkPatterns(patterns []string) error {
	var errs []error
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			errs = append(errs, fmt.Errorf("sources: filter pattern %q: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// Runner reads sources into a ring. Create it with [New].
type Runner struct {
	config  Config
	workers []*worker

	mu       sync.RWMutex
	interval time.Duration
	filter   []string
	asks     map[*Ask]struct{}
}

// New returns a runner of the sources given, and of one more that tells about them.
func New(store *ring.Store, c Config, sources ...Source) (*Runner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	r := &Runner{config: c, interval: c.Interval, filter: slices.Clone(c.Filter), asks: make(map[*Ask]struct{})}
	for _, source := range append(slices.Clone(sources), r.about()) {
		w := newWorker(r, store, source)
		if slices.ContainsFunc(r.workers, func(o *worker) bool { return o.about.Name == w.about.Name }) {
			return nil, fmt.Errorf("sources: two sources have the name %q", w.about.Name)
		}
		r.workers = append(r.workers, w)
	}
	return r, nil
}

// Run reads every source at its pace until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, w := range r.workers {
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Collect reads every wanted source once, now.
func (r *Runner) Collect() {
	for _, w := range r.workers {
		w.collect()
	}
}

// Has reports whether a metric comes from one of the sources.
func (r *Runner) Has(metric string) bool {
	return slices.ContainsFunc(r.workers, func(w *worker) bool { return w.about.covers(metric) })
}

// SetFilter changes [Config.Filter] while running.
func (r *Runner) SetFilter(patterns []string) error {
	if err := checkPatterns(patterns); err != nil {
		return err
	}
	r.mu.Lock()
	r.filter = slices.Clone(patterns)
	r.mu.Unlock()
	r.reconsider()
	return nil
}

// SetInterval changes [Config.Interval] while running.
func (r *Runner) SetInterval(every time.Duration) error {
	if err := (Config{Interval: every}).Validate(); err != nil {
		return err
	}
	r.mu.Lock()
	r.interval = Config{Interval: every}.withDefaults().Interval
	r.mu.Unlock()
	r.reconsider()
	return nil
}

func (r *Runner) reconsider() {
	for _, w := range r.workers {
		w.wake()
	}
}

// Ask is somebody's wish for a metric.
type Ask struct {
	runner *Runner
	metric string
	every  time.Duration
}

// Ask wants the metric at least this often, until the ask is closed. Zero accepts the default pace
// and only makes sure that the metric is kept. Metrics that no source has are not an error: they
// may come from elsewhere.
func (r *Runner) Ask(metric string, every time.Duration) *Ask {
	if every > 0 {
		every = max(every, LeastInterval)
	}
	a := &Ask{r, metric, every}
	r.mu.Lock()
	r.asks[a] = struct{}{}
	r.mu.Unlock()
	r.reconsider()
	return a
}

// Close withdraws the wish.
func (a *Ask) Close() {
	a.runner.mu.Lock()
	delete(a.runner.asks, a)
	a.runner.mu.Unlock()
	a.runner.reconsider()
}

// keeps reports whether samples of this name are wanted.
func (r *Runner) keeps(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.filter) == 0 || r.matchesFilter(name) {
		return true
	}
	for a := range r.asks {
		if a.metric == name {
			return true
		}
	}
	return false
}

func (r *Runner) matchesFilter(name string) bool {
	return slices.ContainsFunc(r.filter, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

// pace returns how often the source is wanted; ok is false if it is not wanted at all.
func (r *Runner) pace(d Description) (every time.Duration, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	every, ok = d.Every, len(r.filter) == 0
	if every == 0 {
		every = r.interval
	}
	for _, m := range d.Metrics {
		ok = ok || r.mayMatch(m)
	}
	for a := range r.asks {
		if !d.covers(a.metric) {
			continue
		}
		ok = true
		if a.every > 0 {
			every = min(every, a.every)
		}
	}
	return every, ok
}

// mayMatch reports whether the filter could keep the metric; with a * in its name, it could.
func (r *Runner) mayMatch(m Metric) bool {
	return m.Name[len(m.Name)-1] == '*' || r.matchesFilter(m.Name)
}
