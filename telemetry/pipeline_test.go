package telemetry

import (
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/edgehold/edgehold/telemetry/attr"
	"github.com/edgehold/edgehold/telemetry/otlp"
	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
	"github.com/edgehold/edgehold/telemetry/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run starts a pipeline and returns what ends it.
func run(t testing.TB, c Config) (*Pipeline, func()) {
	t.Helper()
	p, err := New(t.Context(), c)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return p, func() {
		cancel()
		must(t, <-done)
		must(t, p.Close())
	}
}

// send exports one gauge as an application would.
func send(t testing.TB, client collector.MetricsServiceClient, name string, v float64) {
	t.Helper()
	service := &common.KeyValue{Key: "service.name", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "demo"}}}
	resp, err := client.Export(context.Background(), &collector.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{service}},
		ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{{Name: name, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{
			{TimeUnixNano: uint64(time.Now().UnixNano()), Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}},
		}}}}}}},
	}}})
	must(t, err)
	if p := resp.GetPartialSuccess(); p != nil {
		t.Fatal(p)
	}
}

func connect(t testing.TB, socket string) (collector.MetricsServiceClient, func()) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	return collector.NewMetricsServiceClient(conn), func() { must(t, conn.Close()) }
}

func TestApplicationMetricWakesAndIsSeen(t *testing.T) {
	dir := t.TempDir()
	socket, page := filepath.Join(dir, "otlp.sock"), filepath.Join(dir, "metrics.sock")
	p, end := run(t, Config{OTLP: otlp.Config{GRPC: "unix://" + socket}, Exposition: "unix://" + page})
	defer end()
	client, hangUp := connect(t, socket)
	defer hangUp()

	feed, err := p.Feed(ring.Request{Name: "queue_length", Matchers: []ring.Matcher{{Name: "job", Value: "demo"}}}, 0)
	must(t, err)
	defer feed.Close()
	crossed := make(chan ring.Crossing, 1)
	feed.Watch(ring.Bounds{Above: 10, Below: math.NaN()}, func(c ring.Crossing) { crossed <- c })

	send(t, client, "queue.length", 5)
	send(t, client, "queue.length", 11)
	if c := <-crossed; c.Value != 11 || c.Side != ring.Over || c.Limit != 10 {
		t.Errorf("%+v", c)
	}
	res, err := p.Store().Query(t.Context(), `max_over_time(queue_length{job="demo"}[1m])`, time.Now())
	must(t, err)
	if len(res.Series) != 1 || res.Series[0].Points[0].Value != 11 {
		t.Errorf("%+v", res)
	}
	if text := scrape(t, page); !strings.Contains(text, `queue_length{job="demo",service_name="demo"} 11 `) {
		t.Errorf("the page lacks the metric:\n%s", text)
	}
}

func scrape(t testing.TB, socket string) string {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://edgehold/metrics")
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return string(body)
}

func TestFeedSetsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, end := run(t, Config{})
		defer end()
		interval := func(source string) time.Duration {
			for _, s := range p.Sources().Status() {
				if s.Name == source {
					return s.Asked
				}
			}
			return 0
		}
		feed, err := p.Feed(ring.Request{Query: "avg_over_time(node_load1[10s]) + on() node_procs_running"}, 200*time.Millisecond)
		must(t, err)
		time.Sleep(time.Second)
		synctest.Wait()
		if a, b, c := interval("load"), interval("cpu"), interval("memory"); a != 200*time.Millisecond || b != a || c != time.Second {
			t.Errorf("load %v, cpu %v, memory %v", a, b, c)
		}
		if got := feed.Read(); got.Missing() || got.Age > 400*time.Millisecond {
			t.Errorf("%+v", got)
		}
		feed.Close()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if a := interval("load"); a != time.Second {
			t.Errorf("after closing: %v", a)
		}
		if _, err := p.Feed(ring.Request{Query: "rate("}, 0); err == nil {
			t.Error("a broken expression was accepted")
		}
	})
}

func TestTelemetryAboutTelemetry(t *testing.T) {
	p, end := run(t, Config{OTLP: otlp.Config{HTTP: "127.0.0.1:0"}})
	defer end()
	_, span := p.Tracer().Start(t.Context(), attr.SpanPass)
	span.End(nil)
	p.Sources().Collect()
	for _, name := range []string{attr.RingSeries, attr.OTLPClients, attr.SpansEnded, attr.SourceCPU} {
		got, err := p.Store().Latest(name)
		must(t, err)
		if len(got) == 0 {
			t.Errorf("no %s", name)
		}
	}
}

func TestBadConfiguration(t *testing.T) {
	_, err := New(t.Context(), Config{
		Ring: ring.Config{Window: -1}, Sources: sources.Config{Interval: 1}, OTLP: otlp.Config{GRPC: "0.0.0.0:4317"},
		Exposition: "example.org:80", Trace: trace.Config{Endpoint: "nowhere"},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, problem := range []string{"window", "interval", "0.0.0.0:4317", "exposition", "nowhere"} {
		if !strings.Contains(err.Error(), problem) {
			t.Errorf("%s is not mentioned:\n%v", problem, err)
		}
	}
}

func TestAddressInUseGivesUpTheRest(t *testing.T) {
	dir := t.TempDir()
	socket := "unix://" + filepath.Join(dir, "a.sock")
	p, err := New(t.Context(), Config{Exposition: socket})
	must(t, err)
	other := "unix://" + filepath.Join(dir, "b.sock")
	if _, err := New(t.Context(), Config{Exposition: other, OTLP: otlp.Config{GRPC: socket}}); err == nil {
		t.Error("an address in use was accepted")
	}
	must(t, p.Close())
	p, err = New(t.Context(), Config{Exposition: other})
	must(t, err)
	must(t, p.Close())
}

// TestIdleMemory bounds what a quiet node's telemetry holds in the heap after a quarter of an hour;
// machines with many processors have many series.
func TestIdleMemory(t *testing.T) {
	before := heap()
	now := time.Now().Add(-15 * time.Minute)
	p, err := New(t.Context(), Config{Clock: func() time.Time { return now }})
	must(t, err)
	for range 300 {
		now = now.Add(3 * time.Second)
		p.Sources().Collect()
	}
	got := heap() - before
	t.Logf("%d series, %d samples, %d KiB of chunks, %d KiB of heap", p.Store().Stats().Series, p.Store().Stats().Appended, p.Store().Stats().Bytes>>10, got>>10)
	if most := int64(1<<20 + 4<<10*p.Store().Stats().Series); got > most {
		t.Errorf("%d bytes of heap, at most %d", got, most)
	}
	must(t, p.Close())
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkExportToCrossing bounds the way from an application's OTLP export, over a real socket, to
// the callback of a policy's watch.
func BenchmarkExportToCrossing(b *testing.B) {
	socket := filepath.Join(b.TempDir(), "otlp.sock")
	p, end := run(b, Config{OTLP: otlp.Config{GRPC: "unix://" + socket}})
	defer end()
	client, hangUp := connect(b, socket)
	defer hangUp()
	feed, err := p.Feed(ring.Request{Name: "x"}, 0)
	must(b, err)
	defer feed.Close()
	crossed := make(chan struct{}, 1)
	feed.Watch(ring.Bounds{Above: 0.5, Below: 0.5}, func(ring.Crossing) { crossed <- struct{}{} })
	last := time.Now().UnixMilli()
	for i := 0; b.Loop(); i++ {
		for last == time.Now().UnixMilli() { // samples of a series need different milliseconds
			runtime.Gosched()
		}
		last = time.Now().UnixMilli()
		send(b, client, "x", float64(i&1))
		<-crossed
	}
}

func TestApplicationsCantSpeakForTheHost(t *testing.T) {
	p, end := run(t, Config{OTLP: otlp.Config{HTTP: "127.0.0.1:0"}})
	defer end()
	for name, want := range map[string]bool{"node_load1": true, attr.RingSeries: true, "app_latency_seconds": false} {
		if got := p.config.OTLP.Reserved(name); got != want {
			t.Errorf("%s: reserved %v, want %v", name, got, want)
		}
	}
}
