package loop

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/telemetry"
	"github.com/edgehold/edgehold/telemetry/ring"
	"github.com/edgehold/edgehold/wasmabi"
)

// Sensor shows policies the ring's metrics and the mechanisms' knobs. It keeps a view for each loop.
type Sensor struct {
	feeds *telemetry.Pipeline
	knobs knobReader

	mu    sync.Mutex
	views map[agents.Key]*View
}

// knobReader reads the knobs of a mechanism. *mechanisms.Supervisor is one.
type knobReader interface {
	State(ctx context.Context, mechanism string) (mechanisms.State, error)
}

var _ agents.Sensor = (*Sensor)(nil)

// NewSensor returns a sensor without views.
func NewSensor(feeds *telemetry.Pipeline, knobs knobReader) *Sensor {
	return &Sensor{feeds: feeds, knobs: knobs, views: map[agents.Key]*View{}}
}

// View is what one loop looks at: a feed for each metric, in the order of the dictionary.
type View struct {
	dict   *Dictionary
	feeds  []*telemetry.Feed
	beside *View // of the version that is being replaced, until it is, or that runs beside
}

// Open makes a view of a manifest's metrics. Queries are evaluated as often as the policy looks.
func (s *Sensor) Open(m *wasmabi.Manifest, dict *Dictionary) (*View, error) {
	v := &View{dict: dict}
	for i := range m.Metrics {
		r := &m.Metrics[i]
		feed, err := s.feeds.Feed(request(r), Interval(m))
		if err != nil {
			v.Close()
			return nil, fmt.Errorf("observe metric %s: %w", r.Name, err)
		}
		v.feeds = append(v.feeds, feed)
	}
	return v, nil
}

func request(r *wasmabi.MetricRequest) ring.Request {
	if r.Query != "" {
		return ring.Request{Query: r.Query, Reduce: ring.Reduce(r.Reduce)}
	}
	req := ring.Request{Name: r.Name, Reduce: ring.Reduce(r.Reduce)}
	for _, l := range r.Labels {
		req.Matchers = append(req.Matchers, ring.Matcher{Name: l.Name, Value: l.Value})
	}
	return req
}

// With returns the view together with another one, of which it takes precedence, or alone.
func (v *View) With(beside *View) *View {
	w := *v
	w.beside = beside
	return &w
}

// Close ends the view; nobody may be looking through it any more.
func (v *View) Close() {
	for _, f := range v.feeds {
		f.Close()
	}
}

// Show makes a view the one that a loop sees, and returns the one before, which the caller closes when nobody can be
// looking through it any more.
func (s *Sensor) Show(k agents.Key, v *View) (before *View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.views[k]
	if v == nil {
		delete(s.views, k)
	} else {
		s.views[k] = v
	}
	return before
}

func (s *Sensor) view(k agents.Key) (*View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.views[k]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("observe for %s: it is not bound", k)
}

// Observe reads every metric and every granted knob of a loop.
func (s *Sensor) Observe(ctx context.Context, k agents.Key) (agents.Observation, error) {
	v, err := s.view(k)
	if err != nil {
		return agents.Observation{}, err
	}
	var o agents.Observation
	read := map[string]mechanisms.State{}
	for ; v != nil; v = v.beside {
		if err := s.look(ctx, v, read, &o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// look adds what a view shows. Mechanisms are read once for all views.
func (s *Sensor) look(ctx context.Context, v *View, read map[string]mechanisms.State, o *agents.Observation) error {
	shared := len(o.Readings) > 0 // what a view before has seen is not looked at again: both versions get the same
	for i, feed := range v.feeds {
		if shared && findReading(o.Readings, i, v.dict.labels[i]) >= 0 {
			continue
		}
		r := feed.Read()
		o.Readings = append(o.Readings, agents.Reading{
			Name: v.dict.labels[i], Unit: v.dict.init.Metrics[i].Unit, Value: r.Value, Age: r.Age,
		})
	}
	seen := len(o.Knobs)
	for _, mechanism := range v.dict.init.Mechanisms {
		state, ok := read[mechanism]
		if !ok {
			var err error
			if state, err = s.knobs.State(ctx, mechanism); err != nil {
				return fmt.Errorf("observe the knobs of %s: %w", mechanism, err)
			}
			read[mechanism] = state
		}
		o.Knobs = v.appendKnobs(o.Knobs, seen, &state)
	}
	return nil
}

// appendKnobs adds the knobs of one mechanism that can be read now and that the dictionary grants. Both are sorted by
// name. The first seen of dst are there already.
func (v *View) appendKnobs(dst []agents.KnobReading, seen int, state *mechanisms.State) []agents.KnobReading {
	next := 0
	for id, info := range v.dict.init.Knobs {
		if v.dict.init.Mechanisms[info.Mechanism] != state.Mechanism {
			continue
		}
		for next < len(state.Knobs) && state.Knobs[next].Knob < info.Name {
			next++
		}
		if next == len(state.Knobs) {
			break
		}
		if now := state.Knobs[next]; now.Knob == info.Name && now.Problem == "" && findKnob(dst[:seen], id, state.Mechanism, info.Name) < 0 {
			dst = append(dst, agents.KnobReading{
				Mechanism: state.Mechanism, Knob: info.Name, Unit: v.dict.knobs[id].Unit, Value: agents.Value(now.Value),
			})
		}
	}
	return dst
}

// Watch calls wake as soon as a sample takes a metric past its bound.
func (s *Sensor) Watch(k agents.Key, bounds []agents.Bound, wake func(agents.Crossing)) (stop func(), err error) {
	v, err := s.view(k)
	if err != nil {
		return nil, err
	}
	var watches []*ring.Watch
	stop = func() {
		for _, w := range watches {
			w.Close()
		}
	}
	for _, b := range bounds {
		feed, err := v.find(b)
		if err != nil {
			stop()
			return nil, fmt.Errorf("watch for %s: %w", k, err)
		}
		watches = append(watches, feed.Watch(ring.Bounds{Above: b.Above, Below: b.Below}, func(c ring.Crossing) {
			wake(agents.Crossing{Bound: b, Value: c.Value})
		}))
	}
	return stop, nil
}

// find returns the feed that a bound is on, in the view of the version that set it.
func (v *View) find(b agents.Bound) (*telemetry.Feed, error) {
	for ; v != nil; v = v.beside {
		if int(b.ID) < len(v.feeds) && v.dict.init.Metrics[b.ID].Name == b.Metric {
			return v.feeds[b.ID], nil
		}
	}
	return nil, fmt.Errorf("no metric %d named %s", b.ID, b.Metric)
}

// Missing names the required metrics that nobody has sent yet.
func (v *View) Missing(m *wasmabi.Manifest) []string {
	var names []string
	for i, r := range m.Metrics {
		if r.Required && math.IsNaN(v.feeds[i].Read().Value) {
			names = append(names, v.dict.labels[i])
		}
	}
	return names
}
