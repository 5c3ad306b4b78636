package agents

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func codeOf(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}

func TestConfigurationIsCheckedAsAWhole(t *testing.T) {
	_, err := New(Config{Mode: "x", Rule: "y", Lease: -1, Queue: -1})
	for _, want := range []string{"Sensor", "Actuator", "Log", `"x"`, `"y"`, "Lease", "Queue"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	err = Binding{Interval: -1, Grants: []Grant{{Knobs: []string{"["}}}}.Validate()
	for _, want := range []string{"names", "Policy", "interval", "pattern"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestLifecycleBeforeRun(t *testing.T) {
	e, err := New(newWorld().config())
	must(t, err)
	ctx := t.Context()
	b := binding("p", &script{})
	must(t, e.Bind(ctx, b))
	if err := e.Bind(ctx, b); codeOf(err) != "policy.already-bound" {
		t.Errorf("bound twice: %v", err)
	}
	b.Version = "2"
	must(t, e.Replace(ctx, b))
	must(t, e.SetMode(ctx, ML))
	if s := e.Status(); len(s) != 1 || s[0].Version != "2" || s[0].Condition != Waiting || e.Mode() != ML {
		t.Errorf("status %+v", s)
	}
	if _, err := e.Trigger(ctx, b.Key, "me"); codeOf(err) != "policy.not-running" {
		t.Errorf("triggered: %v", err)
	}
	must(t, e.Unbind(ctx, b.Key))
	if err := e.Unbind(ctx, b.Key); codeOf(err) != "policy.not-bound" {
		t.Errorf("unbound twice: %v", err)
	}
	if err := e.SetMode(ctx, "clever"); codeOf(err) != "mode.unknown" {
		t.Errorf("mode: %v", err)
	}
}

func TestAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, stop := start(t, newWorld().config(), binding("p", &script{}))
		synctest.Wait()
		stop()
		if err := e.Bind(t.Context(), binding("q", &script{})); err == nil {
			t.Error("bound after the end")
		}
		if err := e.Replace(t.Context(), binding("p", &script{})); err == nil {
			t.Error("replaced after the end")
		}
		if err := e.Run(t.Context()); err == nil {
			t.Error("ran twice")
		}
	})
}

func TestBindAgainAfterUnbind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		old := &script{end: func(in Input) (Trace, error) { return Trace{Context: append(in.Context, 'a')}, nil }}
		b := binding("p", old)
		e, stop := start(t, w.config(), b)
		defer stop()
		time.Sleep(1500 * time.Millisecond)
		must(t, e.Unbind(t.Context(), b.Key))
		next := &script{}
		b.Policy = next
		must(t, e.Bind(t.Context(), b))
		synctest.Wait()
		if in := next.inputs()[0]; string(in.Context) != "aa" {
			t.Errorf("context %q", in.Context)
		}
	})
}

func TestLostLeaseIsNoLongerHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.renew = func(LeaseID) error { return errors.New("taken over") }
		b := binding("p", always(set("cpu", "max", 1)))
		b.Interval = 0
		e, stop := start(t, w.config(), b)
		defer stop()
		synctest.Wait()
		if held := e.Status()[0].Held; len(held) != 1 {
			t.Fatalf("held %v", held)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if held := e.Status()[0].Held; len(held) != 0 || len(w.renewed) != 1 {
			t.Errorf("held %v after %d attempts", held, len(w.renewed))
		}
	})
}

// Plans that arrive while the scheduler is busy are one cycle, and conflicts in
// it are decided by the order of arrival.
func TestPlansThatWaitAreOneCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply = func(c Command) Result {
			if c.Mechanism == "gpu" {
				time.Sleep(time.Second)
			}
			return Result{Effect: Applied}
		}
		once := func(name string, p Policy) Binding {
			b := binding(name, p)
			b.Interval = 0
			return b
		}
		e, stop := start(t, w.config(), once("slow", always(set("gpu", "max", 1))))
		defer stop()
		synctest.Wait()
		for _, name := range []string{"first", "second"} {
			must(t, e.Bind(t.Context(), once(name, always(set("cpu", "max", 1), set("cpu", name, 2)))))
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		byName := make(map[string]Decision)
		for _, d := range w.finished {
			byName[d.Key.Policy] = d
		}
		first, second := byName["first"], byName["second"]
		if first.Ruling.Cycle != 2 || second.Ruling.Cycle != 2 || first.Outcome != Landed || second.Outcome != PartlyLanded {
			t.Fatalf("first %+v\nsecond %+v", first.Ruling, second.Ruling)
		}
		if l := second.Ruling.Losses; len(l) != 1 || l[0].Winner != first.ID || l[0].Action.Knob != "max" {
			t.Errorf("losses %+v", l)
		}
		if d := cmp.Diff(e.Status()[1].Held, []string{"cpu second"}); d != "" {
			t.Error(d)
		}
	})
}

func TestCommandsOfAPlan(t *testing.T) {
	long := set("cpu", "c", 3)
	long.Lease = time.Hour
	d := Decision{ID: "d", Priority: 5, Ruling: Ruling{Kept: []Action{
		set("cpu", "a", 1), set("gpu", "a", 1), set("cpu", "b", 2), long,
		{Mechanism: "cpu", Knob: "x", Verb: Reset}, {Mechanism: "cpu", Knob: "y", Verb: Reset},
	}}}
	var got []string
	for _, c := range commands(d, time.Minute) {
		line := []string{c.Mechanism, string(c.Verb), c.Lease.String()}
		for _, s := range c.Settings {
			line = append(line, s.Knob+"="+s.Value.String())
		}
		got = append(got, strings.Join(line, " "))
	}
	want := []string{"cpu set 1m0s a=1 b=2", "gpu set 1m0s a=1", "cpu set 1h0m0s c=3", "cpu reset 0s x=0 y=0"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

func TestWordsOfAGuestBecomeText(t *testing.T) {
	long := strings.Repeat("é", maxWhyBytes)
	for _, s := range []string{"plain", "\xff\xfe", long, long[1:]} {
		if got := clip(s, maxWhyBytes); !utf8.ValidString(got) || len(got) > maxWhyBytes+8 {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
	}
}

func TestInspectorTellsWhatBecameOfACommand(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Actuator = inspecting{w}
	e, err := New(c)
	must(t, err)
	w.open = []Decision{{ID: "x", Ruling: Ruling{Kept: []Action{set("cpu", "max", 2)}}}}
	e.recover(context.Background())
	if r := w.finished[0].Results; !slices.ContainsFunc(r, func(r Result) bool { return r.Effect == Applied && r.Mechanism == "cpu" }) {
		t.Errorf("results %+v", r)
	}
}

type inspecting struct{ *world }

func (inspecting) Inspect(context.Context, Command) (Result, bool) {
	return Result{Effect: Applied}, true
}

func TestBoundsThatCannotBeWatchedAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.watchErr = errors.New("nobody has sent that metric yet")
		b := wakeable(&script{})
		b.Interval = time.Second
		e, stop := start(t, w.config(), b)
		defer stop()
		synctest.Wait()
		if why := e.Status()[0].Unwatched; why == "" {
			t.Error("status does not say so")
		}
		w.mu.Lock()
		w.watchErr = nil
		w.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		if why := e.Status()[0].Unwatched; why != "" || !w.cross(b.Key, 3) {
			t.Errorf("still not watched: %s", why)
		}
	})
}

func TestReplaceGivesBackWhatIsNoLongerGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := binding("p", always(set("cpu", "max", 1), set("gpu", "max", 1)))
		b.Interval = 0
		e, stop := start(t, w.config(), b)
		defer stop()
		synctest.Wait()
		b.Policy, b.Grants = &script{}, []Grant{{Mechanism: "gpu"}}
		must(t, e.Replace(t.Context(), b))
		synctest.Wait()
		if len(w.released) != 1 || w.released[0].Mechanism != "cpu" {
			t.Errorf("released %+v, want cpu alone", w.released)
		}
		if held := e.Status()[0].Held; len(held) != 1 {
			t.Errorf("held %v, want what gpu has", held)
		}
	})
}

// TestStuckMechanismHoldsUpNobodyElse: an actuator that ignores its context costs its own mechanism, and the engine ends.
func TestStuckMechanismHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		free := make(chan struct{})
		w.apply = func(c Command) Result {
			if c.Mechanism == "cpu" {
				<-free
			}
			return Result{Effect: Applied}
		}
		_, stop := start(t, w.config(), binding("hangs", always(set("cpu", "max", 1))), binding("works", always(set("gpu", "max", 1))))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		done, refused := len(w.applied), 0
		for _, d := range w.finished {
			if len(d.Results) > 0 && d.Results[0].Code == "mechanism.stuck" {
				refused++
			}
		}
		w.mu.Unlock()
		if done < 10 || refused < 10 {
			t.Errorf("in 20 s: %d commands of the other mechanism, %d of the stuck one refused", done, refused)
		}
		stop()
		close(free)
	})
}

func TestLeaseTooShortToRenewIsLengthened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := set("cpu", "max", 1)
		a.Lease = time.Millisecond
		b := binding("p", always(a))
		b.Interval = 0
		_, stop := start(t, w.config(), b)
		defer stop()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(w.renewed); n > 30 {
			t.Errorf("renewed %d times in 10 s", n)
		}
	})
}

// TestLeaseReplacedByTheLoopsOwnPlanIsNotLost: the plan that takes a lease's place may be under way when the lease wants
// renewing.
func TestLeaseReplacedByTheLoopsOwnPlanIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var log bytes.Buffer
		c := w.config()
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w.apply = func(c Command) Result {
			time.Sleep(10 * time.Millisecond)
			return Result{Effect: Applied, Lease: LeaseID(c.Decision)}
		}
		w.renew = func(id LeaseID) error {
			if last := w.commands[len(w.commands)-1].Decision; id != LeaseID(last) || len(w.begun) != len(w.commands) {
				return errors.New("there is none of that name")
			}
			return nil
		}
		a := set("cpu", "max", 1)
		a.Lease = 30 * time.Second
		b := binding("p", always(a))
		b.Interval = 10 * time.Second
		_, stop := start(t, c, b)
		time.Sleep(2 * time.Minute)
		stop()
		if text := log.String(); text != "" {
			t.Errorf("logged: %s", text)
		}
	})
}
