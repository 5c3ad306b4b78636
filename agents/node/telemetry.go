package node

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
	"github.com/edgehold/edgehold/telemetry/trace"
)

func (n *Node) openTelemetry(version string) func(context.Context) error {
	return func(ctx context.Context) error {
		t := n.config.Telemetry
		var err error
		n.tracer, err = trace.New(ctx, trace.Config{
			Endpoint: t.Traces.Endpoint, Insecure: t.Traces.Insecure, Version: version, Logger: n.log.With("part", "trace"),
			Attributes: map[string]string{"host.name": n.config.Name},
		})
		if err != nil {
			return err
		}
		n.closes(n.tracer.Shutdown)
		n.store, err = ring.New(ring.Config{
			Window: time.Duration(t.Retention), MaxSeries: t.MaxSeries, Logger: n.log.With("part", "ring"),
		})
		if err != nil {
			return err
		}
		host := sources.Host{Root: t.Root, State: n.config.StateDirectory}
		n.sources, err = sources.New(n.store, sources.Config{
			Interval: time.Duration(t.Interval), Filter: t.DefaultMetrics, Logger: n.log.With("part", "sources"),
		}, host.Sources()...)
		return err
	}
}
