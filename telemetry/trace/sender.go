package trace

import (
	"context"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
)

// sender is an exporter with a connection of its own, so that it can be closed for certain: after a
// shutdown that timed out, the SDK would go on trying for as long as one export may take.
type sender struct {
	exporter sdk.SpanExporter
	conn     *grpc.ClientConn
}

func newSender(ctx context.Context, c Config) (*sender, error) {
	secure := credentials.NewTLS(c.TLS)
	if c.Insecure {
		secure = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(c.Endpoint,
		grpc.WithTransportCredentials(secure),
		grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithGRPCConn(conn), otlptracegrpc.WithTimeout(c.ExportTimeout))
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &sender{exporter, conn}, nil
}

// close ends the connection. After a shutdown that failed it first gives up what is under way.
func (s *sender) close(failed error) error {
	if failed != nil {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.exporter.Shutdown(over)
	}
	return s.conn.Close()
}
