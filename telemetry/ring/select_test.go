package ring

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReductions(t *testing.T) {
	s, clk := newStore(t, Config{})
	ms := clk.Now().UnixMilli()
	must(t, s.Append("g", []Label{{"id", "a"}}, ms-2000, 7))
	for _, tt := range []struct {
		reduce Reduce
		want   Reading
	}{
		{Last, Reading{Value: 1, UnixMS: ms, Age: 0, Series: 3}},
		{Sum, Reading{Value: 12, UnixMS: ms - 2000, Age: 2 * time.Second, Series: 3}},
		{Avg, Reading{Value: 4, UnixMS: ms - 2000, Age: 2 * time.Second, Series: 3}},
		{Min, Reading{Value: 1, UnixMS: ms - 2000, Age: 2 * time.Second, Series: 3}},
		{Max, Reading{Value: 7, UnixMS: ms - 2000, Age: 2 * time.Second, Series: 3}},
	} {
		sel, err := s.Select(Request{Name: "g", Reduce: tt.reduce})
		must(t, err)
		_ = s.Append("g", []Label{{"id", "b"}}, ms-1000, 4) // a series that comes after the selection
		_ = s.Append("g", []Label{{"id", "c"}}, ms, 1)
		if diff := cmp.Diff(tt.want, sel.Read()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reduce, diff)
		}
		sel.Close()
		sel.Close()
	}
	if got := s.Stats(); got.Selections != 0 {
		t.Errorf("%d selections left", got.Selections)
	}
}

func TestSelectionMatchesAndGoesStale(t *testing.T) {
	s, clk := newStore(t, Config{Lookback: 10 * time.Second})
	sel, err := s.Select(Request{Name: "g", Matchers: []Matcher{{Name: "app", Op: Matches, Value: "a|b"}}, Reduce: Sum})
	must(t, err)
	if got := sel.Read(); !got.Missing() || !math.IsNaN(got.Value) || got.Age != math.MaxInt64 {
		t.Errorf("before any sample: %+v", got)
	}
	ms := clk.Now().UnixMilli()
	must(t, s.Append("g", []Label{{"app", "a"}}, ms, 1))
	must(t, s.Append("g", []Label{{"app", "b"}}, ms+5000, 2))
	must(t, s.Append("g", []Label{{"app", "c"}}, ms, 100))
	for _, tt := range []struct {
		name string
		wait time.Duration
		want float64
	}{
		{"both", 5 * time.Second, 3},
		{"a is too old", 6 * time.Second, 2},
		{"both are too old", 10 * time.Second, math.NaN()},
	} {
		clk.add(tt.wait)
		if got := sel.Read().Value; got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	must(t, s.Append("g", []Label{{"app", "a"}}, clk.Now().UnixMilli(), 4))
	must(t, s.Append("g", []Label{{"app", "a"}}, clk.add(time.Second), StaleNaN))
	if got := sel.Read(); !got.Missing() {
		t.Errorf("after the stale marker: %+v", got)
	}
}

func TestBadSelections(t *testing.T) {
	s, _ := newStore(t, Config{MaxSelections: 1})
	for name, q := range map[string]Request{
		"nothing":      {},
		"both":         {Name: "g", Query: "g"},
		"reduction":    {Name: "g", Reduce: "median"},
		"operator":     {Name: "g", Matchers: []Matcher{{Name: "a", Op: "<", Value: "1"}}},
		"regexp":       {Name: "g", Matchers: []Matcher{{Name: "a", Op: Matches, Value: "("}}},
		"range vector": {Query: "g[1m]"},
		"syntax":       {Query: "sum("},
	} {
		if _, err := s.Select(q); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := s.Select(Request{Name: "g"})
	must(t, err)
	if _, err = s.Select(Request{Name: "g"}); err == nil {
		t.Error("selection past the bound was accepted")
	}
}

// crossings collects what a watch reports.
type crossings struct {
	mu  sync.Mutex
	got []float64
}

func (c *crossings) fire(x Crossing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, x.Value)
}

func TestWatchFiresOnCrossingOnly(t *testing.T) {
	s, clk := newStore(t, Config{})
	sel, err := s.Select(Request{Name: "g"})
	must(t, err)
	var c crossings
	w := sel.Watch(Bounds{Above: 10, Below: 2}, c.fire)
	for _, v := range []float64{5, 10, 11, 12, 11, 9, 11, 1, 0, 2, 1, 20, math.NaN(), 21} {
		must(t, s.Append("g", nil, clk.add(time.Second), v))
	}
	if diff := cmp.Diff([]float64{11, 11, 1, 1, 20}, c.got); diff != "" {
		t.Errorf("crossings (-want +got):\n%s", diff)
	}
	c.got = nil
	w.SetBounds(Bounds{Above: 10, Below: 2}) // the same: nothing
	w.SetBounds(Bounds{Above: 30, Below: math.NaN()})
	w.SetBounds(Bounds{Above: 15, Below: math.NaN()}) // already past: once
	must(t, s.Append("g", nil, clk.add(time.Second), 22))
	w.Close()
	w.Close()
	must(t, s.Append("g", nil, clk.add(time.Second), 1))
	must(t, s.Append("g", nil, clk.add(time.Second), 22))
	if diff := cmp.Diff([]float64{21}, c.got); diff != "" {
		t.Errorf("after new bounds (-want +got):\n%s", diff)
	}
}

func TestWatchMayReadAndChange(t *testing.T) {
	s, clk := newStore(t, Config{})
	sel, err := s.Select(Request{Name: "g"})
	must(t, err)
	var seen float64
	sel.Watch(Bounds{Above: 1, Below: math.NaN()}, func(c Crossing) {
		seen = sel.Read().Value
		c.Watch.Close()
		sel.Close()
	})
	must(t, s.Append("g", nil, clk.add(time.Second), 3))
	if seen != 3 {
		t.Errorf("callback read %v", seen)
	}
	w := sel.Watch(Bounds{Above: 1, Below: math.NaN()}, func(Crossing) { t.Error("a closed selection fired") })
	must(t, s.Append("g", nil, clk.add(time.Second), 4))
	w.Close()
}

func TestBatchIsJudgedOnce(t *testing.T) {
	s, clk := newStore(t, Config{})
	sel, err := s.Select(Request{Name: "busy", Reduce: Sum})
	must(t, err)
	var c crossings
	sel.Watch(Bounds{Above: 1.5, Below: math.NaN()}, c.fire)
	b := s.Batch()
	cpu := func(ms int64, zero, one float64) {
		must(t, b.AppendTo("busy", []Label{{"cpu", "0"}}, ms, zero))
		must(t, b.AppendTo("busy", []Label{{"cpu", "1"}}, ms, one))
		b.Commit()
	}
	cpu(clk.add(time.Second), 0, 1)
	cpu(clk.add(time.Second), 1, 0) // the sum is 2 between the two appends, never after both
	if len(c.got) != 0 {
		t.Errorf("a half-new sum was judged: %v", c.got)
	}
	cpu(clk.add(time.Second), 1, 1)
	if diff := cmp.Diff([]float64{2}, c.got); diff != "" {
		t.Errorf("crossings (-want +got):\n%s", diff)
	}
}

func TestExpressionSelection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{})
		must(t, err)
		done := make(chan error, 1)
		go func() { done <- s.Run(t.Context()) }()
		sel, err := s.Select(Request{Query: "sum(rate(m_total[10s]))", Every: 100 * time.Millisecond})
		must(t, err)
		var c crossings
		sel.Watch(Bounds{Above: 5, Below: math.NaN()}, c.fire)
		for i := range 30 {
			slope := 1.0
			if i > 15 {
				slope = 10
			}
			time.Sleep(time.Second)
			must(t, s.Append("m_total", nil, time.Now().UnixMilli(), slope*float64(i)))
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if got := sel.Read(); got.Value < 9.9 || got.Value > 10.1 || got.Age > time.Second {
			t.Errorf("reading: %+v", got)
		}
		if len(c.got) != 1 {
			t.Errorf("crossings: %v", c.got)
		}
	})
}

func TestRunTrims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Window: time.Minute})
		must(t, err)
		go s.Run(t.Context())
		must(t, s.Append("g", nil, time.Now().UnixMilli(), 1))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := s.Stats().Series; n != 0 {
			t.Errorf("%d series left after an idle window", n)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	s, err := New(Config{MaxSeries: 64, MaxBytes: 64 << 10})
	must(t, err)
	var wg sync.WaitGroup
	base := time.Now().UnixMilli()
	for g := range 4 {
		wg.Go(func() {
			for i := range 3000 {
				id := string(rune('a' + (i*7+g)%80)) // more than fit
				_ = s.Append("g", []Label{{"id", id}}, base-int64(6000-i*2-g), float64(i))
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			sel, err := s.Select(Request{Name: "g", Reduce: Sum})
			must(t, err)
			sel.Watch(Bounds{Above: 100, Below: 50}, func(Crossing) { sel.Read() })
			sel.Read()
			sel.Close()
		}
	})
	wg.Go(func() {
		for range 50 {
			_, err := s.Query(t.Context(), "sum(g) + count(count_over_time(g[1m]))", time.Now())
			must(t, err)
			s.trim(time.Now().UnixMilli())
		}
	})
	wg.Wait()
	if n := s.Stats().Series; n > 64 {
		t.Errorf("%d series, bound 64", n)
	}
}
