package sources

import (
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// counter is a source that counts how often it is read.
type counter struct {
	name  string
	every time.Duration
	reads atomic.Int64
	err   error
}

func (c *counter) Describe() Description {
	return Description{Name: c.name, Every: c.every, Metrics: []Metric{{Name: c.name + "_value"}, {Name: c.name + "_all_*"}}}
}

func (c *counter) Collect(sink *Sink) error {
	n := c.reads.Add(1)
	sink.Put(c.name+"_value", float64(n))
	sink.Put(c.name+"_all_a", float64(n))
	return c.err
}

// in runs f in a bubble with a running runner.
func in(t *testing.T, c Config, f func(*Runner, *ring.Store), sources ...Source) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := newRing(t)
		runner, err := New(store, c, sources...)
		must(t, err)
		go runner.Run(t.Context())
		synctest.Wait()
		f(runner, store)
	})
}

func reads(c *counter, during time.Duration) int64 {
	before := c.reads.Load()
	time.Sleep(during)
	synctest.Wait()
	return c.reads.Load() - before
}

func TestShortestAskWins(t *testing.T) {
	fast, slow := &counter{name: "fast"}, &counter{name: "slow", every: 10 * time.Second}
	in(t, Config{}, func(r *Runner, _ *ring.Store) {
		steps := []struct {
			name     string
			do       func()
			fast, sl int64
		}{
			{"default", func() {}, 10, 1},
			{"unknown metric", func() { r.Ask("elsewhere", time.Millisecond) }, 10, 1},
		}
		time.Sleep(time.Millisecond) // stay off the ticks
		for _, s := range steps {
			s.do()
			before := slow.reads.Load()
			if got := reads(fast, 10*time.Second); got != s.fast {
				t.Errorf("%s: fast read %d times, want %d", s.name, got, s.fast)
			}
			if got := slow.reads.Load() - before; got != s.sl {
				t.Errorf("%s: slow read %d times, want %d", s.name, got, s.sl)
			}
		}
		a := r.Ask("fast_value", 200*time.Millisecond)
		b := r.Ask("fast_all_x", time.Microsecond) // by pattern, and no faster than the least
		if got := reads(fast, time.Second); got < 19 || got > 20 {
			t.Errorf("at the least interval: %d reads in a second", got)
		}
		b.Close()
		if got := reads(fast, time.Second); got < 4 || got > 6 {
			t.Errorf("at 200 ms: %d reads in a second", got)
		}
		a.Close()
		a.Close()
		if got := reads(fast, 5*time.Second); got < 4 || got > 6 {
			t.Errorf("after closing: %d reads in 5 s", got)
		}
		must(t, r.SetInterval(100*time.Millisecond))
		if got := reads(fast, time.Second); got < 9 || got > 11 {
			t.Errorf("at 100 ms: %d reads in a second", got)
		}
	}, fast, slow)
}

func TestFilter(t *testing.T) {
	c := &counter{name: "c"}
	d := &counter{name: "d"}
	in(t, Config{Filter: []string{"c_value"}}, func(r *Runner, store *ring.Store) {
		has := func(name string) bool {
			got, err := store.Latest(name)
			must(t, err)
			return len(got) > 0
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !has("c_value") || has("c_all_a") {
			t.Error("the filter does not keep c_value alone")
		}
		if has("d_value") {
			t.Error("the filter kept d_value")
		}
		ask := r.Ask("d_value", 0)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !has("d_value") {
			t.Error("what was asked for was not kept")
		}
		ask.Close()
		must(t, r.SetFilter([]string{"nothing"}))
		synctest.Wait()
		kept := store.Stats().Appended
		time.Sleep(time.Minute)
		synctest.Wait()
		if more := store.Stats().Appended - kept; more != 0 {
			t.Errorf("%d samples kept that match nothing", more)
		}
		if err := r.SetFilter([]string{"["}); err == nil {
			t.Error("a bad pattern was accepted")
		}
	}, c, d)
}

func TestAbsentSourceIsTriedSeldom(t *testing.T) {
	c := &counter{name: "c", err: fs.ErrNotExist}
	in(t, Config{}, func(*Runner, *ring.Store) {
		if got := reads(c, time.Minute); got > 3 {
			t.Errorf("%d tries in a minute", got)
		}
	}, c)
}

func TestCostlySourceIsStretched(t *testing.T) {
	c := &counter{name: "c"}
	in(t, Config{MaxLoad: 0.1}, func(r *Runner, _ *ring.Store) {
		w := r.workers[0]
		w.mu.Lock()
		w.status.Cost = 800 * time.Millisecond // as if it had been measured; it decays by an eighth a time
		w.mu.Unlock()
		if got := reads(c, 10*time.Second); got > 3 {
			t.Errorf("read %d times in 10 s though each costs 0.8 s and a tenth is allowed", got)
		}
		if s := r.Status()[0]; s.Interval <= s.Asked {
			t.Errorf("interval in force %v, asked %v", s.Interval, s.Asked)
		}
	}, c)
}

func TestPanicAndErrorsAreCounted(t *testing.T) {
	broken := Func(Description{Name: "broken", Metrics: []Metric{{Name: "x"}}}, func(*Sink) error { panic("hostile file") })
	failing := &counter{name: "failing", err: errors.New("part of it could not be read")}
	store := newRing(t)
	r, err := New(store, Config{}, broken, failing)
	must(t, err)
	r.Collect()
	status := r.Status()
	if status[0].Err == nil || !strings.Contains(status[0].Err.Error(), "hostile file") || status[0].Errors != 1 {
		t.Errorf("%+v", status[0])
	}
	if status[1].Errors != 1 || status[1].Samples != 2 {
		t.Errorf("%+v", status[1])
	}
	if got := render(t, store, "edgehold_source_errors_total"); strings.Count(got, "} 1\n") != 2 {
		t.Errorf("about:\n%s", got)
	}
}

func TestConfigReportsEverything(t *testing.T) {
	err := Config{Interval: time.Millisecond, MaxLoad: 2, Filter: []string{"[", "a["}}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four lines:\n%v", err)
	}
	if _, err := New(newRing(t), Config{}, &counter{name: "a"}, &counter{name: "a"}); err == nil {
		t.Error("two sources of one name were accepted")
	}
}
