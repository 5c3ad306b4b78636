package ring

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// model is the store as one would write it without any thought of cost.
type model struct {
	windowMS, lookbackMS int64
	series               map[string][]Point
	order                []string // of creation
}

func (m *model) append(id string, ms int64, v float64) {
	ps := m.series[id]
	if len(ps) == 0 {
		m.order = append(m.order, id)
	}
	if len(ps) == 0 || ms > ps[len(ps)-1].UnixMS {
		m.series[id] = append(ps, Point{ms, v})
	}
}

// last returns the value of every series that has one now, in order of creation.
func (m *model) last(nowMS int64) (points []Point) {
	for _, id := range m.order {
		p := m.series[id][len(m.series[id])-1]
		if nowMS-p.UnixMS <= m.lookbackMS {
			points = append(points, p)
		}
	}
	return points
}

func (m *model) sum(nowMS int64) float64 {
	total, n := 0.0, 0
	for _, p := range m.last(nowMS) {
		total, n = total+p.Value, n+1
	}
	if n == 0 {
		return math.NaN()
	}
	return total
}

func (m *model) count(nowMS, overMS int64) (n float64) {
	for _, ps := range m.series {
		for _, p := range ps {
			if p.UnixMS > nowMS-overMS && p.UnixMS <= nowMS {
				n++
			}
		}
	}
	return n
}

// TestAgainstModel drives store and model with the same samples and times. Within the window the
// two agree on selections, on queries, and on when a watch fires.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clk := newClock()
		s, err := New(Config{Window: time.Minute, Lookback: 20 * time.Second, Clock: clk.Now})
		if err != nil {
			t.Fatal(err)
		}
		m := &model{windowMS: 60_000, lookbackMS: 20_000, series: map[string][]Point{}}
		sel, err := s.Select(Request{Name: "g", Reduce: Sum})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []float64
		sel.Watch(Bounds{Above: 10, Below: math.NaN()}, func(c Crossing) { got = append(got, c.Value) })
		over := false
		for range rapid.IntRange(1, 300).Draw(t, "samples") {
			nowMS := clk.add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "passed")) * time.Millisecond)
			ms := nowMS - int64(rapid.IntRange(0, 1000).Draw(t, "late"))
			id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id")
			v := float64(rapid.IntRange(-2, 8).Draw(t, "value"))
			if s.Append("g", []Label{{"id", id}}, ms, v) == nil {
				m.append(id, ms, v)
				now := m.sum(nowMS)
				if now > 10 && !over {
					want = append(want, now)
				}
				over = now > 10
			}
			if a, b := sel.Read().Value, m.sum(nowMS); a != b && !(math.IsNaN(a) && math.IsNaN(b)) {
				t.Fatalf("sum %v, model %v", a, b)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("crossings (-model +store):\n%s", diff)
		}
		now := clk.Now()
		res, err := s.Query(t.Context(), "sum(count_over_time(g[30s]))", now)
		if err != nil {
			t.Fatal(err)
		}
		var counted float64
		if len(res.Series) > 0 {
			counted = res.Series[0].Points[0].Value
		}
		if modelled := m.count(now.UnixMilli(), 30_000); counted != modelled {
			t.Fatalf("%v samples in 30 s, model %v", counted, modelled)
		}
	})
}

// TestManySeriesAreCheap bounds what the most series that fit hold of the heap, one sample each,
// and how fast they are let go.
func TestManySeriesAreCheap(t *testing.T) {
	s, clk := newStore(t, Config{})
	sel, err := s.Select(Request{Name: "g", Reduce: Sum})
	must(t, err)
	before := heapBytes()
	for i := range 8192 {
		must(t, s.Append("g", []Label{{"app", "demo"}, {"id", fmt.Sprint(i)}, {"path", "/v1/things"}}, clk.Now().UnixMilli(), 1))
	}
	each := (heapBytes() - before) / 8192
	t.Logf("%d bytes for each series", each)
	if each > 1500 {
		t.Errorf("%d bytes for each series, at most 1500", each)
	}
	if got := sel.Read(); got.Value != 8192 {
		t.Errorf("%+v", got)
	}
	s.trim(clk.add(time.Hour))
	if got := s.Stats(); got.Series != 0 || got.Bytes != 0 || !sel.Read().Missing() {
		t.Errorf("%+v", got)
	}
}

// FuzzQuery asks anything of a small store. It may be refused, not crash, and not take forever.
func FuzzQuery(f *testing.F) {
	clk := newClock()
	s, err := New(Config{Clock: clk.Now, QueryMaxSamples: 10_000, QueryTimeout: 500 * time.Millisecond})
	must(f, err)
	for i := range 200 {
		ms := clk.add(time.Second)
		must(f, s.Append("m_total", []Label{{"cpu", "0"}}, ms, float64(i)))
		must(f, s.Append("m_total", []Label{{"cpu", "1"}}, ms, math.NaN()))
		must(f, s.Append("h_bucket", []Label{{"le", "1"}}, ms, 1))
		must(f, s.Append("h_bucket", []Label{{"le", "+Inf"}}, ms, 2))
	}
	for _, expr := range []string{
		`m_total{cpu=~"0|1"}`, `rate(m_total[1m])`, `histogram_quantile(0.9, rate(h_bucket[1m]))`, `max_over_time(m_total[1m:1s])`,
		`sum by (cpu) (m_total) / on() group_left() h_bucket`, `label_replace(m_total, "a", "$1", "cpu", "(.*)")`, `"text"`, `m_total[1m]`, `m_total @ end() offset -1d`, `((((`,
	} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		_, _ = s.Query(t.Context(), expr, clk.Now())
		_, _ = s.QueryRange(t.Context(), expr, clk.Now().Add(-time.Minute), clk.Now(), 10*time.Second)
		_, _ = MetricNames(expr)
	})
}
