package otlp

import (
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// countRequest counts data points before anything is done with them.
func countRequest(req *collector.ExportMetricsServiceRequest) (points int) {
	for _, rm := range req.GetResourceMetrics() {
		points += countResource(rm)
	}
	return points
}

func countResource(rm *metrics.ResourceMetrics) (points int) {
	for _, sm := range rm.GetScopeMetrics() {
		for _, m := range sm.GetMetrics() {
			points += countMetric(m)
		}
	}
	return points
}

func countMetric(m *metrics.Metric) int {
	switch data := m.GetData().(type) {
	case *metrics.Metric_Gauge:
		return len(data.Gauge.GetDataPoints())
	case *metrics.Metric_Sum:
		return len(data.Sum.GetDataPoints())
	case *metrics.Metric_Histogram:
		return len(data.Histogram.GetDataPoints())
	case *metrics.Metric_ExponentialHistogram:
		return len(data.ExponentialHistogram.GetDataPoints())
	case *metrics.Metric_Summary:
		return len(data.Summary.GetDataPoints())
	}
	return 0
}
