package node

import (
	"context"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// metrics answers PromQL for the API.
type metrics struct {
	store *ring.Store
	now   func() time.Time
}

// Query implements apiserver.Metrics.
func (m metrics) Query(ctx context.Context, expr string, at time.Time) (api.MetricResult, error) {
	if at.IsZero() {
		at = m.now()
	}
	r, err := m.store.Query(ctx, expr, at)
	return metricResult(r), err
}

// QueryRange implements apiserver.Metrics.
func (m metrics) QueryRange(ctx context.Context, expr string, r api.MetricRange) (api.MetricResult, error) {
	result, err := m.store.QueryRange(ctx, expr, r.Start, r.End, r.Step)
	return metricResult(result), err
}

func metricResult(r ring.Result) api.MetricResult {
	out := api.MetricResult{Type: r.Type, Warnings: r.Warnings, Series: make([]api.MetricSeries, 0, len(r.Series))}
	for _, s := range r.Series {
		one := api.MetricSeries{Labels: map[string]string{}, Points: make([]api.MetricPoint, 0, len(s.Points))}
		if s.Name != "" {
			one.Labels["__name__"] = s.Name
		}
		for _, l := range s.Labels {
			one.Labels[l.Name] = l.Value
		}
		for _, p := range s.Points {
			one.Points = append(one.Points, api.MetricPoint{TimeMS: p.UnixMS, Value: api.Float(p.Value)})
		}
		out.Series = append(out.Series, one)
	}
	return out
}

// Names implements apiserver.Metrics.
func (m metrics) Names(_ context.Context, prefix string) ([]api.MetricName, error) {
	out := []api.MetricName{}
	for _, n := range m.store.Names() {
		if !strings.HasPrefix(n.Name, prefix) {
			continue
		}
		one := api.MetricName{Name: n.Name, Unit: n.Meta.Unit, Help: n.Meta.Help, Series: n.Series}
		if latest, err := m.store.Latest(n.Name); err == nil {
			for _, s := range latest {
				if at := time.UnixMilli(s.UnixMS); at.After(one.NewestAt) {
					one.NewestAt = at
				}
			}
		}
		out = append(out, one)
	}
	return out, nil
}
