package otlp

import (
	"context"
	"errors"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/keepalive"
)

// grace is how long requests that are under way may take when the receiver ends.
const grace = 2 * time.Second

// service answers gRPC.
type service struct {
	collector.UnimplementedMetricsServiceServer
	receiver *Receiver
}

func (s *service) Export(ctx context.Context, req *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	resp, refused := s.receiver.export(ctx, req)
	if refused != nil {
		return nil, refused.status().Err()
	}
	return resp, nil
}

func (r *Receiver) serveGRPC(ctx context.Context) error {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(r.config.MaxMessageBytes),
		grpc.MaxConcurrentStreams(32),
		grpc.MaxHeaderListSize(16<<10),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.ReadBufferSize(8<<10), grpc.WriteBufferSize(4<<10),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 5 * time.Minute}),
	)
	collector.RegisterMetricsServiceServer(server, &service{receiver: r})
	served := make(chan error, 1)
	go func() { served <- server.Serve(r.grpc) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	force := time.AfterFunc(grace, server.Stop)
	server.GracefulStop()
	force.Stop()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}
