package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/edgehold/edgehold/telemetry/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var epoch = time.Unix(1_700_000_000, 0)

func nano(after time.Duration) uint64 { return uint64(epoch.Add(after).UnixNano()) }

func newReceiver(t testing.TB, c Config) (*Receiver, *ring.Store) {
	t.Helper()
	clock := func() time.Time { return epoch }
	store, err := ring.New(ring.Config{Clock: clock, MaxAhead: time.Hour})
	must(t, err)
	c.Clock = clock
	r, err := New(store, c)
	must(t, err)
	return r, store
}

func kv(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func from(service string, ms ...*metrics.Metric) *collector.ExportMetricsServiceRequest {
	return &collector.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource:     &resource.Resource{Attributes: []*common.KeyValue{kv("service.name", service), kv("service.instance.id", "i1"), kv("os.type", "linux")}},
		ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: ms}},
	}}}
}

func gauge(name string, points ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: points}}}
}

func sum(name string, how metrics.AggregationTemporality, points ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Sum{Sum: &metrics.Sum{IsMonotonic: true, AggregationTemporality: how, DataPoints: points}}}
}

func point(at time.Duration, v float64, attrs ...*common.KeyValue) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{TimeUnixNano: nano(at), Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}, Attributes: attrs}
}

const (
	delta      = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
)

// latest writes what the ring holds, without the labels that every series of from has.
func latest(t testing.TB, store *ring.Store) []string {
	t.Helper()
	samples, err := store.Latest("")
	must(t, err)
	lines := []string{}
	for _, s := range samples {
		var labels []string
		for _, l := range s.Labels {
			if l.Name != "job" && l.Name != "instance" && l.Name != "service_name" {
				labels = append(labels, l.Name+"="+l.Value)
			}
		}
		lines = append(lines, fmt.Sprintf("%s{%s} %v", s.Name, strings.Join(labels, ","), s.Value))
	}
	return lines
}

func TestConversion(t *testing.T) {
	total := 12.5
	for _, tt := range []struct {
		name    string
		metrics []*metrics.Metric
		want    []string
		partial string
	}{
		{"gauge with attributes", []*metrics.Metric{gauge("room.temperature", point(0, 21.5, kv("room.id", "a"), kv("job", "forged")))},
			[]string{"room_temperature{room_id=a} 21.5"}, ""},
		{"integer", []*metrics.Metric{gauge("n", &metrics.NumberDataPoint{TimeUnixNano: nano(0), Value: &metrics.NumberDataPoint_AsInt{AsInt: -7}})},
			[]string{"n{} -7"}, ""},
		{"no time means now", []*metrics.Metric{gauge("n", &metrics.NumberDataPoint{Value: &metrics.NumberDataPoint_AsInt{AsInt: 1}})},
			[]string{"n{} 1"}, ""},
		{"attributes that become one", []*metrics.Metric{gauge("n", point(0, 1, kv("a.b", "1"), kv("a-b", "2")))},
			[]string{"n{a_b=1;2} 1"}, ""},
		{"cumulative sum", []*metrics.Metric{sum("sent", cumulative, point(0, 5), point(time.Second, 9))},
			[]string{"sent_total{} 9"}, ""},
		{"deltas are added, a retry once", []*metrics.Metric{sum("sent", delta, point(0, 5), point(time.Second, 4), point(time.Second, 4), point(2*time.Second, 1))},
			[]string{"sent_total{} 10"}, ""},
		{"late delta", []*metrics.Metric{sum("sent", delta, point(time.Second, 5), point(0, 4))},
			[]string{"sent_total{} 5"}, "1 points refused: ring: sample is older than the last of its series"},
		{"temporality missing", []*metrics.Metric{sum("sent", 0, point(0, 5))},
			[]string{}, "1 points refused: its aggregation temporality is neither delta nor cumulative"},
		{"no value", []*metrics.Metric{gauge("n", &metrics.NumberDataPoint{TimeUnixNano: nano(0)})},
			[]string{}, "1 points refused: a point has no value"},
		{"no name", []*metrics.Metric{gauge("", point(0, 1))},
			[]string{}, "1 points refused: a metric has no name"},
		{"ended", []*metrics.Metric{gauge("n", point(0, 1), &metrics.NumberDataPoint{TimeUnixNano: nano(time.Second), Flags: 1})},
			[]string{}, ""},
		{"far future", []*metrics.Metric{gauge("n", point(2*time.Hour, 1))},
			[]string{}, "1 points refused: ring: sample lies too far in the future"},
		{"histogram", []*metrics.Metric{{Name: "latency", Unit: "s", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: delta, DataPoints: []*metrics.HistogramDataPoint{
			{TimeUnixNano: nano(0), Count: 6, Sum: &total, ExplicitBounds: []float64{0.5, 10}, BucketCounts: []uint64{1, 2, 3}},
			{TimeUnixNano: nano(time.Second), Count: 1, Sum: &total, ExplicitBounds: []float64{0.5, 10}, BucketCounts: []uint64{1, 0, 0}},
		}}}}}, []string{"latency_seconds_bucket{le=+Inf} 7", "latency_seconds_bucket{le=0.5} 2", "latency_seconds_bucket{le=10} 4", "latency_seconds_count{} 7", "latency_seconds_sum{} 25"}, ""},
		{"histogram without buckets", []*metrics.Metric{{Name: "h", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: cumulative, DataPoints: []*metrics.HistogramDataPoint{
			{TimeUnixNano: nano(0), Count: 6},
		}}}}}, []string{"h_bucket{le=+Inf} 6", "h_count{} 6"}, ""},
		{"broken histogram", []*metrics.Metric{{Name: "h", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: cumulative, DataPoints: []*metrics.HistogramDataPoint{
			{TimeUnixNano: nano(0), ExplicitBounds: []float64{2, 1}, BucketCounts: []uint64{1, 2, 3}},
			{TimeUnixNano: nano(0), ExplicitBounds: []float64{1}, BucketCounts: []uint64{1}},
		}}}}}, []string{}, "1 points refused: a histogram's bounds do not grow; 1 points refused: a histogram's buckets do not fit its bounds"},
		{"exponential histogram", []*metrics.Metric{{Name: "e", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{AggregationTemporality: cumulative, DataPoints: []*metrics.ExponentialHistogramDataPoint{
			{TimeUnixNano: nano(0), Count: 3, Sum: &total},
		}}}}}, []string{"e_count{} 3", "e_sum{} 12.5"}, "of exponential histograms only _sum and _count are kept; choose explicit bucket histograms to keep buckets"},
		{"summary", []*metrics.Metric{{Name: "s", Data: &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: []*metrics.SummaryDataPoint{
			{TimeUnixNano: nano(0), Count: 2, Sum: 3, QuantileValues: []*metrics.SummaryDataPoint_ValueAtQuantile{{Quantile: 0.5, Value: 1}, {Quantile: 1, Value: 2}}},
		}}}}}, []string{"s{quantile=0.5} 1", "s{quantile=1} 2", "s_count{} 2", "s_sum{} 3"}, ""},
		{"metric without data", []*metrics.Metric{{Name: "x"}, nil}, []string{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, store := newReceiver(t, Config{})
			resp, refused := r.export(t.Context(), from("demo", tt.metrics...))
			if refused != nil {
				t.Fatal(refused.message)
			}
			if diff := cmp.Diff(tt.want, latest(t, store)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := resp.GetPartialSuccess().GetErrorMessage(); got != tt.partial {
				t.Errorf("partial success: got %q, want %q", got, tt.partial)
			}
		})
	}
}

func TestResourceBecomesLabels(t *testing.T) {
	r, store := newReceiver(t, Config{})
	req := from("demo", gauge("n", point(0, 1)))
	req.ResourceMetrics[0].Resource.Attributes = append(req.ResourceMetrics[0].Resource.Attributes, kv("service.namespace", "shop"))
	r.export(t.Context(), req)
	got, err := store.Latest("n")
	must(t, err)
	want := []ring.Sample{{Name: "n", UnixMS: epoch.UnixMilli(), Value: 1, Labels: []ring.Label{
		{Name: "instance", Value: "i1"}, {Name: "job", Value: "shop/demo"}, {Name: "service_name", Value: "demo"}, {Name: "service_namespace", Value: "shop"},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNestedAttributes(t *testing.T) {
	deep := &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}
	for range 50 {
		deep = &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{deep}}}}
	}
	list := &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{
		kv("b", "2"), {Key: "a", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 1}}},
	}}}}
	for _, tt := range []struct {
		value *common.AnyValue
		want  string
	}{
		{list, `{"a":1,"b":"2"}`},
		{deep, `[[[[null]]]]`},
		{&common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 0.1}}, "0.1"},
		{&common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{1, 2}}}, "AQI="},
		{nil, ""},
	} {
		if got := text(tt.value); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestBounds(t *testing.T) {
	many := func(n int) []*metrics.NumberDataPoint {
		var ps []*metrics.NumberDataPoint
		for i := range n {
			ps = append(ps, point(0, 1, kv("id", fmt.Sprint(i))))
		}
		return ps
	}
	t.Run("points", func(t *testing.T) {
		r, _ := newReceiver(t, Config{MaxPoints: 10})
		_, refused := r.export(t.Context(), from("demo", gauge("n", many(11)...)))
		if refused == nil || refused.code != codes.ResourceExhausted || refused.retryAfter != 0 || refused.httpStatus() != 413 {
			t.Errorf("%+v", refused)
		}
	})
	t.Run("reserved names", func(t *testing.T) {
		r, store := newReceiver(t, Config{Reserved: func(name string) bool { return name == "node_load1" }})
		resp, _ := r.export(t.Context(), from("liar", gauge("node.load1", many(2)...), gauge("mine", many(2)...)))
		if got := resp.GetPartialSuccess(); got.GetRejectedDataPoints() != 2 || !strings.Contains(got.GetErrorMessage(), "node_load1 is measured by this agent itself") {
			t.Errorf("%+v", got)
		}
		if got, _ := store.Latest("mine"); len(got) == 0 {
			t.Error("the other metric was refused too")
		}
	})
	t.Run("series of a client", func(t *testing.T) {
		r, store := newReceiver(t, Config{MaxSeries: 3})
		resp, _ := r.export(t.Context(), from("greedy", gauge("n", many(5)...)))
		if got := resp.GetPartialSuccess(); got.GetRejectedDataPoints() != 2 || got.GetErrorMessage() != "2 points refused: client greedy@i1 has 3 series, and that is its bound" {
			t.Errorf("%v", got)
		}
		if resp, _ := r.export(t.Context(), from("modest", gauge("n", many(3)...))); resp.GetPartialSuccess() != nil {
			t.Errorf("another client was refused: %v", resp)
		}
		if n := len(latest(t, store)); n != 6 {
			t.Errorf("%d series", n)
		}
	})
	t.Run("series of all clients", func(t *testing.T) {
		r, _ := newReceiver(t, Config{MaxSeriesInAll: 4})
		r.export(t.Context(), from("a", gauge("n", many(3)...)))
		resp, _ := r.export(t.Context(), from("b", gauge("n", many(3)...)))
		if got := resp.GetPartialSuccess().GetErrorMessage(); got != "2 points refused: all clients together have 4 series, and that is their bound" {
			t.Errorf("%q", got)
		}
		if n := r.clients.series.Load(); n != 4 {
			t.Errorf("%d series counted", n)
		}
		r.config.MaxClients = 2
		r.config.Clock = func() time.Time { return epoch.Add(16 * time.Minute) } // a and b are forgotten for c
		r.export(t.Context(), from("c", gauge("n", point(16*time.Minute, 1))))
		if n := r.clients.series.Load(); n > 1 {
			t.Errorf("%d series counted after a and b went", n)
		}
	})
	t.Run("clients", func(t *testing.T) {
		r, _ := newReceiver(t, Config{MaxClients: 1})
		r.export(t.Context(), from("a", gauge("n", point(0, 1))))
		resp, _ := r.export(t.Context(), from("b", gauge("n", point(0, 1))))
		if got := resp.GetPartialSuccess().GetErrorMessage(); got != "1 points refused: 1 clients are known, and that is the bound" {
			t.Errorf("%q", got)
		}
		r.config.Clock = func() time.Time { return epoch.Add(16 * time.Minute) }
		if resp, _ = r.export(t.Context(), from("b", gauge("n", point(16*time.Minute, 1)))); r.Stats().Clients != 1 || resp.GetPartialSuccess().GetRejectedDataPoints() == 1 && strings.Contains(resp.GetPartialSuccess().GetErrorMessage(), "clients") {
			t.Errorf("an idle client was not forgotten: %v", resp)
		}
	})
	t.Run("rate", func(t *testing.T) {
		r, _ := newReceiver(t, Config{Rate: 10, MaxPoints: 10})
		r.export(t.Context(), from("a", gauge("n", many(10)...)))
		_, refused := r.export(t.Context(), from("a", gauge("n", many(5)...)))
		if refused == nil || refused.code != codes.ResourceExhausted || refused.retryAfter <= 0 || refused.httpStatus() != 429 {
			t.Fatalf("%+v", refused)
		}
		info, ok := refused.status().Details()[0].(*errdetails.RetryInfo)
		if !ok || info.GetRetryDelay().AsDuration() != refused.retryAfter {
			t.Errorf("no RetryInfo: %v", refused.status())
		}
	})
	t.Run("busy", func(t *testing.T) {
		r, _ := newReceiver(t, Config{Requests: 1, Wait: time.Millisecond})
		r.slots <- struct{}{}
		_, refused := r.export(t.Context(), from("a", gauge("n", point(0, 1))))
		if refused == nil || refused.code != codes.Unavailable || refused.httpStatus() != 503 {
			t.Errorf("%+v", refused)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		r.config.Wait = time.Minute
		if _, refused = r.export(gone, from("a", gauge("n", point(0, 1)))); refused == nil || refused.code != codes.Canceled {
			t.Errorf("%+v", refused)
		}
	})
}

// run opens a receiver and returns what ends it.
func run(t *testing.T, c Config) (*Receiver, *ring.Store, func()) {
	t.Helper()
	r, store := newReceiver(t, c)
	must(t, r.Open(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, store, func() {
		cancel()
		must(t, <-done)
	}
}

func TestGRPC(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "otlp.sock")
	for _, address := range []string{"127.0.0.1:0", "unix://" + socket} {
		r, store, end := run(t, Config{GRPC: address, MaxMessageBytes: 64 << 10})
		target := address
		if !strings.HasPrefix(address, "unix:") {
			addr, _ := r.Addresses()
			target = addr.String()
		}
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(t, err)
		client := collector.NewMetricsServiceClient(conn)
		resp, err := client.Export(t.Context(), from("demo", gauge("n", point(0, 4))), grpc.UseCompressor(grpcgzip.Name))
		must(t, err)
		if resp.GetPartialSuccess() != nil {
			t.Errorf("%v", resp)
		}
		if diff := cmp.Diff([]string{"n{} 4"}, latest(t, store)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err = client.Export(t.Context(), from("demo", gauge(strings.Repeat("n", 100<<10), point(0, 4))), grpc.UseCompressor(grpcgzip.Name))
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a message that unpacks to too much: %v", err)
		}
		must(t, conn.Close())
		end()
	}
}

func pack(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func TestHTTP(t *testing.T) {
	r, store, end := run(t, Config{HTTP: "127.0.0.1:0", MaxMessageBytes: 64 << 10})
	_, addr := r.Addresses()
	message := from("demo", gauge("n", point(0, 4)))
	binary, err := proto.Marshal(message)
	must(t, err)
	json, err := protojson.Marshal(message)
	must(t, err)
	bomb := pack(make([]byte, 1<<20))
	for _, tt := range []struct {
		name, method, path, kind, encoding string
		body                               []byte
		want                               int
	}{
		{"protobuf", "POST", "/v1/metrics", typeProto, "", binary, 200},
		{"protobuf, packed", "POST", "/v1/metrics", typeProto, "gzip", pack(binary), 200},
		{"json", "POST", "/v1/metrics", typeJSON + "; charset=utf-8", "", json, 200},
		{"json, packed", "POST", "/v1/metrics", typeJSON, "gzip", pack(json), 200},
		{"json of the specification", "POST", "/v1/metrics", typeJSON, "", []byte(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},"scopeMetrics":[{"metrics":[{"name":"my.counter","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":5,"startTimeUnixNano":"1544712660300000000","timeUnixNano":"1700000000000000000","unknownField":1}]}}]}]}]}`), 200},
		{"empty", "POST", "/v1/metrics", typeProto, "", nil, 200},
		{"malformed protobuf", "POST", "/v1/metrics", typeProto, "", []byte("\xff\xff"), 400},
		{"malformed json", "POST", "/v1/metrics", typeJSON, "", []byte("{"), 400},
		{"deep json", "POST", "/v1/metrics", typeJSON, "", []byte(`{"x":` + strings.Repeat("[", 30000)), 400},
		{"not packed", "POST", "/v1/metrics", typeProto, "gzip", binary, 400},
		{"too large", "POST", "/v1/metrics", typeProto, "", make([]byte, 100<<10), 413},
		{"bomb", "POST", "/v1/metrics", typeProto, "gzip", bomb, 413},
		{"text", "POST", "/v1/metrics", "text/plain", "", binary, 415},
		{"other packing", "POST", "/v1/metrics", typeProto, "zstd", binary, 415},
		{"traces", "POST", "/v1/traces", typeProto, "", binary, 404},
		{"get", "GET", "/v1/metrics", "", "", nil, 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+addr.String()+tt.path, bytes.NewReader(tt.body))
			must(t, err)
			req.Header.Set("Content-Type", tt.kind)
			if tt.encoding != "" {
				req.Header.Set("Content-Encoding", tt.encoding)
			}
			res, err := http.DefaultClient.Do(req)
			must(t, err)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			must(t, err)
			if res.StatusCode != tt.want {
				t.Fatalf("status %d, want %d: %s", res.StatusCode, tt.want, body)
			}
			if tt.want == 400 || tt.want == 413 {
				checkStatus(t, res.Header.Get("Content-Type"), body)
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
	end()
	if diff := cmp.Diff([]string{"my_counter_total{} 5", "n{} 4"}, latest(t, store)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// checkStatus wants a google.rpc.Status in the encoding that is named.
func checkStatus(t *testing.T, kind string, body []byte) {
	t.Helper()
	var s rpc.Status
	unmarshal := proto.Unmarshal
	if kind == typeJSON {
		unmarshal = protojson.Unmarshal
	}
	if err := unmarshal(body, &s); err != nil || s.GetMessage() == "" {
		t.Errorf("body %q of type %s is no Status: %v", body, kind, err)
	}
}

func TestEndsWithSlowClients(t *testing.T) {
	r, _, end := run(t, Config{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	for _, addr := range func() []net.Addr { a, b := r.Addresses(); return []net.Addr{a, b} }() {
		conn, err := net.Dial("tcp", addr.String())
		must(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("POST /v1/metrics HTTP/1.1\r\nContent-Le"))
		must(t, err)
	}
	end()
}

func TestAddressInUse(t *testing.T) {
	r, _, end := run(t, Config{GRPC: "127.0.0.1:0"})
	addr, _ := r.Addresses()
	other, _ := newReceiver(t, Config{GRPC: "127.0.0.1:0", HTTP: addr.String()})
	if err := other.Open(t.Context()); err == nil {
		t.Error("an address in use was opened")
	}
	end()
}

func TestConfigReportsEverything(t *testing.T) {
	err := Config{GRPC: "0.0.0.0:4317", HTTP: "nowhere", MaxPoints: -1, Wait: -1}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four lines:\n%v", err)
	}
}

// FuzzExport takes anything as a body, in both encodings.
func FuzzExport(f *testing.F) {
	total := 1.5
	message := from("demo", gauge("a.b", point(0, math.NaN(), kv("x", "y"))), sum("s", delta, point(0, 1)),
		&metrics.Metric{Name: "h", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: delta, DataPoints: []*metrics.HistogramDataPoint{
			{TimeUnixNano: nano(0), Count: 1, Sum: &total, ExplicitBounds: []float64{1}, BucketCounts: []uint64{1, 0}}}}}})
	binary, err := proto.Marshal(message)
	must(f, err)
	json, err := protojson.Marshal(message)
	must(f, err)
	f.Add(binary, false)
	f.Add(json, true)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		kind := typeProto
		if isJSON {
			kind = typeJSON
		}
		req, refused := decode(body, kind)
		if refused != nil {
			return
		}
		r, store := newReceiver(t, Config{MaxSeries: 100})
		for range 2 {
			if _, refused := r.export(t.Context(), req); refused != nil && refused.code == codes.Internal {
				t.Fatal(refused.message)
			}
		}
		if n := store.Stats().Series; n > 100*256 {
			t.Errorf("%d series", n)
		}
	})
}

func BenchmarkConsume(b *testing.B) {
	r, _ := newReceiver(b, Config{})
	var points []*metrics.NumberDataPoint
	for i := range 1000 {
		points = append(points, point(0, 1, kv("http.method", "GET"), kv("id", fmt.Sprint(i))))
	}
	req := from("demo", gauge("n", points...))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for _, p := range points {
			p.TimeUnixNano = nano(time.Duration(i) * time.Millisecond)
		}
		r.consume(req)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/point")
}
