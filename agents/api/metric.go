package api

import (
	"fmt"
	"strconv"
	"time"
)

// Float is a number that may be NaN or infinite. In JSON it is a string, as in the Prometheus HTTP interface.
type Float float64

// MarshalText writes the shortest decimal that reads back the same.
func (f Float) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(f), 'g', -1, 64), nil
}

// UnmarshalText reads a decimal, NaN, +Inf or -Inf.
func (f *Float) UnmarshalText(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("read number %q: not a decimal, NaN, +Inf or -Inf", b)
	}
	*f = Float(v)
	return nil
}

// MetricResult is the answer to a PromQL query.
type MetricResult struct {
	Type     string         `json:"type" enum:"vector,matrix,scalar" doc:"Kind of the result. A scalar is one series without labels."`
	Series   []MetricSeries `json:"series" doc:"Series, sorted by labels."`
	Warnings []string       `json:"warnings,omitempty" doc:"Remarks of the query engine."`
}

// MetricSeries is a labelled series.
type MetricSeries struct {
	Labels map[string]string `json:"labels" doc:"Labels; the metric name is under __name__."`
	Points []MetricPoint     `json:"points" doc:"Samples, oldest first; a vector has one."`
}

// MetricPoint is one sample.
type MetricPoint struct {
	TimeMS int64 `json:"time_ms" doc:"Milliseconds since 1970."`
	Value  Float `json:"value" doc:"Value."`
}

// MetricRange is the span of a range query.
type MetricRange struct {
	Start time.Time
	End   time.Time
	Step  time.Duration
}

// MetricName is a metric that the node holds.
type MetricName struct {
	Name     string    `json:"name" example:"node_load1" doc:"Metric."`
	Unit     string    `json:"unit,omitempty" doc:"Unit, where it is known."`
	Help     string    `json:"help,omitempty" doc:"What it measures, where it is known."`
	Series   int       `json:"series" doc:"Number of series."`
	NewestAt time.Time `json:"newest_at,omitzero" doc:"Newest sample."`
}

// MetricNameList is the answer to listing metrics, sorted by name.
type MetricNameList struct {
	Items []MetricName `json:"items" doc:"Metrics, sorted by name."`
}
