package ring

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now.UnixMilli()
}

func newStore(t testing.TB, c Config) (*Store, *clock) {
	t.Helper()
	clk := newClock()
	c.Clock = clk.Now
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, clk
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppendAndQuery(t *testing.T) {
	s, clk := newStore(t, Config{})
	for i := range 600 {
		ms := clk.add(time.Second)
		must(t, s.Append("m_total", []Label{{"cpu", "0"}, {"mode", "user"}}, ms, float64(i)))
		must(t, s.Append("m_total", []Label{{"mode", "user"}, {"cpu", "1"}}, ms, float64(2*i)))
	}
	for _, tt := range []struct {
		expr string
		want Result
	}{
		{`m_total{cpu="1"}`, Result{Type: "vector", Series: []ResultSeries{
			{"m_total", []Label{{"cpu", "1"}, {"mode", "user"}}, []Point{{clk.Now().UnixMilli(), 1198}}},
		}}},
		{`sum by (mode) (rate(m_total[5m]))`, Result{Type: "vector", Series: []ResultSeries{
			{"", []Label{{"mode", "user"}}, []Point{{clk.Now().UnixMilli(), 3}}},
		}}},
		{`count_over_time(m_total{cpu="0"}[10m])`, Result{Type: "vector", Series: []ResultSeries{
			{"", []Label{{"cpu", "0"}, {"mode", "user"}}, []Point{{clk.Now().UnixMilli(), 600}}},
		}}},
		{`1+1`, Result{Type: "scalar", Series: []ResultSeries{{Points: []Point{{clk.Now().UnixMilli(), 2}}}}}},
		{`absent_metric`, Result{Type: "vector"}},
	} {
		got, err := s.Query(t.Context(), tt.expr, clk.Now())
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.expr, diff)
		}
	}
}

func TestQueryRange(t *testing.T) {
	s, clk := newStore(t, Config{})
	from := clk.Now()
	for i := range 10 {
		must(t, s.Append("g", nil, clk.add(time.Second), float64(i)))
	}
	got, err := s.QueryRange(t.Context(), "g", from.Add(2*time.Second), from.Add(6*time.Second), 2*time.Second)
	must(t, err)
	ms := from.UnixMilli()
	want := Result{Type: "matrix", Series: []ResultSeries{{"g", []Label{}, []Point{{ms + 2000, 1}, {ms + 4000, 3}, {ms + 6000, 5}}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadQueries(t *testing.T) {
	s, clk := newStore(t, Config{QueryMaxSamples: 100})
	for range 300 {
		must(t, s.Append("g", nil, clk.add(time.Second), 1))
	}
	now := clk.Now()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name, code string
		run        func() error
	}{
		{"syntax", "telemetry.bad-query", func() error { _, err := s.Query(t.Context(), "rate(", now); return err }},
		{"samples", "telemetry.query-failed", func() error { _, err := s.Query(t.Context(), "sum_over_time(g[5m])", now); return err }},
		{"cancelled", "telemetry.query-failed", func() error { _, err := s.Query(cancelled, "g", now); return err }},
		{"no step", "telemetry.bad-query", func() error { _, err := s.QueryRange(t.Context(), "g", now, now, 0); return err }},
		{"backwards", "telemetry.bad-query", func() error {
			_, err := s.QueryRange(t.Context(), "g", now, now.Add(-1), time.Second)
			return err
		}},
		{"steps", "telemetry.bad-query", func() error {
			_, err := s.QueryRange(t.Context(), "g", now.Add(-time.Hour), now, time.Millisecond)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e *Error
			if err := tt.run(); !errors.As(err, &e) || e.ErrorCode() != tt.code || e.ErrorWhy() == "" || e.ErrorHint() == "" {
				t.Errorf("got %v, want code %s with why and hint", err, tt.code)
			}
		})
	}
}

func TestTimesRefused(t *testing.T) {
	s, clk := newStore(t, Config{Window: time.Minute})
	ms := clk.Now().UnixMilli()
	must(t, s.Append("g", nil, ms, 1))
	for _, tt := range []struct {
		name string
		ms   int64
		want error
	}{
		{"duplicate", ms, ErrDuplicate},
		{"out of order", ms - 1, ErrOutOfOrder},
		{"too old", ms - 60_001, ErrTooOld},
		{"too far", ms + 60_001, ErrTooFar},
		{"next", ms + 1, nil},
	} {
		if got := s.Append("g", nil, tt.ms, 2); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	got := s.Stats()
	if got.Duplicates != 1 || got.OutOfOrder != 1 || got.TooOld != 1 || got.TooFar != 1 || got.Appended != 2 {
		t.Errorf("counts: %+v", got)
	}
}

func TestClockSetBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		back   time.Duration
		want   float64
		resets uint64
	}{
		{"an hour", time.Hour, 2, 1},
		{"ten seconds", 10 * time.Second, 2, 1},
		{"a little", time.Second, 1, 0}, // bridged by dropping
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, clk := newStore(t, Config{})
			sel, err := s.Select(Request{Name: "g"})
			must(t, err)
			must(t, s.Append("g", nil, clk.Now().UnixMilli(), 1))
			_ = s.Append("g", nil, clk.add(-tt.back), 2)
			if got := sel.Read(); got.Value != tt.want || got.Age != 0 {
				t.Errorf("after the clock was set back: %+v", got)
			}
			if n := s.Stats().ClockResets; n != tt.resets {
				t.Errorf("clock resets: %d", n)
			}
		})
	}
}

func TestClientAheadOfTheClock(t *testing.T) {
	s, clk := newStore(t, Config{})
	ms := clk.Now().UnixMilli() + 30_000
	must(t, s.Append("g", nil, ms, 1))
	if err := s.Append("g", nil, ms-1, 2); err != ErrOutOfOrder { // late, but ahead as well: no proof
		t.Errorf("got %v", err)
	}
}

func TestSeriesBound(t *testing.T) {
	s, clk := newStore(t, Config{MaxSeries: 2, Window: time.Minute})
	a, err := s.Series("g", Label{"id", "a"})
	must(t, err)
	must(t, a.Append(clk.Now().UnixMilli(), 1))
	must(t, s.Append("g", []Label{{"id", "b"}}, clk.Now().UnixMilli(), 1))

	var e *Error
	if err := s.Append("g", []Label{{"id", "c"}}, clk.Now().UnixMilli(), 1); !errors.As(err, &e) || e.ErrorCode() != "telemetry.too-many-series" {
		t.Fatalf("third series: %v", err)
	}

	clk.add(time.Minute + time.Second) // a and b idle
	must(t, s.Append("g", []Label{{"id", "c"}}, clk.Now().UnixMilli(), 1))
	if got := s.Stats(); got.Series != 1 || got.EvictedSeries != 2 || got.RefusedSeries != 1 {
		t.Errorf("%+v", got)
	}

	must(t, a.Append(clk.Now().UnixMilli(), 5)) // the old handle comes back to life
	got, err := s.Latest("g")
	must(t, err)
	if len(got) != 2 || got[0].Value != 5 {
		t.Errorf("after revival: %+v", got)
	}
}

func TestEvictedHandleFindsItsHeir(t *testing.T) {
	s, clk := newStore(t, Config{Window: time.Minute})
	old, err := s.Series("g")
	must(t, err)
	must(t, old.Append(clk.Now().UnixMilli(), 1))
	s.trim(clk.add(time.Hour))
	must(t, s.Append("g", nil, clk.Now().UnixMilli(), 2)) // made anew
	must(t, old.Append(clk.add(time.Second), 3))
	res, err := s.Query(t.Context(), "count_over_time(g[1m])", clk.Now())
	must(t, err)
	if got := res.Series[0].Points[0].Value; got != 2 {
		t.Errorf("samples in the one series: %v, want 2", got)
	}
}

func TestBytesBound(t *testing.T) {
	const most = 64 << 10
	s, clk := newStore(t, Config{MaxBytes: most})
	quiet, err := s.Series("quiet")
	must(t, err)
	for i := range 40_000 {
		ms := clk.add(10 * time.Millisecond)
		must(t, s.Append("loud", nil, ms, math.Sqrt(float64(i))))
		if i%100 == 0 {
			must(t, quiet.Append(ms, float64(i)))
		}
	}
	got := s.Stats()
	if got.Bytes > most || got.Squeezed == 0 {
		t.Errorf("%+v", got)
	}
	res, err := s.Query(t.Context(), "count_over_time(quiet[15m])", clk.Now())
	must(t, err)
	if n := res.Series[0].Points[0].Value; n != 400 {
		t.Errorf("the quiet series paid for the loud one: %v of 400 samples left", n)
	}
}

func TestWindowTrims(t *testing.T) {
	s, clk := newStore(t, Config{Window: time.Minute})
	for range 600 {
		must(t, s.Append("g", nil, clk.add(time.Second), 1))
	}
	s.trim(clk.Now().UnixMilli())
	res, err := s.Query(t.Context(), "count_over_time(g[10m])", clk.Now())
	must(t, err)
	if n := res.Series[0].Points[0].Value; n < 60 || n > 70 {
		t.Errorf("%v samples kept of a window of 60", n)
	}
	s.trim(clk.add(2 * time.Minute))
	if got := s.Stats(); got.Bytes != 0 || got.Series != 0 || got.Metrics != 0 {
		t.Errorf("after a silent window: %+v", got)
	}
}

func TestBadLabels(t *testing.T) {
	s, clk := newStore(t, Config{MaxLabels: 2, MaxValueBytes: 16, MaxNameBytes: 16})
	for _, tt := range []struct {
		name   string
		metric string
		labels []Label
	}{
		{"no name", "", nil},
		{"long name", "abcdefghijklmnopq", nil},
		{"bytes", "g", []Label{{"a", "\xff"}}},
		{"name bytes", "\xff", nil},
		{"dots", "a.b", nil},
		{"digit first", "1a", nil},
		{"label dots", "g", []Label{{"a.b", "1"}}},
		{"reserved", "g", []Label{{"__name__", "x"}}},
		{"twice", "g", []Label{{"a", "1"}, {"a", "2"}}},
		{"many", "g", []Label{{"a", "1"}, {"b", "2"}, {"c", "3"}}},
		{"long value", "g", []Label{{"a", "12345678901234567"}}},
	} {
		var e *Error
		if err := s.Append(tt.metric, tt.labels, clk.Now().UnixMilli(), 1); !errors.As(err, &e) || e.ErrorCode() != "telemetry.bad-labels" {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	must(t, s.Append("g", []Label{{"z", ""}, {"b", "2"}, {"a", "1"}}, clk.Now().UnixMilli(), 1))
}

func TestConfigReportsEverything(t *testing.T) {
	_, err := New(Config{Window: time.Millisecond, Lookback: time.Hour, MaxSeries: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 3 {
		t.Errorf("%d problems, want 3:\n%v", n, err)
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
