package ring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Point is a value at a time.
type Point struct {
	UnixMS int64
	Value  float64
}

// ResultSeries is one series of a result.
type ResultSeries struct {
	Name   string  // empty where the expression drops it
	Labels []Label // sorted by name
	Points []Point // one for an instant query
}

// Result is the answer to a query.
type Result struct {
	Type     string // "vector", "matrix", "scalar" or "string"
	Series   []ResultSeries
	Text     string // of type "string"
	Warnings []string
}

// maxQueryBytes bounds an expression, and with it what parsing costs.
const maxQueryBytes = 16 << 10

// maxSteps bounds the points of one series of a range query, as Prometheus does.
const maxSteps = 11_000

func newEngine(c Config) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger:               c.Logger,
		MaxSamples:           c.QueryMaxSamples,
		Timeout:              c.QueryTimeout,
		LookbackDelta:        c.Lookback,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,

		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
	})
}

// Query evaluates a PromQL expression at one time.
func (s *Store) Query(ctx context.Context, expr string, at time.Time) (Result, error) {
	return s.run(ctx, expr, 1, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewInstantQuery(ctx, s, nil, expr, at)
	})
}

// QueryRange evaluates a PromQL expression at from, from+step, ... up to to.
func (s *Store) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (Result, error) {
	switch {
	case step < time.Millisecond:
		return Result{}, badQuery(expr, "the step is shorter than 1 ms", nil)
	case to.Before(from):
		return Result{}, badQuery(expr, "the end lies before the start", nil)
	case to.Sub(from)/step >= maxSteps:
		return Result{}, badQuery(expr, fmt.Sprintf("it asks for more than %d steps", maxSteps), nil)
	}
	return s.run(ctx, expr, int64(to.Sub(from)/step)+1, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewRangeQuery(ctx, s, nil, expr, from, to, step)
	})
}

func (s *Store) run(ctx context.Context, expr string, steps int64, prepare func(context.Context) (promql.Query, error)) (Result, error) {
	parsed, err := parse(expr)
	if err == nil {
		err = checkCost(expr, parsed, steps)
	}
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.QueryTimeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		s.counts.failedQueries.Add(1)
		return Result{}, queryFailed(expr, ctx.Err())
	}
	s.counts.queries.Add(1)
	res, err := execute(ctx, expr, prepare)
	if err != nil {
		s.counts.failedQueries.Add(1)
	}
	return res, err
}

func execute(ctx context.Context, expr string, prepare func(context.Context) (promql.Query, error)) (Result, error) {
	query, err := prepare(ctx)
	if err != nil {
		return Result{}, badQuery(expr, err.Error(), err)
	}
	defer query.Close()
	res := query.Exec(ctx)
	if res.Err != nil {
		return Result{}, queryFailed(expr, res.Err)
	}
	return plainResult(expr, res), nil
}

func plainResult(expr string, res *promql.Result) Result {
	out := Result{Type: string(res.Value.Type())}
	switch v := res.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			name, rest := plainLabels(s.Metric)
			out.Series = append(out.Series, ResultSeries{name, rest, []Point{{s.T, s.F}}})
		}
	case promql.Matrix:
		for _, s := range v {
			out.Series = append(out.Series, plainSeries(s))
		}
	case promql.Scalar:
		out.Series = []ResultSeries{{Points: []Point{{v.T, v.V}}}}
	case promql.String:
		out.Text = v.V
	}
	warnings, infos := res.Warnings.AsStrings(expr, 10, 10)
	out.Warnings = append(out.Warnings, append(warnings, infos...)...)
	return out
}

func plainSeries(s promql.Series) ResultSeries {
	name, rest := plainLabels(s.Metric)
	points := make([]Point, len(s.Floats))
	for i, p := range s.Floats {
		points[i] = Point{p.T, p.F}
	}
	return ResultSeries{name, rest, points}
}

// checkExpression says whether expr makes a vector or a number, as selections need.
func checkExpression(expr string) error {
	parsed, err := parse(expr)
	if err != nil {
		return err
	}
	if t := parsed.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return badSelection(fmt.Sprintf("expression %q makes a %s; a selection needs one value for each series", shorten(expr), t))
	}
	return checkCost(expr, parsed, 1)
}

func parse(expr string) (parser.Expr, error) {
	if len(expr) > maxQueryBytes {
		return nil, badQuery(expr, fmt.Sprintf("it has %d bytes, the most is %d", len(expr), maxQueryBytes), nil)
	}
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		return nil, badQuery(expr, err.Error(), err)
	}
	return parsed, nil
}

func badQuery(expr, why string, cause error) error {
	return &Error{
		code: "telemetry.bad-query", what: fmt.Sprintf("query %q", shorten(expr)), why: why, cause: cause,
		hint: "write a PromQL expression, for example rate(node_cpu_seconds_total[1m])",
	}
}

func queryFailed(expr string, cause error) error {
	e := &Error{
		code: "telemetry.query-failed", what: fmt.Sprintf("query %q", shorten(expr)), why: cause.Error(), cause: cause,
		hint: "narrow the query to fewer series or a shorter time",
	}
	var timeout promql.ErrQueryTimeout
	if errors.As(cause, &timeout) || errors.Is(cause, context.DeadlineExceeded) {
		e.code = "telemetry.query-timeout"
	}
	return e
}

func shorten(expr string) string {
	if len(expr) > 200 {
		return expr[:200] + "..."
	}
	return expr
}

// MetricNames returns the metric names that a PromQL expression reads by name, each once.
func MetricNames(expr string) ([]string, error) {
	parsed, err := parse(expr)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, matchers := range parser.ExtractSelectors(parsed) {
		for _, m := range matchers {
			if m.Name == nameLabel && m.Type == labels.MatchEqual && !slices.Contains(names, m.Value) {
				names = append(names, m.Value)
			}
		}
	}
	return names, nil
}
