package trace

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// Config sets a [Tracer] up. The zero value keeps spans in memory only.
type Config struct {
	// Endpoint is where spans are sent by OTLP over gRPC: host:port, or unix:///path. Empty sends
	// none.
	Endpoint string
	// TLS secures the connection. Without it, and without Insecure, the system's authorities count.
	TLS *tls.Config
	// Insecure sends in the clear.
	Insecure bool

	// Service and Version name the program. Default "edgehold" and none.
	Service, Version string
	// Attributes describe the node, in OpenTelemetry's names.
	Attributes map[string]string

	// Recent is how many ended spans are kept in memory. Default 2048.
	Recent int
	// Queue is how many spans may wait to be sent; more are dropped. Default 2048.
	Queue int
	// ExportTimeout bounds one attempt to send. Default 10 s.
	ExportTimeout time.Duration
	Logger        *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Service == "" {
		c.Service = "edgehold"
	}
	if c.Recent == 0 {
		c.Recent = 2048
	}
	if c.Queue == 0 {
		c.Queue = 2048
	}
	if c.ExportTimeout == 0 {
		c.ExportTimeout = 10 * time.Second
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
	if c.Endpoint != "" && !strings.HasPrefix(c.Endpoint, "unix:") {
		if _, _, err := net.SplitHostPort(c.Endpoint); err != nil {
			errs = append(errs, fmt.Errorf("trace: endpoint %q: %w; write host:port or unix:///path", c.Endpoint, err))
		}
	}
	if c.Insecure && c.TLS != nil {
		errs = append(errs, errors.New("trace: insecure and TLS exclude each other"))
	}
	if c.Recent < 0 || c.Recent > 1<<20 {
		errs = append(errs, fmt.Errorf("trace: recent is %d, it must lie between 0 and %d", c.Recent, 1<<20))
	}
	if c.Queue < 0 || c.Queue > 1<<20 {
		errs = append(errs, fmt.Errorf("trace: queue is %d, it must lie between 0 and %d", c.Queue, 1<<20))
	}
	return errors.Join(errs...)
}

// Tracer makes spans. Create it with [New] and end it with [Tracer.Shutdown].
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   api.Tracer
	recent   *recent
	sender   *sender // nil if spans stay here
	ended    sync.Once
}

// New returns a tracer. If there is an endpoint, it sends from a goroutine of the SDK until
// Shutdown; an endpoint that does not answer is not an error.
func New(ctx context.Context, c Config) (*Tracer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	// The SDK reports what goes wrong in the background here and nowhere else.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Logger.Warn("tracing", "error", err) }))

	t := &Tracer{recent: newRecent(c.Recent)}
	options := []sdk.TracerProviderOption{
		sdk.WithResource(describe(c)),
		sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithRawSpanLimits(limits),
		sdk.WithSpanProcessor(t.recent),
	}
	if c.Endpoint != "" {
		var err error
		if t.sender, err = newSender(ctx, c); err != nil {
			return nil, fmt.Errorf("send spans to %s: %w", c.Endpoint, err)
		}
		options = append(options, sdk.WithBatcher(t.sender.exporter,
			sdk.WithMaxQueueSize(c.Queue), sdk.WithMaxExportBatchSize(min(c.Queue, 512)), sdk.WithExportTimeout(c.ExportTimeout)))
	}
	t.provider = sdk.NewTracerProvider(options...)
	t.tracer = t.provider.Tracer("github.com/edgehold/edgehold")
	return t, nil
}

// limits bound what one span can hold.
var limits = sdk.SpanLimits{
	AttributeCountLimit: 32, AttributeValueLengthLimit: 1024,
	EventCountLimit: 16, AttributePerEventCountLimit: 8,
	LinkCountLimit: 4, AttributePerLinkCountLimit: 4,
}

func describe(c Config) *resource.Resource {
	attrs := []attribute.KeyValue{attribute.String("service.name", c.Service)}
	if c.Version != "" {
		attrs = append(attrs, attribute.String("service.version", c.Version))
	}
	if host, err := os.Hostname(); err == nil {
		attrs = append(attrs, attribute.String("host.name", host))
	}
	for k, v := range c.Attributes {
		attrs = append(attrs, attribute.String(k, v))
	}
	return resource.NewSchemaless(attrs...)
}

// Shutdown sends what waits, as far as ctx allows, and ends the tracer. Spans that end later are
// not recorded. A second call does nothing.
func (t *Tracer) Shutdown(ctx context.Context) (err error) {
	t.ended.Do(func() { err = t.shutdown(ctx) })
	return err
}

func (t *Tracer) shutdown(ctx context.Context) error {
	err := t.provider.Shutdown(ctx)
	if t.sender != nil {
		err = errors.Join(err, t.sender.close(err))
	}
	if err != nil {
		return fmt.Errorf("end tracing: %w", err)
	}
	return nil
}
