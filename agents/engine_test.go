package agents

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLogBeforeAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, stop := start(t, w.config(), binding("p", always(set("cpu", "max", 2), set("gpu", "max", 1))))
		defer stop()
		synctest.Wait()
		id := w.begun[0].ID
		want := []string{"begin " + id, "apply cpu " + id, "apply gpu " + id, "finish " + id}
		if d := cmp.Diff(w.events, want); d != "" {
			t.Error(d)
		}
		if d := w.finished[0]; d.Outcome != Landed || len(d.TraceID) != 32 || d.Fuel != 7 || d.Verdict.Why != "because" {
			t.Errorf("finished %+v", d)
		}
	})
}

func TestNothingIsDoneThatCannotBeLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.begin = func() error { return errors.New("disk full") }
		_, stop := start(t, w.config(), binding("p", always(set("cpu", "max", 2))))
		defer stop()
		synctest.Wait()
		if len(w.commands) != 0 {
			t.Fatalf("acted: %v", w.commands)
		}
		if d := w.noted[0]; d.Outcome != Failed || d.Failure.Phase != "log" {
			t.Errorf("noted %+v", d)
		}
	})
}

func TestPeriodicInterval(t *testing.T) {
	for _, tt := range []struct {
		name     string
		interval time.Duration
		next     time.Duration // that the verdict asks for
		want     int           // episodes in ten seconds, the first at 0
	}{
		{"every second", time.Second, 0, 11},
		{"zero runs once", 0, 0, 1},
		{"too short is raised", time.Nanosecond, 0, 101},
		{"the verdict slows it down", time.Second, 5 * time.Second, 3},
		{"the verdict speeds it up", 10 * time.Second, 2 * time.Second, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				p := &script{analyze: func(Input) (Verdict, error) { return Verdict{Next: tt.next}, nil }}
				b := binding("p", p)
				b.Interval = tt.interval
				_, stop := start(t, w.config(), b)
				defer stop()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if got := p.count(); got != tt.want {
					t.Errorf("%d episodes, want %d", got, tt.want)
				}
			})
		})
	}
}

func wakeable(p Policy) Binding {
	b := binding("p", p)
	b.Interval = time.Hour
	b.Bounds = []Bound{{Metric: "node_load1", Above: 2, Below: math.NaN()}}
	return b
}

func TestWakeRunsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := always(set("cpu", "max", 2))
		_, stop := start(t, w.config(), wakeable(p))
		defer stop()
		time.Sleep(10 * time.Second)
		began := time.Now()
		w.cross(Key{"p", Node}, 3)
		synctest.Wait()
		if got := p.count(); got != 2 {
			t.Fatalf("%d episodes, want the first and the woken one", got)
		}
		if waited := p.at[1].Sub(began); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		tr := w.finished[1].Trigger
		if tr.Kind != Wake || tr.Crossing == nil || tr.Crossing.Value != 3 || tr.Crossing.Bound.Above != 2 {
			t.Errorf("trigger %+v", tr)
		}
	})
}

func TestWakeStormIsSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := &script{}
		_, stop := start(t, w.config(), wakeable(p))
		defer stop()
		time.Sleep(time.Second)
		for range 10_000 {
			w.cross(Key{"p", Node}, 3)
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := p.count(); got < 20 || got > 23 { // a second at one each 50 ms, and the first
			t.Errorf("%d episodes", got)
		}
	})
}

func TestVerdictChangesBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		next := []Bound{{Metric: "node_load1", Above: 9, Below: 1}}
		_, stop := start(t, w.config(), wakeable(&script{analyze: func(Input) (Verdict, error) { return Verdict{Bounds: next}, nil }}))
		defer stop()
		synctest.Wait()
		if d := cmp.Diff(w.watched[Key{"p", Node}], next); d != "" {
			t.Error(d)
		}
	})
}

func TestFailingPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := always(set("cpu", "max", 2))
		b := binding("p", p)
		var calls []Unhealthy
		c := w.config()
		var e *Engine
		good := always(set("cpu", "max", 1))
		c.OnUnhealthy = func(ctx context.Context, u Unhealthy) {
			calls = append(calls, u)
			nb := binding("p", good)
			nb.Version = "0"
			if err := e.Replace(ctx, nb); err != nil {
				t.Error(err)
			}
		}
		e, stop := start(t, c, b)
		defer stop()
		synctest.Wait() // one good episode, so that something stands
		p.mu.Lock()
		p.plan = func(Input) (Plan, error) { return Plan{}, errTrap }
		p.mu.Unlock()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if len(calls) != 1 || calls[0].Failures != 3 || calls[0].Version != "1" || calls[0].Last.Phase != "plan" {
			t.Fatalf("hook: %+v", calls)
		}
		if d := cmp.Diff(w.outcomes(), []Outcome{Failed, Failed, Failed}); d != "" {
			t.Error(d)
		}
		if gap := p.at[3].Sub(p.at[2]); gap != 2*time.Second {
			t.Errorf("back-off after the second failure is %v", gap)
		}
		if len(w.released) != 1 || w.released[0].Knobs[0] != "max" {
			t.Errorf("released %+v", w.released)
		}
		if good.count() == 0 || p.ended != p.count() {
			t.Errorf("%d good episodes; %d of %d ended", good.count(), p.ended, p.count())
		}
	})
}

func TestBadPlansNeverReachMechanisms(t *testing.T) {
	for _, tt := range []struct {
		name string
		plan Plan
		code string
	}{
		{"not granted", Plan{Actions: []Action{set("disk", "x", 1)}}, "plan.not-granted"},
		{"one knob twice", Plan{Actions: []Action{set("cpu", "x", 1), set("cpu", "x", 2)}}, "plan.contradicts-itself"},
		{"not a number", Plan{Actions: []Action{set("cpu", "x", math.NaN())}}, "plan.malformed"},
		{"infinite", Plan{Actions: []Action{set("cpu", "x", math.Inf(1))}}, "plan.malformed"},
		{"unknown verb", Plan{Actions: []Action{{Mechanism: "cpu", Knob: "x", Verb: "destroy"}}}, "plan.malformed"},
		{"set of everything", Plan{Actions: []Action{set("cpu", AllKnobs, 1)}}, "plan.malformed"},
		{"too large", Plan{Actions: make([]Action, 300)}, "plan.too-large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				p := always()
				p.plan = func(Input) (Plan, error) { return tt.plan, nil }
				_, stop := start(t, w.config(), binding("p", p))
				defer stop()
				synctest.Wait()
				if len(w.commands) > 0 || len(w.noted) != 1 || w.noted[0].Failure == nil {
					t.Fatalf("commands %v, noted %+v", w.commands, w.noted)
				}
				if f := w.noted[0].Failure; f.Code != tt.code || f.Hint == "" {
					t.Errorf("failure %+v", f)
				}
			})
		})
	}
}

func TestGrantPatterns(t *testing.T) {
	g := Grant{Mechanism: "cpu", Verbs: []Verb{Set}, Knobs: []string{"policy*/max_frequency"}}
	for knob, want := range map[string]bool{"policy0/max_frequency": true, "policy0/governor": false, "max_frequency": false} {
		if got := g.covers(set("cpu", knob, 1)); got != want {
			t.Errorf("%s: %v", knob, got)
		}
	}
	if g.covers(Action{Mechanism: "cpu", Knob: "policy0/max_frequency", Verb: Reset}) {
		t.Error("reset is not granted")
	}
	if all := (Grant{Mechanism: "cpu", Knobs: []string{"*"}}); !all.covers(set("cpu", "a/b", 1)) {
		t.Error("a lone star matches every knob")
	}
}

func TestReplaceHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		old := &script{end: func(in Input) (Trace, error) { return Trace{Context: append(in.Context, 'a')}, nil }}
		e, stop := start(t, w.config(), binding("p", old))
		defer stop()
		time.Sleep(2500 * time.Millisecond)
		b := binding("p", &script{migrate: func(from uint32, state []byte) ([]byte, error) {
			return []byte(strings.ToUpper(string(state))), nil
		}})
		b.Version, b.Schema = "2", 2
		if err := e.Replace(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if in := b.Policy.(*script).inputs()[0]; string(in.Context) != "AAA" || in.Version != "2" || in.Seq != 4 {
			t.Errorf("new version began with %+v", in)
		}
		back := binding("p", &script{}) // knows no migration: finds what version 1 left
		if err := e.Replace(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if in := back.Policy.(*script).inputs()[0]; string(in.Context) != "aaa" {
			t.Errorf("rolled back to %q", in.Context)
		}
		broken := binding("p", &script{migrate: func(uint32, []byte) ([]byte, error) { return nil, errTrap }})
		broken.Version, broken.Schema = "3", 3
		if err := e.Replace(t.Context(), broken); !errors.Is(err, errTrap) {
			t.Errorf("broken migration: %v", err)
		}
		if s := e.Status()[0]; s.Version != "1" {
			t.Errorf("version %s runs", s.Version)
		}
	})
}

func TestLeasesLiveWithTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := always(set("cpu", "max", 2))
		b := binding("p", p)
		b.Interval = 0
		e, stop := start(t, w.config(), b)
		defer stop()
		time.Sleep(95 * time.Second)
		synctest.Wait()
		if len(w.renewed) != 9 {
			t.Errorf("renewed %d times in 95 s, want one each 10 s", len(w.renewed))
		}
		if d := cmp.Diff(e.Status()[0].Held, []string{"cpu max"}); d != "" {
			t.Error(d)
		}
		if err := e.Unbind(t.Context(), b.Key); err != nil {
			t.Fatal(err)
		}
		if len(w.released) != 1 || w.released[0].Lease != w.renewed[0] {
			t.Errorf("released %+v", w.released)
		}
		n := len(w.renewed)
		time.Sleep(time.Minute)
		if len(w.renewed) != n {
			t.Error("renewed after unbind")
		}
	})
}

// A plan that names a lease means it: the loop does not renew what the policy wanted for a while only.
func TestNamedLeaseEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		brief := set("cpu", "max", 2)
		brief.Lease = 20 * time.Second
		b := binding("p", always(brief, set("cpu", "min", 1)))
		b.Interval = 0
		e, stop := start(t, w.config(), b)
		defer stop()
		time.Sleep(95 * time.Second)
		synctest.Wait()
		if len(w.renewed) != 9 {
			t.Errorf("renewed %d times in 95 s, want only the lease that was not named, each 10 s", len(w.renewed))
		}
		if d := cmp.Diff(e.Status()[0].Held, []string{"cpu min"}); d != "" {
			t.Error(d)
		}
	})
}

func TestResetEndsHolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		n := 0
		p := always()
		p.plan = func(Input) (Plan, error) {
			if n++; n == 1 {
				return Plan{Actions: []Action{set("cpu", "min", 1), set("cpu", "max", 2)}}, nil
			}
			return Plan{Actions: []Action{{Mechanism: "cpu", Knob: AllKnobs, Verb: Reset}}}, nil
		}
		e, stop := start(t, w.config(), binding("p", p))
		defer stop()
		synctest.Wait()
		if held := e.Status()[0].Held; len(held) != 2 {
			t.Errorf("held %v", held)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if held := e.Status()[0].Held; len(held) != 0 {
			t.Errorf("held after reset: %v", held)
		}
		if c := w.commands[1]; c.Verb != Reset || len(c.Settings) != 0 {
			t.Errorf("reset is %+v", c)
		}
	})
}

func TestModeTurnsModelsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := always(set("cpu", "max", 2))
		b := binding("p", p)
		b.UsesML = true
		e, stop := start(t, w.config(), b)
		defer stop()
		time.Sleep(5 * time.Second)
		if p.count() != 0 || e.Status()[0].Condition != Off {
			t.Fatalf("ran in heuristic mode: %d, %+v", p.count(), e.Status())
		}
		if _, err := e.Trigger(t.Context(), b.Key, "me"); err == nil {
			t.Error("trigger ran it")
		}
		must(t, e.SetMode(t.Context(), ML))
		synctest.Wait()
		if p.count() != 1 {
			t.Errorf("%d episodes in mode ml", p.count())
		}
		must(t, e.SetMode(t.Context(), Heuristic))
		if len(w.released) != 1 {
			t.Error("held on to its knobs")
		}
	})
}

func TestTriggerReturnsTheDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e, stop := start(t, w.config(), binding("p", always(set("cpu", "max", 2))))
		defer stop()
		synctest.Wait()
		d, err := e.Trigger(t.Context(), Key{"p", Node}, "me")
		if err != nil || d.Outcome != Landed || d.Trigger.By != "me" {
			t.Errorf("%+v, %v", d, err)
		}
		if _, err := e.Trigger(t.Context(), Key{"q", Node}, "me"); err == nil {
			t.Error("unknown policy ran")
		}
	})
}

func TestInterruptedDecisionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.open = []Decision{{ID: "x", Outcome: Open, Ruling: Ruling{Kept: []Action{set("cpu", "max", 2)}}}}
		_, stop := start(t, w.config())
		defer stop()
		synctest.Wait()
		if len(w.finished) != 1 || w.finished[0].Outcome != Interrupted || w.finished[0].Results[0].Effect != Unfinished {
			t.Errorf("%+v", w.finished)
		}
	})
}

// A wall clock that jumps must neither stall a loop nor make it race.
func TestClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := always(set("cpu", "max", 2))
		c := w.config()
		jumps := []time.Duration{0, -10 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour, -time.Hour}
		n := 0
		c.Now = func() time.Time { n++; return time.Now().Add(jumps[n%len(jumps)]) }
		_, stop := start(t, c, binding("p", p))
		defer stop()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := p.count(); got != 21 {
			t.Errorf("%d episodes in 20 s", got)
		}
	})
}

func TestHangingMechanismLosesOnlyItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply = func(c Command) Result {
			if c.Mechanism == "gpu" {
				time.Sleep(4 * time.Second)
				return Result{Effect: Broken, Message: "timed out"}
			}
			return Result{Effect: Applied, Lease: "cpu"}
		}
		a, b := binding("a", always(set("cpu", "max", 1))), binding("b", always(set("gpu", "max", 1)))
		a.Interval = 0
		c := w.config()
		c.Lease = 3 * time.Second
		_, stop := start(t, c, a, b)
		time.Sleep(60 * time.Second)
		stop()
		if n := len(w.renewed); n < 55 || n > 60 {
			t.Errorf("the other policy's lease was renewed %d times in a minute", n)
		}
		if !slices.Contains(outcomesOf(w.finished), Failed) {
			t.Error("no failure recorded")
		}
	})
}

func outcomesOf(ds []Decision) (all []Outcome) {
	for _, d := range ds {
		all = append(all, d.Outcome)
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A plan that still waits when its policy is taken away must not land after the
// policy's knobs were released.
func TestUnbindWhileThePlanWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply = func(c Command) Result {
			if c.Mechanism == "gpu" {
				time.Sleep(4 * time.Second)
			}
			return Result{Effect: Applied, Lease: "x"}
		}
		a := binding("a", always(set("cpu", "max", 1)))
		a.Interval = 2 * time.Second
		b := binding("b", always(set("gpu", "max", 1)))
		b.Interval = 3 * time.Second
		e, stop := start(t, w.config(), a, b)
		time.Sleep(5 * time.Second) // b hangs since 4, a has queued at 5
		synctest.Wait()
		must(t, e.Unbind(t.Context(), a.Key))
		w.mu.Lock()
		released := len(w.events)
		w.mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		for _, ev := range w.events[released:] {
			if strings.HasPrefix(ev, "apply cpu") {
				t.Fatal("applied after unbind")
			}
		}
		last := w.released[len(w.released)-1]
		if last.Owner != a.Key || last.Mechanism != "cpu" {
			t.Errorf("released %+v", w.released)
		}
	})
}

func TestPlanThatWaitedTooLongIsDiscarded(t *testing.T) {
	w := newWorld()
	e, err := New(w.config())
	must(t, err)
	p := &pending{proposal: proposal{decision: &Decision{Plan: &Plan{}}}, ctx: t.Context(),
		queued: time.Now().Add(-time.Minute), done: make(chan struct{})}
	e.cycle(1, []*pending{p})
	<-p.done
	if d := p.decision; d.Outcome != Discarded || !strings.Contains(d.Reason, "out of date") {
		t.Errorf("%+v", d)
	}
}

// tracing is a tracer that remembers its spans.
type tracing struct {
	mu    sync.Mutex
	spans []string
}

func (x *tracing) Start(ctx context.Context, name string, _ ...slog.Attr) (context.Context, Span) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.spans = append(x.spans, name)
	return ctx, traced{}
}

type traced struct{}

func (traced) TraceID() string         { return "0123456789abcdef0123456789abcdef" }
func (traced) End(error, ...slog.Attr) {}

func TestSpansAndTraceID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, x := newWorld(), &tracing{}
		c := w.config()
		c.Tracer = x
		_, stop := start(t, c, binding("p", always(set("cpu", "max", 1))))
		synctest.Wait()
		stop()
		if d := cmp.Diff(x.spans, []string{"mape", "observe", "begin", "analyze", "plan", "apply"}); d != "" {
			t.Error(d)
		}
		if id := w.finished[0].TraceID; id != (traced{}).TraceID() {
			t.Errorf("trace %s", id)
		}
	})
}

// The context that an episode left is saved before its decision is begun, so
// that one durable write may carry both.
func TestContextIsSavedBeforeTheDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := always(set("cpu", "max", 1))
		p.end = func(Input) (Trace, error) { return Trace{Context: []byte("left")}, nil }
		contexts := newMemoryContexts()
		var found []byte
		w.begin = func() error {
			found, _, _ = contexts.Load(t.Context(), "p", "node", 0)
			return nil
		}
		c := w.config()
		c.Contexts = contexts
		_, stop := start(t, c, binding("p", p))
		synctest.Wait()
		stop()
		if string(found) != "left" {
			t.Errorf("context was %q when the decision was begun", found)
		}
	})
}

func TestSensorFailureIsNotThePolicysFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var blind atomic.Bool
		w.observe = func(Key) (Observation, error) {
			if blind.Load() {
				return Observation{}, errors.New("no metrics")
			}
			return Observation{}, nil
		}
		c := w.config()
		c.OnUnhealthy = func(_ context.Context, u Unhealthy) { t.Errorf("blamed the policy: %+v", u) }
		e, stop := start(t, c, binding("p", always(set("cpu", "max", 1))))
		time.Sleep(500 * time.Millisecond)
		blind.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := e.Status()[0]; s.Condition != Ailing || len(s.Held) != 0 || s.Last.Phase != "observe" {
			t.Errorf("status %+v", s)
		}
		stop()
		if len(w.released) != 1 {
			t.Errorf("released %+v", w.released)
		}
	})
}
