package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// contests gathers what is reported of a contender.
type contests struct {
	mu  sync.Mutex
	all []Contest
}

func (c *contests) report(x Contest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, x)
}

func (c *contests) list() []Contest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Contest(nil), c.all...)
}

// counting is a policy that counts its passes in its context and plans value x.
func counting(x float64) *script {
	s := always(set("cpu", "a", x))
	s.end = func(in Input) (Trace, error) {
		return Trace{Context: append(bytes.Clone(in.Context), '.'), Fuel: 1}, nil
	}
	return s
}

func version(v string, p Policy) Binding {
	b := binding("p", p)
	b.Version, b.Module = v, "sha256:"+v
	return b
}

func odd(seq uint64) bool { return seq%2 == 1 }

func TestShadowSeesTheSameAndDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, live, next, seen := newWorld(), counting(1), counting(2), &contests{}
		e, stop := start(t, w.config(), version("1", live))
		defer stop()
		time.Sleep(2500 * time.Millisecond) // three passes
		if err := e.Contend(t.Context(), Contender{Binding: version("2", next), Rollout: "r", Report: seen.report}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		mine, theirs := live.inputs()[3:], next.inputs()
		if len(theirs) != 3 || len(mine) != 3 {
			t.Fatalf("passes: live %d, next %d, want 3 each", len(mine), len(theirs))
		}
		for i := range theirs {
			a, b := mine[i], theirs[i]
			if a.Seq != b.Seq || !a.Time.Equal(b.Time) || a.Seed != b.Seed || fmt.Sprint(a.Observation) != fmt.Sprint(b.Observation) {
				t.Errorf("pass %d: live saw %+v, next %+v", i, a, b)
			}
			if b.Version != "2" || string(b.Context) != strings.Repeat(".", 3+i) {
				t.Errorf("pass %d: version %s with context %q, want the chain to begin with the live one's", i, b.Version, b.Context)
			}
		}
		for _, c := range w.commands {
			if c.Settings[0].Value != Number(1) {
				t.Errorf("the shadow's plan was applied: %+v", c)
			}
		}
		all := seen.list()
		if len(all) != 3 || !strings.Contains(all[0].Other.Part.Difference, "version 1 sets it to 1, version 2 sets it to 2") {
			t.Fatalf("reported: %+v", all)
		}
		if len(w.noted) == 0 || w.noted[0].Outcome != Shadowed || w.noted[0].Module != "sha256:2" || w.noted[0].Part.Decision != all[0].Decided.ID {
			t.Errorf("the difference is not written down: %+v", w.noted)
		}
	})
}

func TestCanaryDecidesItsPassesNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, live, next, seen := newWorld(), counting(1), counting(9), &contests{}
		narrow := func(p Plan, _ Observation) (Plan, []string) {
			p.Actions = []Action{set("cpu", "a", 3)}
			return p, []string{"a: 3, not 9"}
		}
		_, stop := startContested(t, w.config(), version("1", live), Contender{Binding: version("2", next), Rollout: "r", Decides: odd, Narrow: narrow, Report: seen.report})
		defer stop()
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		if a, b := live.count(), next.count(); a != 6 || b != 6 {
			t.Errorf("passes: live %d, next %d, want both to run on all 6", a, b)
		}
		for i, d := range w.finished {
			want := map[bool]string{true: "2", false: "1"}[odd(d.Seq)]
			if d.Version != want || d.Module != "sha256:"+want || (d.Part != nil) != odd(d.Seq) {
				t.Errorf("decision %d by version %s (%+v), want %s", d.Seq, d.Version, d.Part, want)
			}
			if odd(d.Seq) && (w.commands[i].Settings[0].Value != Number(3) || d.Part.Wanted.Actions[0].Value != Number(9)) {
				t.Errorf("canary decision %d: %+v acted on as %+v", d.Seq, d.Part, w.commands[i])
			}
		}
		for _, c := range seen.list() {
			if c.Other == nil || !strings.Contains(c.Other.Part.Difference, "9") {
				t.Errorf("pass %d: %+v, want the plans compared as they were meant", c.Decided.Seq, c.Other)
			}
		}
		for i, in := range live.inputs() {
			if len(in.Context) != i {
				t.Errorf("live pass %d has context %q: its chain has a gap", i, in.Context)
			}
		}
	})
}

func TestCanaryThatFailsLeavesThePassToTheLiveVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, live, next, seen := newWorld(), counting(1), always(), &contests{}
		next.plan = func(Input) (Plan, error) { return Plan{}, errTrap }
		_, stop := startContested(t, w.config(), version("1", live), Contender{Binding: version("2", next), Rollout: "r", Decides: odd, Report: seen.report})
		defer stop()
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		for _, d := range w.finished {
			if d.Version != "1" || d.Outcome != Landed {
				t.Errorf("decision %d: version %s, %s", d.Seq, d.Version, d.Outcome)
			}
		}
		failed := 0
		for _, c := range seen.list() {
			if c.Failed != nil && c.Failed.Failure.Phase == "plan" && c.Failed.ID != c.Decided.ID {
				failed++
			}
		}
		if len(w.finished) != 3 || failed != 2 {
			t.Errorf("%d decisions and %d failures reported, want 3 and 2", len(w.finished), failed)
		}
	})
}

func TestSwapAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, live, next := newWorld(), counting(1), counting(2)
		second := version("2", next)
		second.Bounds = []Bound{{Metric: "m", Above: 1, Below: -1}}
		e, stop := startContested(t, w.config(), version("1", live), Contender{Binding: second, Rollout: "r"})
		defer stop()
		k := Key{"p", Node}
		for range 2 {
			time.Sleep(1500 * time.Millisecond)
			if err := e.Swap(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if s := e.Status()[0]; s.Version != "1" || s.Contender != "2" {
			t.Errorf("after two swaps: %+v", s)
		}
		if w.cross(k, 5) {
			t.Error("the bounds of the version that is not in charge are watched")
		}
		if err := e.Dismiss(t.Context(), k, false); err != nil {
			t.Fatal(err)
		}
		var order []string
		for i, d := range w.finished {
			order = append(order, d.Version)
			if d.Seq != uint64(i+1) {
				t.Errorf("decision %d has number %d: a pass is lost", i+1, d.Seq)
			}
		}
		if got := strings.Join(order, ""); got != "112221" && got != "11221" {
			t.Errorf("versions in charge: %s", got)
		}
		if err := e.Swap(t.Context(), k); err == nil {
			t.Error("swapped with nobody")
		}
	})
}

// TestKnobsOfAContenderThatGoesAreGivenBack: what a candidate set goes back with it, but for what the version in charge wants too,
// which does not twitch.
func TestKnobsOfAContenderThatGoesAreGivenBack(t *testing.T) {
	for _, inCharge := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, live := newWorld(), always(set("cpu", "shared", 1))
			next := always(set("cpu", "shared", 2), set("cpu", "own", 2))
			e, stop := start(t, w.config(), version("1", live))
			defer stop()
			time.Sleep(500 * time.Millisecond)
			c := Contender{Binding: version("2", next), Rollout: "r"}
			if !inCharge {
				c.Decides = odd
			}
			if err := e.Contend(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			k := Key{"p", Node}
			if inCharge {
				if err := e.Swap(t.Context(), k); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second)
			if inCharge {
				if err := e.Swap(t.Context(), k); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Dismiss(t.Context(), k, inCharge); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(w.released) != 1 || !slices.Equal(w.released[0].Knobs, []string{"own"}) {
				t.Errorf("in charge %v: given back %+v, want its own knob", inCharge, w.released)
			}
			if last := w.commands[len(w.commands)-1]; last.Settings[0].Value != Number(1) || w.events[len(w.events)-1] != "release cpu" {
				t.Errorf("in charge %v: the last command is %+v, the last events %v", inCharge, last, w.events)
			}
			if s := e.Status()[0]; !slices.Equal(s.Held, []string{"cpu shared"}) {
				t.Errorf("in charge %v: held %v", inCharge, s.Held)
			}
		})
	}
}

// TestSlowContender: one that is slow, hangs or asks for too much time costs the version in charge nothing.
func TestSlowContender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, live, next, seen := newWorld(), counting(1), counting(1), &contests{}
		next.analyze = func(Input) (Verdict, error) {
			time.Sleep(20 * time.Second)
			return Verdict{}, nil
		}
		_, stop := startContested(t, w.config(), version("1", live), Contender{Binding: version("2", next), Rollout: "r", Decides: odd, Report: seen.report})
		defer stop()
		time.Sleep(200 * time.Second)
		synctest.Wait()
		skipped := map[Skip]int{}
		for _, c := range seen.list() {
			skipped[c.Skipped]++
		}
		// A canary that hangs for 20 s is bounded by the guest's deadline in the real agent; here it shows that the passes in
		// between go on.
		if skipped[OverBudget] == 0 || skipped[Busy] == 0 {
			t.Errorf("skipped: %v, want passes over budget and passes that it was too busy to decide", skipped)
		}
		for i, in := range live.inputs() {
			if in.Seq != uint64(i+1) || len(in.Context) != i {
				t.Fatalf("pass %d of the version in charge has number %d and context %q", i+1, in.Seq, in.Context)
			}
		}
	})
}

func TestFailedMigrationLeavesTheLiveVersionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, live, next := newWorld(), counting(1), counting(2)
		next.migrate = func(uint32, []byte) ([]byte, error) { return nil, errors.New("half way") }
		second := version("2", next)
		second.Schema = 2
		e, stop := start(t, w.config(), version("1", live))
		defer stop()
		time.Sleep(1500 * time.Millisecond)
		err := e.Contend(t.Context(), Contender{Binding: second, Rollout: "r"})
		if err == nil || !strings.Contains(err.Error(), "half way") {
			t.Fatalf("got %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := e.Status()[0]; s.Version != "1" || s.Contender != "" || s.Failures != 0 {
			t.Errorf("after the failed migration: %+v", s)
		}
		if live.count() != 3 || next.count() != 0 {
			t.Errorf("passes: live %d, next %d", live.count(), next.count())
		}
	})
}

// TestManySwapsUnderLoad swaps as fast as it can while passes run one after the other: every request is answered by a
// decision, none is lost or made twice, and each has the version that was in charge.
func TestManySwapsUnderLoad(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.MinInterval = time.Nanosecond
	one, two := version("1", always()), version("2", always())
	one.Interval, two.Interval = time.Hour, time.Hour
	e, stop := start(t, c, one)
	defer stop()
	if err := e.Contend(t.Context(), Contender{Binding: two, Rollout: "r", Share: 1}); err != nil {
		t.Fatal(err)
	}
	for e.Status()[0].Episodes == 0 { // it starts with one
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			if d, err := e.Trigger(context.Background(), one.Key, "load"); err != nil || d.Failure != nil || d.Outcome == Failed {
				t.Errorf("pass %d: %+v, %v", n, d.Failure, err)
			}
			n++
		}
		asked <- n
	}()
	for range 1000 {
		if err := e.Swap(t.Context(), one.Key); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	n := <-asked
	status := e.Status()[0]
	if status.Version != "1" || status.Episodes < uint64(n) {
		t.Errorf("after an even number of swaps version %s is in charge; %d passes asked for, %d run", status.Version, n, status.Episodes)
	}
}

func TestDifference(t *testing.T) {
	plan := func(v string, as ...Action) *Decision {
		return &Decision{Version: v, Verdict: Verdict{Plan: len(as) > 0}, Plan: &Plan{Actions: as}}
	}
	failed := &Decision{Version: "f", Failure: &Failure{Message: "boom"}}
	give := Action{Mechanism: "cpu", Knob: "a", Verb: Reset}
	for _, test := range []struct {
		name string
		a, b *Decision
		want string
	}{
		{"same", plan("1", set("cpu", "a", 1)), plan("2", set("cpu", "a", 1)), ""},
		{"order does not count", plan("1", set("cpu", "a", 1), set("cpu", "b", 1)), plan("2", set("cpu", "b", 1), set("cpu", "a", 1)), ""},
		{"value", plan("1", set("cpu", "a", 1)), plan("2", set("cpu", "a", 2)), "a of cpu: version 1 sets it to 1, version 2 sets it to 2"},
		{"more", plan("1", set("cpu", "a", 1)), plan("2", set("cpu", "a", 1), set("cpu", "b", 2)), "b of cpu: version 1 leaves it, version 2 sets it to 2"},
		{"reset", plan("1", set("cpu", "a", 1)), plan("2", give), "a of cpu: version 1 sets it to 1, version 2 gives it back"},
		{"verdict", plan("1"), plan("2", give), "version 2 saw a reason to plan, version 1 did not"},
		{"one failed", plan("1"), failed, "version f failed: boom"},
		{"both failed", failed, failed, ""},
		{"neither", plan("1"), plan("2"), ""},
	} {
		if got := Difference(test.a, test.b); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
