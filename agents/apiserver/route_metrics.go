package apiserver

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// maxSteps is Prometheus' own bound on the points of a range query.
const maxSteps = 11_000

type queryInput struct {
	Query string `query:"query" required:"true" maxLength:"8192" example:"rate(node_cpu_seconds_total[30s])" doc:"PromQL expression."`
	Time  string `query:"time" maxLength:"64" doc:"Evaluation time; the default is now."`
}

type rangeInput struct {
	Query string `query:"query" required:"true" maxLength:"8192" example:"node_load1" doc:"PromQL expression."`
	Start string `query:"start" required:"true" maxLength:"64" doc:"First time: RFC 3339 or seconds since 1970."`
	End   string `query:"end" maxLength:"64" doc:"Last time; the default is now."`
	Step  string `query:"step" maxLength:"32" example:"5s" doc:"Distance between points, as 5s or 250ms; the default gives 250 points."`
}

type namesInput struct {
	Prefix string `query:"prefix" maxLength:"256" doc:"Only metrics whose name begins so."`
}

func (s *Server) routeMetrics() {
	metrics, tag := s.config.Backend.Metrics, "metrics"
	handle(s, operation("GET", "/v1/metrics/query", "query-metrics", "Query metrics",
		"Evaluates PromQL at one time over the node's ring of recent samples.", tag),
		func(ctx context.Context, in *queryInput) (api.MetricResult, error) {
			at, err := parseTime("query metrics", "query.time", in.Time)
			if err != nil {
				return api.MetricResult{}, err
			}
			result, err := metrics.Query(ctx, in.Query, at)
			result.Series = nonNil(result.Series)
			return result, err
		})
	handle(s, operation("GET", "/v1/metrics/query_range", "query-metrics-range", "Query metrics over a range",
		"Evaluates PromQL at every step of a span.", tag),
		func(ctx context.Context, in *rangeInput) (api.MetricResult, error) {
			span, err := in.span(time.Now())
			if err != nil {
				return api.MetricResult{}, err
			}
			result, err := metrics.QueryRange(ctx, in.Query, span)
			result.Series = nonNil(result.Series)
			return result, err
		})
	handle(s, operation("GET", "/v1/metrics/names", "list-metric-names", "List metric names",
		"The metrics that the node holds, sorted by name.", tag),
		func(ctx context.Context, in *namesInput) (api.MetricNameList, error) {
			items, err := metrics.Names(ctx, in.Prefix)
			return api.MetricNameList{Items: nonNil(items)}, err
		})
}

// span reads a range and bounds the number of its steps.
func (in *rangeInput) span(now time.Time) (r api.MetricRange, err error) {
	const attempted, points = "query metrics over a range", 250
	if r.Start, err = parseTime(attempted, "query.start", in.Start); err != nil {
		return r, err
	}
	if r.End, err = parseTime(attempted, "query.end", in.End); err != nil {
		return r, err
	}
	if r.End.IsZero() {
		r.End = now
	}
	if r.End.Before(r.Start) {
		return r, invalid(attempted, "query.end", "lies before start")
	}
	r.Step = max(r.End.Sub(r.Start)/points, time.Millisecond).Round(time.Millisecond)
	if in.Step != "" {
		if r.Step, err = time.ParseDuration(in.Step); err != nil || r.Step <= 0 {
			return r, invalid(attempted, "query.step", "is not a positive duration such as 5s")
		}
	}
	if r.End.Sub(r.Start)/r.Step >= maxSteps {
		return r, invalid(attempted, "query.step", "gives more than 11000 points")
	}
	return r, nil
}
