package mechanisms

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func ptr(f float64) *float64 { return &f }

func TestSetReadsBack(t *testing.T) {
	b := newBench(t, Config{})
	b.rack.ceiling["a"] = 60
	r := b.must(t, turnTo("p", 0, "a", Number(80)), Clamped)
	if ch := r.Changes[0]; ch.Effective != Number(60) || ch.Requested != Number(80) || ch.Old != Number(10) || ch.Reason == "" {
		t.Errorf("change %+v", ch)
	}
	b.must(t, turnTo("p", 0, "b", Number(30)), Applied)
	b.must(t, turnTo("p", 0, "b", Number(30)), Unchanged)
}

func TestAliasAndWords(t *testing.T) {
	b := newBench(t, Config{})
	c := turnTo("p", 0, "a", Choice("max"))
	c.Mechanism = "OldRack"
	b.must(t, c, Applied)
	b.want(t, "a", Number(100))
	b.must(t, turnTo("p", 0, "switch", Choice("auto")), Applied)
}

func TestPattern(t *testing.T) {
	b := newBench(t, Config{})
	r := b.must(t, turnTo("p", 0, "[a-d]", Number(50)), Applied)
	if len(r.Changes) != 4 {
		t.Errorf("%d changes", len(r.Changes))
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t, Config{Envelope: Envelope{Rules: []Rule{{Knob: "d", Forbid: true}, {Knob: "c", Min: ptr(33), Max: ptr(37)}, {Knob: "switch", Choices: []string{"off", "on"}}}}})
	for _, tc := range []struct {
		name, code string
		cmd        Command
	}{
		{"unknown mechanism", CodeUnknown, Command{Mechanism: "Nix", Verb: Set, Owner: "p", Settings: []Setting{{Knob: "a"}}}},
		{"unknown verb", CodeBadCommand, Command{Mechanism: "Rack", Verb: "spin", Owner: "p"}},
		{"no owner", CodeBadCommand, turnTo("", 0, "a", Number(1))},
		{"nothing to set", CodeBadCommand, Command{Mechanism: "Rack", Verb: Set, Owner: "p"}},
		{"negative lease", CodeBadCommand, Command{Mechanism: "Rack", Verb: Set, Owner: "p", Settings: []Setting{{Knob: "a"}}, Lease: -1}},
		{"unknown knob", CodeNoKnob, turnTo("p", 0, "z", Number(1))},
		{"empty pattern", CodeNoKnob, turnTo("p", 0, "z*", Number(1))},
		{"word for a number", CodeOutOfRange, turnTo("p", 0, "a", Choice("loud"))},
		{"number for a word", CodeOutOfRange, turnTo("p", 0, "switch", Number(1))},
		{"unknown choice", CodeOutOfRange, turnTo("p", 0, "switch", Choice("dim"))},
		{"forbidden knob", CodeForbidden, turnTo("p", 0, "d", Number(50))},
		{"forbidden choice", CodeForbidden, turnTo("p", 0, "switch", Choice("auto"))},
		{"no hardware value in the range", CodeForbidden, turnTo("p", 0, "c", Number(50))},
		{"twice, differently", CodeBadCommand, Command{Mechanism: "Rack", Verb: Set, Owner: "p", Settings: []Setting{{"a", Number(10)}, {"a", Number(20)}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.refused(t, tc.cmd, tc.code)
			var hint interface{ ErrorHint() string }
			if _, err := b.Simulate(t.Context(), tc.cmd); !errors.As(err, &hint) || hint.ErrorHint() == "" {
				t.Errorf("simulation says %v, without a hint", err)
			}
		})
	}
	if b.rack.writes != 0 {
		t.Errorf("%d writes", b.rack.writes)
	}
}

func TestEnvelopeClampsVisibly(t *testing.T) {
	b := newBench(t, Config{Envelope: Envelope{Rules: []Rule{
		{Knob: "a", Max: ptr(60), Reason: "the fuse is small"},
		{Knob: "b", MaxStep: 20},
		{Knob: "*", Min: ptr(10)},
	}}})
	r := b.must(t, turnTo("p", 0, "a", Number(90)), Clamped)
	if ch := r.Changes[0]; ch.Effective != Number(60) || ch.Reason != "the fuse is small" {
		t.Errorf("range: %+v", ch)
	}
	r = b.must(t, turnTo("p", 0, "b", Number(90)), Clamped)
	if ch := r.Changes[0]; ch.Effective != Number(40) || !strings.Contains(ch.Reason, "steps of at most 20 W") {
		t.Errorf("step: %+v", ch)
	}
	r = b.must(t, turnTo("p", 0, "c", Number(0)), Clamped)
	if ch := r.Changes[0]; ch.Effective != Number(10) {
		t.Errorf("floor: %+v", ch)
	}
}

func TestSimulateTouchesNothing(t *testing.T) {
	b := newBench(t, Config{})
	before := b.rack.snapshot()
	r, err := b.Simulate(t.Context(), turnTo("p", 0, "a", Number(47)))
	if err != nil || r.Outcome != Clamped || r.Changes[0].Effective != Number(50) {
		t.Fatalf("got %+v, %v", r, err)
	}
	if b.rack.writes != 0 || b.Outstanding() != 0 || before["a"] != b.rack.snapshot()["a"] {
		t.Error("it left a trace")
	}
	real := b.must(t, turnTo("p", 0, "a", Number(47)), Clamped)
	if real.Changes[0].Effective != r.Changes[0].Effective {
		t.Errorf("foretold %+v, came %+v", r, real)
	}
	back, err := b.Simulate(t.Context(), Command{Mechanism: "Rack", Verb: Reset, Owner: "p"})
	if err != nil || back.Outcome != Applied || back.Changes[0].Effective != Number(10) || len(b.Leases()) != 1 {
		t.Errorf("reset foretold %+v, %v", back, err)
	}
}

func TestPrioritiesAndExpiry(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("low", 1, "a", Number(20)), Applied)
	r := b.refused(t, turnTo("equal", 1, "a", Number(30)), CodeHeld)
	if !strings.Contains(r.Reason, "low holds a") {
		t.Errorf("reason %q does not name the winner", r.Reason)
	}
	b.clock.move(30 * time.Second)
	b.must(t, turnTo("high", 5, "a", Number(90)), Applied)
	b.refused(t, turnTo("low", 1, "a", Number(40)), CodeHeld)

	id := b.Leases()[0].ID
	if _, err := b.Renew(t.Context(), id, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	b.clock.move(time.Minute)
	b.Expire(t.Context())
	b.want(t, "a", Number(20)) // the next lease below
	b.clock.move(10 * time.Minute)
	b.Expire(t.Context())
	b.want(t, "a", Number(10)) // the old value
	if b.Outstanding() != 0 {
		t.Errorf("%d outstanding", b.Outstanding())
	}
	if _, err := b.Renew(t.Context(), id, 0); err == nil {
		t.Error("an ended lease was renewed")
	}
}

func TestOwnerCannotSinkBelowAnother(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("q", 0, "a", Number(20)), Applied)
	b.must(t, turnTo("p", 1, "a", Number(30)), Applied)
	b.refused(t, turnTo("p", 0, "a", Number(40)), CodeHeld)
	b.want(t, "a", Number(30))
}

func TestResetIsTheOwnersOwn(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	b.must(t, turnTo("q", 0, "b", Number(50)), Applied)
	b.must(t, Command{Mechanism: "Rack", Verb: Reset, Owner: "p"}, Applied)
	b.want(t, "a", Number(10))
	b.want(t, "b", Number(50))
	b.must(t, Command{Mechanism: "Rack", Verb: Reset, Owner: "p", Settings: []Setting{{Knob: "b"}}}, Unchanged)
	b.refused(t, Command{Mechanism: "Rack", Verb: Reset, Owner: "p", Settings: []Setting{{Knob: "z"}}}, CodeNoKnob)
	b.want(t, "b", Number(50))
}

func TestFailureUndoesAll(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "b", Number(60)), Applied)
	b.rack.broken["c"] = errors.New("sparks")
	c := Command{Mechanism: "Rack", Verb: Set, Owner: "p", Lease: time.Minute, Settings: []Setting{{"a", Number(50)}, {"b", Number(70)}, {"c", Number(50)}}}
	r, err := b.Apply(t.Context(), c)
	if r.Outcome != Undone || err == nil || r.Code != CodeWrite || r.Changes[2].Reason != "sparks" {
		t.Fatalf("got %+v, %v", r, err)
	}
	b.want(t, "a", Number(10))
	b.want(t, "b", Number(60)) // what its owner had before, not the old value
	if got := len(b.Leases()); got != 1 {
		t.Errorf("%d leases", got)
	}
}

func TestFailureThatCannotBeUndone(t *testing.T) {
	b := newBench(t, Config{})
	b.OnProbe(func(at string) {
		if at == "turned a" {
			b.rack.broken["a"], b.rack.broken["b"] = errors.New("stuck"), errors.New("sparks")
		}
	})
	c := Command{Mechanism: "Rack", Verb: Set, Owner: "p", Settings: []Setting{{"a", Number(50)}, {"b", Number(70)}}}
	if r, err := b.Apply(t.Context(), c); r.Outcome != PartlyUndone || err == nil {
		t.Fatalf("got %+v, %v", r, err)
	}
	b.OnProbe(func(string) {})
	clear(b.rack.broken)
	b.Expire(t.Context())
	b.want(t, "a", Number(50)) // not before the pause is over
	b.clock.move(time.Second)
	b.Expire(t.Context())
	b.want(t, "a", Number(10))
}

func TestKnobsThatMoveAlongComeBackToo(t *testing.T) {
	r := newRack()
	r.tied = true
	b := newBenchOn(t, r, Config{})
	b.must(t, turnTo("p", 0, "switch", Choice("on")), Applied)
	b.want(t, "a", Number(90))
	b.must(t, turnTo("q", 0, "a", Number(50)), Applied)
	b.must(t, Command{Mechanism: "Rack", Verb: Reset, Owner: "q"}, Applied)
	b.want(t, "a", Number(10)) // its own old value, though the switch is still held
	b.must(t, Command{Mechanism: "Rack", Verb: Reset, Owner: "p"}, Applied)
	b.want(t, "switch", Choice("off"))
	b.want(t, "a", Number(10)) // putting the switch back moved it once more
	if b.Outstanding() != 0 {
		t.Errorf("%d outstanding", b.Outstanding())
	}
}

func TestPace(t *testing.T) {
	b := newBench(t, Config{Envelope: Envelope{Rules: []Rule{{Every: time.Second, Burst: 2}}}})
	b.must(t, turnTo("p", 0, "a", Number(20)), Applied)
	b.must(t, turnTo("p", 0, "a", Number(30)), Applied)
	b.refused(t, turnTo("p", 0, "a", Number(40)), CodePaced)
	b.must(t, turnTo("p", 0, "a", Number(30)), Unchanged) // renewing costs nothing
	b.must(t, turnTo("p", 0, "b", Number(30)), Applied)   // another key
	b.clock.move(time.Second)
	b.must(t, turnTo("p", 0, "a", Number(40)), Applied)
}

func TestAdoptAndRevertAfterCrash(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	short := turnTo("q", 0, "b", Number(50))
	short.Lease = time.Second
	b.must(t, short, Applied)
	b.clock.move(2 * time.Second)
	b.restart(t)
	b.want(t, "a", Number(50))
	b.want(t, "b", Number(20))
	if !slices.Contains(b.kinds(), EventAdopted) {
		t.Errorf("events %v", b.kinds())
	}
}

func TestTighterEnvelopeEndsLeaseAtRestart(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(90)), Applied)
	b.cfg.Envelope.Rules = []Rule{{Knob: "a", Max: ptr(50)}}
	b.restart(t)
	b.want(t, "a", Number(10))
}

func TestOtherBootDropsJournal(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	b.cfg.BootID = "boot-2"
	b.rack.at["a"] = Number(30) // what the new boot set up
	b.restart(t)
	b.want(t, "a", Number(30))
	b.must(t, turnTo("p", 0, "a", Number(70)), Applied)
	b.RevertAll(t.Context(), "test")
	b.want(t, "a", Number(30))
}

func TestOtherDriverIsNotWrittenTo(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	b.rack.driver = "rack-v2"
	b.restart(t)
	b.want(t, "a", Number(50))
	if b.Outstanding() != 0 || len(b.Leases()) != 0 || !slices.Contains(b.kinds(), EventForeign) {
		t.Errorf("%d outstanding, leases %v, events %v", b.Outstanding(), b.Leases(), b.kinds())
	}
}

func TestDamagedJournalUsesTheCopy(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	damage(t, filepath.Join(b.cfg.Dir, journalFile))
	damage(t, filepath.Join(b.cfg.Dir, leaseFile))
	b.restart(t)
	b.want(t, "a", Number(10)) // no lease can be believed, the old value can
	aside, _ := filepath.Glob(filepath.Join(b.cfg.Dir, "*.damaged-*"))
	if len(aside) != 2 {
		t.Errorf("set aside: %v", aside)
	}
}

func damage(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUnwritableFolderRefuses(t *testing.T) {
	b := newBench(t, Config{})
	// A directory in the way stops root too, where permissions would not.
	if err := os.Mkdir(filepath.Join(b.cfg.Dir, journalFile+".new"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.refused(t, turnTo("p", 0, "a", Number(50)), CodeJournal)
	b.want(t, "a", Number(10))
}

func TestSecondSupervisorIsRefused(t *testing.T) {
	b := newBench(t, Config{})
	if _, err := NewSupervisor(b.cfg); err == nil {
		t.Fatal("two supervisors on one folder")
	}
}

func TestSimulateDoesNotObeyHandsOff(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	touch(t, filepath.Join(b.cfg.Dir, "hands-off"), "")
	if r, err := b.Simulate(t.Context(), turnTo("p", 0, "a", Number(60))); r.Code != CodeHandsOff || err == nil {
		t.Errorf("got %+v, %v", r, err)
	}
	b.want(t, "a", Number(50))
}

func TestKnobThatGoesAwayMidwayIsNotHeld(t *testing.T) {
	b := newBench(t, Config{})
	b.OnProbe(func(at string) { b.rack.offline["b"] = true })
	c := Command{Mechanism: "Rack", Verb: Set, Owner: "p", Settings: []Setting{{"a", Number(50)}, {"b", Number(70)}}}
	r := b.must(t, c, Clamped)
	if !r.Changes[1].Skipped || len(b.Leases()[0].Holds) != 1 {
		t.Errorf("result %+v, leases %+v", r, b.Leases())
	}
	clear(b.rack.offline)
	b.Expire(t.Context())
	if b.Outstanding() != 1 {
		t.Errorf("%d outstanding", b.Outstanding())
	}
}

func TestHandsOff(t *testing.T) {
	b := newBench(t, Config{})
	file := filepath.Join(b.cfg.Dir, "hands-off")
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	touch(t, file, "")
	b.refused(t, turnTo("p", 0, "a", Number(60)), CodeHandsOff)
	b.want(t, "a", Number(10))
	os.Remove(file)
	b.must(t, turnTo("p", 0, "a", Number(60)), Applied)
	touch(t, file, "freeze\n")
	b.clock.move(time.Hour)
	b.Expire(t.Context())
	b.want(t, "a", Number(60))
	if r := b.RevertAll(t.Context(), "x"); r.Code != CodeHandsOff {
		t.Errorf("revert under freeze: %+v", r)
	}
	os.Remove(file)
	b.Expire(t.Context())
	b.want(t, "a", Number(10))
}

func touch(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCloseFollowsExitPolicy(t *testing.T) {
	for _, tc := range []struct {
		exit ExitPolicy
		want Value
	}{{ExitRevert, Number(10)}, {ExitKeep, Number(50)}} {
		b := newBench(t, Config{Exit: tc.exit})
		b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want(t, "a", tc.want)
		b.refused(t, turnTo("p", 0, "a", Number(60)), CodeBusy)
	}
}

func TestOverdueWithoutTheFolder(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	never := func(Lease) bool { return false }
	look := func() Ended {
		e, err := Overdue(t.Context(), b.cfg, time.Second, never, b.rack)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := look(); len(e.Leases) != 0 {
		t.Fatalf("ended early: %+v", e)
	}
	b.clock.move(time.Minute + time.Second)
	if e := look(); len(e.Leases) != 1 || len(e.Changes) != 1 {
		t.Fatalf("got %+v", e)
	}
	b.want(t, "a", Number(10))
	b.Expire(t.Context()) // the owner wakes up and does it too
	b.want(t, "a", Number(10))
	if b.Outstanding() != 0 {
		t.Errorf("%d outstanding", b.Outstanding())
	}
}

func TestStateTellsWhoHolds(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 3, "a", Number(50)), Applied)
	b.rack.at["a"] = Number(70)
	m, err := b.Mechanism("OldRack")
	if err != nil {
		t.Fatal(err)
	}
	st, err := m.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := st.Knobs[0]
	if k.Knob != "a" || k.Owner != "p" || k.Priority != 3 || *k.Baseline != Number(10) || *k.Wanted != Number(50) || k.Value != Number(70) || !k.Drifted {
		t.Errorf("state %+v", k)
	}
	if opts, err := m.Options(t.Context()); err != nil || len(opts) != 5 {
		t.Errorf("options %v, %v", opts, err)
	}
	if r, err := m.Revert(t.Context(), k.Lease); err != nil || r.Outcome != Applied {
		t.Errorf("revert %+v, %v", r, err)
	}
}

// bubble is the clock of a synctest bubble.
type bubble struct{ start time.Time }

func (b bubble) Now() time.Time        { return time.Now() }
func (b bubble) Uptime() time.Duration { return time.Since(b.start) }

func TestRunEndsLeasesOnTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRack()
		s, err := NewSupervisor(Config{Dir: dir, BootID: "boot", Clock: bubble{time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		c := turnTo("p", 0, "a", Number(50))
		c.Lease = 2500 * time.Millisecond
		if _, err := s.Apply(ctx, c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2499 * time.Millisecond)
		synctest.Wait()
		if got := r.snapshot()["a"]; got != Number(50) {
			t.Errorf("ended early: %s", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got := r.snapshot()["a"]; got != Number(10) {
			t.Errorf("not ended: %s", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
