package rollout

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseGate(t *testing.T) {
	for _, c := range []struct {
		text string
		want Gate
	}{
		{"app.latency_p99<=50ms", Gate{"app.latency_p99", AtMost, 0.05, "s", "50ms", 3}},
		{"  node_load1  <  3 ", Gate{"node_load1", Below, 3, "", "3", 3}},
		{`avg(rate(http_total{code!="500",path=~"a<=b"}[1m])) >= 10`, Gate{`avg(rate(http_total{code!="500",path=~"a<=b"}[1m]))`, AtLeast, 10, "", "10", 3}},
		{"a > bool 5 < 10", Gate{"a > bool 5", Below, 10, "", "10", 3}},
		{"a != 3 == 4", Gate{"a != 3", Equal, 4, "", "4", 3}},
		{"errors_ratio<=0.5%", Gate{"errors_ratio", AtMost, 0.005, "", "0.5%", 3}},
		{"heap>1MiB", Gate{"heap", Above, 1 << 20, "B", "1MiB", 3}},
		{"uptime>=2h", Gate{"uptime", AtLeast, 7200, "s", "2h", 3}},
		{"f<=2.4GHz", Gate{"f", AtMost, 2.4e9, "Hz", "2.4GHz", 3}},
		{"x>=-1e3", Gate{"x", AtLeast, -1000, "", "-1e3", 3}},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := ParseGate(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseGateRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"":                               "it compares nothing",
		"node_load1":                     "it compares nothing",
		"node_load1=2":                   "write ==",
		"<=2":                            "nothing stands before <=",
		"a<=":                            "no quantity stands after <=",
		"a<=b":                           "is not a quantity",
		"a<=5parsecs":                    "is not a unit that gates know",
		"a<=1e999":                       "is not a quantity",
		"sum(a<=3":                       "a bracket is not closed",
		"sum)a<=3":                       "closes what was not opened",
		`a{b="c<=3`:                      "is not closed",
		"a\n<=3":                         "can't be printed",
		"a\xff<=3":                       "can't be printed",
		strings.Repeat("a", 2000) + "<3": "it has 2002 bytes",
	} {
		_, err := ParseGate(text)
		var own *Error
		if !errors.As(err, &own) || !strings.Contains(own.Why, why) || own.Code != "rollout.bad-gate" || own.Hint == "" || len(err.Error()) > 500 {
			t.Errorf("%.40q: %v, want %s", text, err, why)
		}
	}
}

func TestGateQuery(t *testing.T) {
	for text, want := range map[string]string{
		"app.latency_p99<=50ms":        "app_latency_p99_seconds or app_latency_p99_milliseconds * 0.001 or app_latency_p99_microseconds * 1e-06 or app_latency_p99_nanoseconds * 1e-09 or app_latency_p99",
		"app.queue_seconds<=50ms":      "app_queue_seconds",
		"app.queue_milliseconds<=50ms": "app_queue_milliseconds * 0.001",
		"a.b<=3":                       "a_b_ratio or a_b_percent * 0.01 or a_b_total or a_b",
		"node_load1<=3":                "node_load1",
		"rate(a[1m])<=3":               "rate(a[1m])",
	} {
		g, err := ParseGate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Query(); got != want {
			t.Errorf("%s: query %q, want %q", text, got, want)
		}
	}
}

func TestGateJudgesTheWorstSeries(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		gate   string
		values []float64
		worst  float64
		holds  bool
	}{
		{"a<=3", []float64{1, 4, nan, 2}, 4, false},
		{"a>=3", []float64{5, 4}, 4, true},
		{"a==3", []float64{3, 3.5, 2.8}, 3.5, false},
		{"a<3", []float64{3}, 3, false},
		{"a>3", []float64{nan, math.Inf(1)}, math.Inf(1), true},
	} {
		g, err := ParseGate(c.gate)
		if err != nil {
			t.Fatal(err)
		}
		worst, any := g.Worst(c.values)
		if !any || worst != c.worst || g.Holds(worst) != c.holds {
			t.Errorf("%s of %v: %v holds %v, want %v holds %v", c.gate, c.values, worst, g.Holds(worst), c.worst, c.holds)
		}
	}
	if g := (Gate{Op: AtMost}); g.Holds(nan) {
		t.Error("NaN keeps a gate")
	}
	if _, any := (&Gate{Op: AtMost}).Worst([]float64{nan}); any {
		t.Error("NaN is data")
	}
}

func TestParseGoal(t *testing.T) {
	for text, want := range map[string]Goal{
		"lower app.latency_p99":         {"app.latency_p99", false, 0.05},
		"higher rate(a[1m]) within 10%": {"rate(a[1m])", true, 0.1},
		" lower  a  within  0.5 ":       {"a", false, 0.5},
	} {
		got, err := ParseGoal(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := ParseGoal(got.String()); err != nil || again != got {
			t.Errorf("%q does not read back: %+v, %v", got, again, err)
		}
	}
	for _, text := range []string{"", "lower", "lower ", "smaller a", "lower a within b", "lower a within 5ms", "lower a within -1", "higher a\n"} {
		if g, err := ParseGoal(text); err == nil {
			t.Errorf("%q: %+v", text, g)
		}
	}
}

func TestGoalWorse(t *testing.T) {
	mean := func(values ...float64) (m Mean) {
		for _, v := range values {
			for range MinGoalSamples {
				m.Add(v)
			}
		}
		return m
	}
	for _, c := range []struct {
		goal        string
		before, now Mean
		want        bool
	}{
		{"lower a within 5%", mean(100), mean(104), false},
		{"lower a within 5%", mean(100), mean(106), true},
		{"higher a within 5%", mean(100), mean(96), false},
		{"higher a within 5%", mean(100), mean(94), true},
		{"lower a within 5%", mean(-100), mean(-96), false},
		{"lower a within 5%", mean(-100), mean(-94), true},
		{"lower a", mean(), mean(1e9), false},
		{"lower a", mean(0), mean(1), true},
	} {
		g, err := ParseGoal(c.goal)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Worse(c.before, c.now); got != c.want {
			t.Errorf("%s, %v then %v: worse %v", c.goal, c.before.Value(), c.now.Value(), got)
		}
	}
}

func FuzzParseGate(f *testing.F) {
	for _, seed := range []string{"app.latency_p99<=50ms", `avg(a{b!="c<=d"}) >= 10`, "a==1e3Hz", "a<=5%", "((((a<3", "a > bool 5 < 10", "x<=0x1p-2", "a.b>=-1MiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGate(text)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if math.IsNaN(g.Value) || math.IsInf(g.Value, 0) {
			t.Errorf("%q: %v", text, g.Value)
		}
		again, err := ParseGate(g.String())
		if err != nil || again != g {
			t.Errorf("%q reads back as %+v, %v; was %+v", g, again, err, g)
		}
		if err := g.validate(); err != nil {
			t.Error(err)
		}
		_ = g.Query()
	})
}

func FuzzParseGoal(f *testing.F) {
	f.Add("lower app.latency_p99 within 5%")
	f.Add("higher rate(a[1m])")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGoal(text)
		if err != nil {
			return
		}
		if err := g.validate(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		_ = g.Query()
	})
}
