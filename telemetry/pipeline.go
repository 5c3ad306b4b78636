package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/telemetry/exposition"
	"github.com/edgehold/edgehold/telemetry/internal/listen"
	"github.com/edgehold/edgehold/telemetry/otlp"
	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
	"github.com/edgehold/edgehold/telemetry/trace"
)

// Config sets a [Pipeline] up. Its zero value measures this machine every second, listens nowhere
// and sends nothing.
type Config struct {
	Ring    ring.Config
	Sources sources.Config
	Host    sources.Host
	// More are read besides the host, such as what other parts of the daemon count.
	More []sources.Source
	OTLP otlp.Config
	// Exposition is where /metrics is served for Prometheus: 127.0.0.1:9464, or unix:///path. Empty
	// serves it nowhere; [Pipeline.Metrics] can be mounted elsewhere all the same.
	Exposition string
	Trace      trace.Config

	// Clock and Logger are for every part that has none of its own.
	Clock  func() time.Time
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, clock := range []*func() time.Time{&c.Ring.Clock, &c.Sources.Clock, &c.OTLP.Clock} {
		if *clock == nil {
			*clock = c.Clock
		}
	}
	for _, logger := range []**slog.Logger{&c.Ring.Logger, &c.Sources.Logger, &c.OTLP.Logger, &c.Trace.Logger} {
		if *logger == nil {
			*logger = c.Logger
		}
	}
	if c.OTLP.Idle == 0 {
		c.OTLP.Idle = c.Ring.Window
	}
	if c.OTLP.MaxSeriesInAll == 0 && c.Ring.MaxSeries > 0 {
		c.OTLP.MaxSeriesInAll = max(1, c.Ring.MaxSeries*3/4)
	}
	return c
}

// Validate reports every problem of c at once.
func (c Config) Validate() error {
	errs := []error{c.Ring.Validate(), c.Sources.Validate(), c.OTLP.Validate(), c.Trace.Validate()}
	if c.Exposition != "" {
		if err := listen.Check(c.Exposition); err != nil {
			errs = append(errs, fmt.Errorf("exposition: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Pipeline is all of a node's telemetry. Create it with [New].
type Pipeline struct {
	config   Config
	store    *ring.Store
	runner   *sources.Runner
	receiver *otlp.Receiver
	tracer   *trace.Tracer
	page     net.Listener // of the exposition; nil if it is not served
}

// New sets everything up. Nothing is read and nobody is answered before [Pipeline.Run]; only the
// addresses are taken, so that one in use is found out now.
func New(ctx context.Context, c Config) (*Pipeline, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p := &Pipeline{config: c.withDefaults()}
	if err := p.build(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Pipeline) build(ctx context.Context) (err error) {
	c := &p.config
	if p.store, err = ring.New(c.Ring); err != nil {
		return err
	}
	c.OTLP.Reserved = func(name string) bool { return p.runner.Has(name) }
	if p.receiver, err = otlp.New(p.store, c.OTLP); err != nil {
		return err
	}
	if p.tracer, err = trace.New(ctx, c.Trace); err != nil {
		return err
	}
	all := append(c.Host.Sources(), p.about())
	if p.runner, err = sources.New(p.store, c.Sources, append(all, c.More...)...); err != nil {
		return err
	}
	if c.Exposition != "" {
		if p.page, err = listen.Open(ctx, c.Exposition); err != nil {
			return fmt.Errorf("serve metrics: %w", err)
		}
	}
	return p.receiver.Open(ctx)
}

// Close gives up what New took, if Run is not called after all. After Run it does nothing.
func (p *Pipeline) Close() (err error) {
	if p.page != nil {
		if err = p.page.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	if p.receiver != nil {
		p.receiver.Close()
	}
	if p.tracer != nil {
		over, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		err = errors.Join(err, p.tracer.Shutdown(over))
	}
	return err
}

// Store is the ring that everything flows into.
func (p *Pipeline) Store() *ring.Store { return p.store }

// Sources reads the host.
func (p *Pipeline) Sources() *sources.Runner { return p.runner }

// Receiver takes metrics from applications.
func (p *Pipeline) Receiver() *otlp.Receiver { return p.receiver }

// Tracer makes spans.
func (p *Pipeline) Tracer() *trace.Tracer { return p.tracer }

// Metrics answers scrapes by Prometheus.
func (p *Pipeline) Metrics() http.Handler { return exposition.Handler(p.store) }

// Run reads, receives and serves until ctx ends, then sends the spans that wait. It returns when
// everything it started has ended.
func (p *Pipeline) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return p.store.Run(running) })
	group.Go(func() error { return p.runner.Run(running) })
	group.Go(func() error { return p.receiver.Run(running) })
	if p.page != nil {
		group.Go(func() error { return p.serve(running) })
	}
	err := group.Wait()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return errors.Join(err, p.tracer.Shutdown(ending))
}

// grace is how long ending may take: answers under way, and the last spans.
const grace = 2 * time.Second

func (p *Pipeline) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", p.Metrics())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	return listen.Serve(ctx, p.page, server, grace)
}
