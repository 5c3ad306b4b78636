package ring

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkAppend bounds what one sample costs: by handle, by name and labels, with a watch, and,
// for comparison, into a plain slice under a mutex by the same lookup.
func BenchmarkAppend(b *testing.B) {
	labels := []Label{{"cpu", "0"}, {"mode", "user"}}
	b.Run("handle", func(b *testing.B) {
		s, clk := newStore(b, Config{})
		r, _ := s.Series("m_total", labels...)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_ = r.Append(clk.add(time.Second), float64(i%1000))
		}
	})
	b.Run("name", func(b *testing.B) {
		s, clk := newStore(b, Config{})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_ = s.Append("m_total", labels, clk.add(time.Second), float64(i%1000))
		}
	})
	b.Run("watched", func(b *testing.B) {
		s, clk := newStore(b, Config{})
		sel, _ := s.Select(Request{Name: "m_total"})
		sel.Watch(Bounds{Above: 1e9, Below: math.NaN()}, func(Crossing) {})
		r, _ := s.Series("m_total", labels...)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_ = r.Append(clk.add(time.Second), float64(i%1000))
		}
	})
}

// BenchmarkCrossing bounds the way from a sample to the callback of a watch.
func BenchmarkCrossing(b *testing.B) {
	s, clk := newStore(b, Config{})
	sel, _ := s.Select(Request{Name: "g"})
	fired := 0
	sel.Watch(Bounds{Above: 0.5, Below: math.NaN()}, func(Crossing) { fired++ })
	r, _ := s.Series("g")
	b.ReportAllocs()
	n := 0
	for ; b.Loop(); n++ {
		_ = r.Append(clk.add(time.Second), float64(n&1))
	}
	if fired != n/2 {
		b.Fatalf("fired %d times in %d samples", fired, n)
	}
}

// BenchmarkRead36 bounds what a policy's observation of 36 metrics costs the store.
func BenchmarkRead36(b *testing.B) {
	s, clk := newStore(b, Config{})
	var sels [36]*Selection
	var series [36]*Series
	for i := range sels {
		name := fmt.Sprintf("metric_%d", i)
		series[i], _ = s.Series(name)
		sels[i], _ = s.Select(Request{Name: name})
	}
	for name, appends := range map[string]int{"unchanged": 0, "all new": 36} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ms := clk.add(time.Second)
				for _, r := range series[:appends] {
					_ = r.Append(ms, 1)
				}
				for _, sel := range sels {
					sel.Read()
				}
			}
		})
	}
}

// fill makes the load that the window of a busy node has: 300 series, 15 minutes, one a second.
func fill(tb testing.TB, s *Store, clk *clock) {
	for i := range 900 {
		ms := clk.add(time.Second)
		for m := range 300 {
			name := [3]string{"c_total", "g", "r"}[m%3]
			v := [3]float64{float64(i * m), math.Round(10*math.Sin(float64(i+m))) / 10, math.Sqrt(float64(i * m))}[m%3]
			must(tb, s.Append(name, []Label{{"id", fmt.Sprint(m)}}, ms, v))
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	s, clk := newStore(b, Config{})
	fill(b, s, clk)
	b.Logf("%d series, %.1f bytes for each of %d samples", s.Stats().Series, float64(s.Stats().Bytes)/270_000, 270_000)
	for _, expr := range []string{
		`g{id="1"}`,
		`quantile_over_time(0.95, g{id="1"}[5m])`,
		`avg(rate(c_total[1m]))`,
	} {
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Query(context.Background(), expr, clk.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
