package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/edgehold/edgehold/lwm2m/gateway"
)

func (p *gatewayParts) listenMetrics() (err error) {
	if p.config.Metrics.Listen == "" {
		return nil
	}
	if p.metrics, err = net.Listen("tcp", p.config.Metrics.Listen); err != nil {
		return fmt.Errorf("listen for Prometheus: %w", err)
	}
	return nil
}

// serveMetrics answers /metrics in Prometheus' text format, and /healthz, until the context ends.
func (p *gatewayParts) serveMetrics(ctx context.Context, g *gateway.Gateway) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		p.writeMetrics(w, g)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(p.metrics); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve Prometheus: %w", err)
	}
	return nil
}

func (p *gatewayParts) writeMetrics(w io.Writer, g *gateway.Gateway) {
	live, files := p.store.Bytes()
	writeMetric(w, "edgehold_gateway_devices", "gauge", uint64(p.server.Len()))
	writeMetric(w, "edgehold_gateway_credentials", "gauge", uint64(p.credentials.Len()))
	writeMetric(w, "edgehold_gateway_store_live_bytes", "gauge", uint64(live))
	writeMetric(w, "edgehold_gateway_store_file_bytes", "gauge", uint64(files))
	writeCounts(w, "edgehold_gateway", g.Stats())
	writeCounts(w, "edgehold_gateway_coap", p.server.Stats())
	if p.dtls != nil {
		writeCounts(w, "edgehold_gateway_dtls", p.dtls.Stats())
	}
}

// writeCounts writes each number of a struct: those that only grow are of type uint64, the others come and go.
func writeCounts(w io.Writer, prefix string, counts any) {
	v := reflect.ValueOf(counts)
	for i, field := range reflect.VisibleFields(v.Type()) {
		name := prefix + "_" + snake(field.Name)
		switch n := v.Field(i).Interface().(type) {
		case uint64:
			writeMetric(w, name+"_total", "counter", n)
		case int:
			writeMetric(w, name, "gauge", uint64(n))
		}
	}
}

func writeMetric(w io.Writer, name, kind string, value uint64) {
	fmt.Fprintf(w, "# TYPE %s %s\n%s %d\n", name, kind, name, value)
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
