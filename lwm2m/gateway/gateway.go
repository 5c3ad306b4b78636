package gateway

import (
	"context"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/oma"
)

// Gateway is between the devices of one server and one bus. It implements [mqtt.Things].
//
// Run starts: one goroutine that takes the server's events, Limits.Announcers that announce, Limits.Notifiers that
// publish, and those of mqtt.Serve.
type Gateway struct {
	config     Config
	server     *server.Server
	translator *oma.Translator
	log        *slog.Logger

	presence presence
	facts    facts
	lines    []chan told // by device, so that what one tells stays in order
	backlog  backlog     // what is in them
	stats    counters
}

// New makes a gateway, which does nothing before Run.
func New(config Config) (*Gateway, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	g := &Gateway{config: config, server: config.Server, translator: oma.New(config.Models), log: config.Logger}
	g.presence.init()
	g.backlog.init()
	g.facts.kept = config.Facts
	for range config.Limits.Notifiers {
		g.lines = append(g.lines, make(chan told, config.Limits.NotifierLine))
	}
	return g, nil
}

// Run announces, answers and publishes until the context ends, and returns when nothing of it runs any more. It is called
// once.
func (g *Gateway) Run(ctx context.Context) error {
	events := g.server.Subscribe(g.config.Limits.Events)
	defer events.Close()
	serve := g.config.Serve
	for _, endpoint := range g.config.Left {
		g.presence.mark(endpoint, "expired") // if it is not there
	}
	for r := range g.server.Devices() {
		g.presence.mark(r.Endpoint, "")
		serve.Observed = append(serve.Observed, g.observed(r)...)
	}
	group, ctx := errgroup.WithContext(ctx)
	heard := make(chan struct{})
	serve.Ready = sync.OnceFunc(func() {
		close(heard)
		if told := g.config.Serve.Ready; told != nil {
			told()
		}
	})
	group.Go(func() error { return g.follow(ctx, events) })
	for range g.config.Limits.Announcers {
		group.Go(func() error {
			select {
			case <-heard: // nobody is to ask who is announced before requests are heard
				g.announce(ctx)
			case <-ctx.Done():
			}
			return nil
		})
	}
	for _, line := range g.lines {
		group.Go(func() error { g.publish(ctx, line); return nil })
	}
	group.Go(func() error { return mqtt.Serve(ctx, g.config.Bus, g, serve) })
	return group.Wait()
}

// Known says whether a device is registered.
func (g *Gateway) Known(thing string) bool {
	_, ok := g.server.Device(thing)
	return ok
}

// follow takes the server's events until the context ends.
func (g *Gateway) follow(ctx context.Context, events *server.Subscription) error {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return nil // the context has ended
		}
		g.take(ctx, e)
	}
}

func (g *Gateway) take(ctx context.Context, e server.Event) {
	switch e.Kind {
	case server.Introduced:
		g.learn(e.Endpoint, e.Tree)
		g.presence.mark(e.Endpoint, "")
	case server.Registered, server.Updated, server.Found:
		g.presence.mark(e.Endpoint, "")
	case server.Deregistered, server.Expired, server.Removed, server.Lost:
		g.presence.mark(e.Endpoint, e.Kind.String())
	case server.Notified, server.Sent, server.Ended:
		g.pass(ctx, e)
	case server.Missed:
		g.stats.missed.Add(uint64(e.Count))
		g.log.Warn("the gateway was too slow for the server's events; notifications are lost, announcements are made anew", "events", e.Count)
		g.Reannounce()
	}
}

// Reannounce has the announcement of every device looked at, and published again: for a broker that has lost what it
// retained.
func (g *Gateway) Reannounce() {
	for _, endpoint := range g.presence.forget() {
		g.presence.mark(endpoint, "expired") // in case it is gone meanwhile
	}
	for r := range g.server.Devices() {
		g.presence.mark(r.Endpoint, "")
	}
}
