package otlp

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/telemetry/internal/listen"
)

// Config sets a [Receiver] up. The zero value listens nowhere; other zero fields mean their default.
type Config struct {
	// GRPC and HTTP are where to listen: 127.0.0.1:4317, or unix:///path. Empty switches off.
	GRPC, HTTP string

	// MaxMessageBytes bounds a request, before and after decompression. Default 4 MiB.
	MaxMessageBytes int
	// MaxPoints bounds the data points of a request. Default 10,000.
	MaxPoints int
	// MaxClients bounds the clients that are known at a time; a client is what
	// service.namespace, service.name and service.instance.id name. Default 256.
	MaxClients int
	// MaxSeries bounds the series of one client. Default 2000.
	MaxSeries int
	// MaxSeriesInAll bounds the series of all clients together, so that the ring keeps room for
	// what the host says. Default 6000.
	MaxSeriesInAll int
	// Rate bounds the data points a second of all clients together. Default 50,000.
	Rate int
	// Requests bounds the requests that are worked on at a time. Default 4.
	Requests int
	// Connections bounds the connections of each address that are open at a time. Default 256.
	Connections int
	// Wait is how long a request waits for its turn. Default 1 s.
	Wait time.Duration
	// Idle is after how long without a sample a series no longer counts, and how long its deltas
	// are remembered. Default 15 minutes.
	Idle time.Duration
	// Promote names resource attributes that become labels of every series, besides job and
	// instance. Default service.name, service.namespace, service.version and
	// deployment.environment.name.
	Promote []string

	// Reserved names metrics that clients may not send: those that the host itself is the source of, and that a client could
	// otherwise lie about. Nil reserves none.
	Reserved func(name string) bool

	// Clock tells the time; default time.Now.
	Clock  func() time.Time
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, 4<<20)
	c.MaxPoints = cmp.Or(c.MaxPoints, 10_000)
	c.MaxClients = cmp.Or(c.MaxClients, 256)
	c.MaxSeries = cmp.Or(c.MaxSeries, 2000)
	c.MaxSeriesInAll = cmp.Or(c.MaxSeriesInAll, 6000)
	c.Rate = cmp.Or(c.Rate, 50_000)
	c.Requests = cmp.Or(c.Requests, 4)
	c.Connections = cmp.Or(c.Connections, 256)
	c.Wait = cmp.Or(c.Wait, time.Second)
	c.Idle = cmp.Or(c.Idle, 15*time.Minute)
	if c.Promote == nil {
		c.Promote = []string{"service.name", "service.namespace", "service.version", "deployment.environment.name"}
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
	var errs []error
	for _, door := range []struct{ name, address string }{{"grpc", c.GRPC}, {"http", c.HTTP}} {
		if door.address == "" {
			continue
		}
		if err := listen.Check(door.address); err != nil {
			errs = append(errs, fmt.Errorf("otlp: %s: %w", door.name, err))
		}
	}
	c = c.withDefaults()
	for _, n := range []struct {
		name string
		n    int
	}{
		{"max message bytes", c.MaxMessageBytes}, {"max points", c.MaxPoints}, {"max clients", c.MaxClients},
		{"max series", c.MaxSeries}, {"max series in all", c.MaxSeriesInAll},
		{"rate", c.Rate}, {"requests", c.Requests},
		{"connections", c.Connections},
	} {
		if n.n < 1 {
			errs = append(errs, fmt.Errorf("otlp: %s is %d, the least is 1", n.name, n.n))
		}
	}
	if c.Wait < 0 || c.Idle < time.Second {
		errs = append(errs, fmt.Errorf("otlp: wait is %v and idle %v; the least are 0 and 1s", c.Wait, c.Idle))
	}
	return errors.Join(errs...)
}
