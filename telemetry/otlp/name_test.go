package otlp

import (
	"testing"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
)

func gaugeOf(name, unit string) *metrics.Metric {
	return &metrics.Metric{Name: name, Unit: unit, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{}}}
}

func counterOf(name, unit string) *metrics.Metric {
	return &metrics.Metric{Name: name, Unit: unit, Data: &metrics.Metric_Sum{Sum: &metrics.Sum{IsMonotonic: true}}}
}

// TestMetricNames follows the examples of "Prometheus and OpenMetrics compatibility".
func TestMetricNames(t *testing.T) {
	for _, tt := range []struct {
		metric *metrics.Metric
		want   string
	}{
		{gaugeOf("system.memory.usage", "By"), "system_memory_usage_bytes"},
		{gaugeOf("relocation_delay", ""), "relocation_delay"},
		{gaugeOf("queue.length", "{job}"), "queue_length"},
		{gaugeOf("cpu.utilization", "1"), "cpu_utilization_ratio"},
		{gaugeOf("cpu.ratio", "1"), "cpu_ratio"},
		{gaugeOf("latency.seconds", "s"), "latency_seconds"},
		{gaugeOf("latency", "ms"), "latency_milliseconds"},
		{gaugeOf("throughput", "By/s"), "throughput_bytes_per_second"},
		{gaugeOf("rate", "{req}/s"), "rate_per_second"},
		{gaugeOf("speed", "m/s"), "speed_meters_per_second"},
		{gaugeOf("disk", "%"), "disk_percent"},
		{gaugeOf("odd", "foo.bar"), "odd_foo_bar"},
		{gaugeOf("a..b--c__d", ""), "a_b_c_d"},
		{gaugeOf("2xx", ""), "_2xx"},
		{gaugeOf("größe", ""), "gr_e"},
		{gaugeOf("ns:metric", ""), "ns:metric"},
		{gaugeOf("", "s"), "seconds"},
		{gaugeOf("...", ""), ""},
		{counterOf("test_sent_counter", ""), "test_sent_counter_total"},
		{counterOf("requests.total", ""), "requests_total"},
		{counterOf("total.requests", "1"), "requests_total"},
		{counterOf("io", "By"), "io_bytes_total"},
	} {
		if got := metricName(tt.metric); got != tt.want {
			t.Errorf("%q in %q: got %q, want %q", tt.metric.Name, tt.metric.Unit, got, tt.want)
		}
	}
}

func TestLabelNames(t *testing.T) {
	for name, want := range map[string]string{
		"http.method": "http_method", "a--b": "a_b", "1st": "key_1st", "__name__": "key__name__", "_x": "_x", "": "_", "ä": "_",
	} {
		if got := labelName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
