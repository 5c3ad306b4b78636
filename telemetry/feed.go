package telemetry

import (
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/telemetry/sources"
)

// Feed is one metric request of a policy: a selection, and the wish that the sources behind it are
// read often enough.
type Feed struct {
	*ring.Selection
	asks []*sources.Ask
}

// Feed opens a request. every is how often its metrics are wanted; zero accepts the usual pace. For
// an expression it is also how often that is evaluated, unless the request says so itself. Close
// the feed when the policy goes.
func (p *Pipeline) Feed(q ring.Request, every time.Duration) (*Feed, error) {
	if q.Every == 0 {
		q.Every = every
	}
	names := []string{q.Name}
	if q.Query != "" {
		var err error
		if names, err = ring.MetricNames(q.Query); err != nil {
			return nil, err
		}
	}
	selection, err := p.store.Select(q)
	if err != nil {
		return nil, err
	}
	f := &Feed{Selection: selection}
	for _, name := range names {
		f.asks = append(f.asks, p.runner.Ask(name, every))
	}
	return f, nil
}

// Close ends the feed and its watches, and withdraws its wish.
func (f *Feed) Close() {
	for _, a := range f.asks {
		a.Close()
	}
	f.Selection.Close()
}
