package node

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/telemetry"
	"github.com/edgehold/edgehold/telemetry/otlp"
	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
	"github.com/edgehold/edgehold/telemetry/trace"
)

func (n *Node) openTelemetry(ctx context.Context, version string) (err error) {
	t := n.config.Telemetry
	n.telemetry, err = telemetry.New(ctx, telemetry.Config{
		Ring:    ring.Config{Window: time.Duration(t.Retention), MaxSeries: t.MaxSeries},
		Sources: sources.Config{Interval: time.Duration(t.Interval), Filter: t.DefaultMetrics},
		Host:    sources.Host{Root: t.Root, State: n.config.StateDirectory},
		More:    []sources.Source{n.about()},
		OTLP:    otlp.Config{GRPC: t.OTLP.GRPC, HTTP: t.OTLP.HTTP},
		Trace: trace.Config{
			Endpoint: t.Traces.Endpoint, Insecure: t.Traces.Insecure, Version: version,
			Attributes: map[string]string{"host.name": n.config.Name},
		},
		Logger: n.log.With("part", "telemetry"),
	})
	if err != nil {
		return err
	}
	n.closes(func(context.Context) error { return n.telemetry.Close() })
	return nil
}
