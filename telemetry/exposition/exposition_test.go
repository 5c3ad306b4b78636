package exposition

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/edgehold/edgehold/telemetry/ring"
)

var update = flag.Bool("update", false, "rewrite golden files")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var epoch = time.Unix(1_700_000_000, 0)

func newStore(t testing.TB) *ring.Store {
	t.Helper()
	s, err := ring.New(ring.Config{Clock: func() time.Time { return epoch }})
	must(t, err)
	return s
}

func put(t testing.TB, s *ring.Store, name string, v float64, labels ...ring.Label) {
	t.Helper()
	must(t, s.Append(name, labels, epoch.UnixMilli(), v))
}

func example(t testing.TB) *ring.Store {
	s := newStore(t)
	must(t, s.Describe("node_load1", ring.Meta{Kind: ring.Gauge, Help: "Load over 1 minute.\nBackslash \\ and \"quotes\"."}))
	put(t, s, "node_load1", 0.25)
	must(t, s.Describe("requests_total", ring.Meta{Kind: ring.Counter}))
	put(t, s, "requests_total", 1e15, ring.Label{Name: "path", Value: "C:\\dir\n\"x\""}, ring.Label{Name: "app", Value: "größe"})
	put(t, s, "requests_total", 3)
	put(t, s, "odd", math.NaN(), ring.Label{Name: "kind", Value: "nan"})
	put(t, s, "odd", math.Inf(1), ring.Label{Name: "kind", Value: "inf"})
	put(t, s, "odd", math.Inf(-1), ring.Label{Name: "kind", Value: "-inf"})
	must(t, s.Describe("latency_seconds", ring.Meta{Kind: ring.Histogram, Help: "Time."}))
	for _, app := range []string{"b", "a"} {
		for i, le := range []string{"+Inf", "10", "5", "0.5"} {
			put(t, s, "latency_seconds_bucket", float64(9-i), ring.Label{Name: "app", Value: app}, ring.Label{Name: "le", Value: le})
		}
		put(t, s, "latency_seconds_sum", 12.5, ring.Label{Name: "app", Value: app})
		put(t, s, "latency_seconds_count", 9, ring.Label{Name: "app", Value: app})
	}
	must(t, s.Describe("size_bytes", ring.Meta{Kind: ring.Summary}))
	put(t, s, "size_bytes", 7, ring.Label{Name: "quantile", Value: "0.99"})
	put(t, s, "size_bytes", 5, ring.Label{Name: "quantile", Value: "0.5"})
	put(t, s, "size_bytes_sum", 12)
	put(t, s, "size_bytes_count", 2)
	put(t, s, "lonely_count", 2) // no family of that name
	return s
}

func TestGolden(t *testing.T) {
	var got bytes.Buffer
	must(t, Write(&got, example(t)))
	const golden = "testdata/metrics.txt"
	if *update {
		must(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// parse reads the text back with the parser of Prometheus' own libraries.
func parse(t testing.TB, text []byte) []string {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var series []string
	for name, f := range families {
		for _, m := range f.GetMetric() {
			series = append(series, flatten(name, m)...)
		}
	}
	slices.Sort(series)
	return series
}

// flatten writes what the parser made of one metric as the lines it was made of.
func flatten(name string, m *dto.Metric) []string {
	line := func(suffix, extra string, bound, v float64) string {
		labels := []string{}
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		if extra != "" {
			labels = append(labels, fmt.Sprintf("%s=%q", extra, fmt.Sprint(bound)))
		}
		slices.Sort(labels)
		return fmt.Sprintf("%s%s %v %v %d", name, suffix, labels, v, m.GetTimestampMs())
	}
	var lines []string
	switch {
	case m.Histogram != nil:
		for _, b := range m.Histogram.GetBucket() {
			lines = append(lines, line("_bucket", "le", b.GetUpperBound(), float64(b.GetCumulativeCount())))
		}
		return append(lines, line("_sum", "", 0, m.Histogram.GetSampleSum()), line("_count", "", 0, float64(m.Histogram.GetSampleCount())))
	case m.Summary != nil:
		for _, q := range m.Summary.GetQuantile() {
			lines = append(lines, line("", "quantile", q.GetQuantile(), q.GetValue()))
		}
		return append(lines, line("_sum", "", 0, m.Summary.GetSampleSum()), line("_count", "", 0, float64(m.Summary.GetSampleCount())))
	}
	return []string{line("", "", 0, m.GetGauge().GetValue()+m.GetCounter().GetValue()+m.GetUntyped().GetValue())}
}

func fromStore(t testing.TB, s *ring.Store) []string {
	t.Helper()
	samples, err := s.Latest("")
	must(t, err)
	var series []string
	for _, x := range samples {
		labels := []string{}
		for _, l := range x.Labels {
			labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
		series = append(series, fmt.Sprintf("%s %v %v %d", x.Name, labels, x.Value, x.UnixMS))
	}
	slices.Sort(series)
	return series
}

func TestPrometheusReadsItBack(t *testing.T) {
	s := example(t)
	var text bytes.Buffer
	must(t, Write(&text, s))
	if diff := cmp.Diff(fromStore(t, s), parse(t, text.Bytes())); diff != "" {
		t.Errorf("(-ring +parsed):\n%s", diff)
	}
}

func FuzzPrometheusReadsItBack(f *testing.F) {
	f.Add("a", "b\n\\\"", "help\n\\", 1.5)
	f.Add("le", "0x1p-2", "", math.Inf(1))
	f.Fuzz(func(t *testing.T, label, value, help string, v float64) {
		s := newStore(t)
		if s.Append("m", []ring.Label{{Name: label, Value: value}}, epoch.UnixMilli(), v) != nil {
			t.Skip("the ring refuses it")
		}
		must(t, s.Describe("m", ring.Meta{Kind: ring.Gauge, Help: help}))
		var text bytes.Buffer
		must(t, Write(&text, s))
		got := parse(t, text.Bytes())
		if len(got) > 1 || len(got) == 0 && !math.IsNaN(v) {
			t.Errorf("%d series read back of\n%s", len(got), text.String())
		}
	})
}

func TestHandler(t *testing.T) {
	server := httptest.NewServer(Handler(example(t)))
	defer server.Close()
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405} {
		req, err := http.NewRequest(method, server.URL, nil)
		must(t, err)
		res, err := server.Client().Do(req)
		must(t, err)
		body, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != want || want == 200 && res.Header.Get("Content-Type") != ContentType || (method == "GET") != (len(body) > 100) {
			t.Errorf("%s: %d, %q, %d bytes", method, res.StatusCode, res.Header.Get("Content-Type"), len(body))
		}
	}
}
