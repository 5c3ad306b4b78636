package otlp

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"

	"github.com/edgehold/edgehold/telemetry/internal/listen"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// Receiver takes metrics by OTLP. Create it with [New].
type Receiver struct {
	config  Config
	store   *ring.Store
	clients clients
	slots   chan struct{} // one for each request that may be worked on
	limiter *rate.Limiter
	counts  counts

	grpc, http net.Listener // nil if switched off, or not open yet
}

type counts struct{ requests, refused, accepted, rejected atomic.Uint64 }

// Stats counts what came in.
type Stats struct {
	Requests uint64 // answered, refused ones included
	Refused  uint64 // requests refused as a whole
	Accepted uint64 // data points
	Rejected uint64 // data points of requests that were accepted in part
	Clients  int
}

// New returns a receiver that feeds store.
func New(store *ring.Store, c Config) (*Receiver, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	return &Receiver{
		config: c, store: store,
		clients: clients{byName: make(map[string]*client)},
		slots:   make(chan struct{}, c.Requests),
		limiter: rate.NewLimiter(rate.Limit(c.Rate), max(c.Rate, c.MaxPoints)),
	}, nil
}

// Stats returns the counts now.
func (r *Receiver) Stats() Stats {
	return Stats{
		Requests: r.counts.requests.Load(), Refused: r.counts.refused.Load(),
		Accepted: r.counts.accepted.Load(), Rejected: r.counts.rejected.Load(), Clients: r.clients.count(),
	}
}

// Open listens on the addresses of the configuration, so that clients can connect; they are
// answered once [Receiver.Run] runs.
func (r *Receiver) Open(ctx context.Context) (err error) {
	if r.config.GRPC != "" && r.grpc == nil {
		if r.grpc, err = r.open(ctx, r.config.GRPC); err != nil {
			return fmt.Errorf("receive OTLP over gRPC: %w", err)
		}
	}
	if r.config.HTTP != "" && r.http == nil {
		if r.http, err = r.open(ctx, r.config.HTTP); err != nil {
			r.Close()
			return fmt.Errorf("receive OTLP over HTTP: %w", err)
		}
	}
	return nil
}

func (r *Receiver) open(ctx context.Context, address string) (net.Listener, error) {
	l, err := listen.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	return listen.Limit(l, r.config.Connections), nil
}

// Close gives up what Open opened, if Run was not called.
func (r *Receiver) Close() {
	for _, l := range []net.Listener{r.grpc, r.http} {
		if l != nil {
			_ = l.Close()
		}
	}
	r.grpc, r.http = nil, nil
}

// Addresses returns where the receiver listens; nil for what is switched off.
func (r *Receiver) Addresses() (grpc, http net.Addr) {
	if r.grpc != nil {
		grpc = r.grpc.Addr()
	}
	if r.http != nil {
		http = r.http.Addr()
	}
	return grpc, http
}

// Run answers until ctx ends, then finishes what is under way. It opens what is not open.
func (r *Receiver) Run(ctx context.Context) error {
	if err := r.Open(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if r.grpc != nil {
		group.Go(func() error { return r.serveGRPC(ctx) })
	}
	if r.http != nil {
		group.Go(func() error { return r.serveHTTP(ctx) })
	}
	return group.Wait()
}

// export takes one request, however it came.
func (r *Receiver) export(ctx context.Context, req *collector.ExportMetricsServiceRequest) (resp *collector.ExportMetricsServiceResponse, refused *refusal) {
	r.counts.requests.Add(1)
	defer func() {
		if p := recover(); p != nil {
			r.config.Logger.Error("receiving metrics panicked", "panic", p, "stack", string(debug.Stack()))
			refused = &refusal{code: codes.Internal, message: "the receiver failed on this request"}
		}
		if refused != nil {
			r.counts.refused.Add(1)
			resp = nil
		}
	}()
	if refused := r.admit(req); refused != nil {
		return nil, refused
	}
	release, refused := r.turn(ctx)
	if refused != nil {
		return nil, refused
	}
	defer release()
	return &collector.ExportMetricsServiceResponse{PartialSuccess: r.consume(req).partial()}, nil
}

// admit checks the size of a request and the pace of all.
func (r *Receiver) admit(req *collector.ExportMetricsServiceRequest) *refusal {
	points := countRequest(req)
	if points > r.config.MaxPoints {
		return tooLarge(fmt.Sprintf("the request has %d data points, the most is %d", points, r.config.MaxPoints))
	}
	now := time.Now()
	reservation := r.limiter.ReserveN(now, points)
	if delay := reservation.DelayFrom(now); delay > 0 {
		reservation.CancelAt(now)
		return &refusal{codes.ResourceExhausted, fmt.Sprintf("more than %d data points a second", r.config.Rate), delay}
	}
	return nil
}

// turn waits until the request may be worked on.
func (r *Receiver) turn(ctx context.Context) (release func(), refused *refusal) {
	timer := time.NewTimer(r.config.Wait)
	defer timer.Stop()
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, &refusal{codes.Canceled, "the client has gone", 0}
	case <-timer.C:
		return nil, &refusal{codes.Unavailable, "the receiver is busy", time.Second}
	}
}
