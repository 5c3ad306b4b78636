package trace

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTracer(t testing.TB, c Config) *Tracer {
	t.Helper()
	tr, err := New(t.Context(), c)
	must(t, err)
	return tr
}

func TestSpansOfOneTrace(t *testing.T) {
	tr := newTracer(t, Config{})
	ctx, mape := tr.Start(t.Context(), "mape", slog.String("policy", "cool"), slog.Int("seq", 3))
	_, plan := tr.Start(ctx, "plan", slog.Bool("ml", false), slog.Float64("load", 0.5), slog.Duration("wait", time.Second))
	plan.Event("bound crossed", slog.String("metric", "node_load1"))
	plan.End(errors.New("fuel ran out"))
	mape.End(nil, slog.String("outcome", "failed"))
	_, other := tr.Start(t.Context(), "other")
	other.End(nil)

	if id := ID(ctx); len(id) != 32 || id != mape.TraceID() {
		t.Fatalf("trace id %q, span's %q", id, mape.TraceID())
	}
	want := []Record{
		{TraceID: mape.TraceID(), Name: "mape", Attrs: []Attr{{"policy", "cool"}, {"seq", "3"}, {"outcome", "failed"}}},
		{TraceID: mape.TraceID(), Name: "plan", Failure: "fuel ran out",
			Attrs:  []Attr{{"ml", "false"}, {"load", "0.5"}, {"wait", "1s"}},
			Events: []Event{{Name: "bound crossed", Attrs: []Attr{{"metric", "node_load1"}}}}},
	}
	got := tr.Trace(mape.TraceID())
	ignore := cmp.Options{
		cmpopts.IgnoreFields(Record{}, "SpanID", "ParentID", "Start", "Duration"), cmpopts.IgnoreFields(Event{}, "Time"),
	}
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[1].ParentID != got[0].SpanID || got[0].ParentID != "" {
		t.Errorf("parents: %q of %q", got[1].ParentID, got[0].SpanID)
	}
	must(t, tr.Shutdown(t.Context()))
}

func TestRecentIsBounded(t *testing.T) {
	tr := newTracer(t, Config{Recent: 3})
	for _, name := range strings.Split("abcde", "") {
		_, s := tr.Start(t.Context(), name)
		s.End(nil)
	}
	var names []string
	for _, r := range tr.Recent(2) {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"e", "d"}, names); diff != "" || len(tr.Recent(10)) != 3 || tr.Ended() != 5 {
		t.Errorf("recent %v, %d kept, %d ended", names, len(tr.Recent(10)), tr.Ended())
	}
	must(t, tr.Shutdown(t.Context()))
	_, late := tr.Start(t.Context(), "late")
	late.End(nil)
	if n := tr.Ended(); n != 5 {
		t.Errorf("a span after the end was recorded: %d", n)
	}
}

func TestTraceCrossesProcesses(t *testing.T) {
	tr := newTracer(t, Config{})
	ctx, here := tr.Start(t.Context(), "here")
	header := Header(ctx)
	_, there := tr.Start(Parent(context.Background(), header), "there")
	if there.TraceID() != here.TraceID() {
		t.Errorf("header %q lost the trace", header)
	}
	_, alone := tr.Start(Parent(context.Background(), "00-zz-11-01"), "alone")
	if alone.TraceID() == "" || alone.TraceID() == here.TraceID() {
		t.Error("a malformed header was believed")
	}
	for _, s := range []*Span{alone, there, here} {
		s.End(nil)
	}
	must(t, tr.Shutdown(t.Context()))
}

// sink is a collector that passes on the names of the spans it gets.
type sink struct {
	collector.UnimplementedTraceServiceServer
	got chan *collector.ExportTraceServiceRequest
}

func (s *sink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.got <- r
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestExport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otlp.sock")
	listener, err := net.Listen("unix", path)
	must(t, err)
	s := &sink{got: make(chan *collector.ExportTraceServiceRequest, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	go server.Serve(listener)
	defer server.Stop()

	tr := newTracer(t, Config{Endpoint: "unix://" + path, Insecure: true, Version: "1.2.3", Attributes: map[string]string{"edgehold.node": "n1"}})
	_, span := tr.Start(t.Context(), "apply")
	span.End(nil)
	must(t, tr.Shutdown(t.Context())) // sends what waits
	must(t, tr.Shutdown(t.Context()))

	resource := (<-s.got).GetResourceSpans()[0]
	attrs := map[string]string{}
	for _, kv := range resource.GetResource().GetAttributes() {
		attrs[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	if attrs["service.name"] != "edgehold" || attrs["service.version"] != "1.2.3" || attrs["edgehold.node"] != "n1" {
		t.Errorf("resource: %v", attrs)
	}
	if name := resource.GetScopeSpans()[0].GetSpans()[0].GetName(); name != "apply" {
		t.Errorf("span %q", name)
	}
}

func TestNobodyListens(t *testing.T) {
	tr := newTracer(t, Config{Endpoint: "unix:///nonexistent/otlp.sock", Insecure: true})
	_, span := tr.Start(t.Context(), "apply")
	span.End(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := tr.Shutdown(ctx); err == nil {
		t.Error("the span was lost without a word")
	}
}

func TestConfigReportsEverything(t *testing.T) {
	_, err := New(t.Context(), Config{Endpoint: "nowhere", Recent: -1, Queue: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three lines:\n%v", err)
	}
}

func BenchmarkSpan(b *testing.B) {
	tr := newTracer(b, Config{})
	defer func() { must(b, tr.Shutdown(context.Background())) }()
	b.ReportAllocs()
	for b.Loop() {
		_, s := tr.Start(context.Background(), "mape", slog.String("policy", "cool"))
		s.End(nil)
	}
}
