package mechanisms

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// regulated is a rack that takes knobs back under its own regulation, and knows what it would do.
type regulated struct {
	*rack
	restored []string
}

func (r *regulated) Restore(ctx context.Context, knob string, v Value) error {
	r.restored = append(r.restored, knob)
	return r.Write(ctx, knob, v)
}

func (r *regulated) Foretell(_ context.Context, settings []Setting) (map[string]Value, error) {
	out := map[string]Value{}
	for _, s := range settings {
		out[s.Knob] = Number(min(s.Value.Number, 60))
	}
	return out, nil
}

func regulatedBench(t *testing.T) (*Supervisor, *regulated) {
	t.Helper()
	s, err := NewSupervisor(Config{Dir: t.TempDir(), BootID: "boot-1", LockPatience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Abandon)
	r := &regulated{rack: newRack()}
	if err := s.Register(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return s, r
}

func TestOnlyTheWayBackToTheOldValueIsARestore(t *testing.T) {
	s, r := regulatedBench(t)
	for _, c := range []Command{turnTo("low", 0, "a", Number(50)), turnTo("high", 1, "a", Number(80))} {
		if _, err := s.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if s.RevertOwner(t.Context(), "high"); len(r.restored) != 0 || r.snapshot()["a"] != Number(50) {
		t.Errorf("back to the lease below: restored %v, at %v", r.restored, r.snapshot()["a"])
	}
	if s.RevertOwner(t.Context(), "low"); !slices.Equal(r.restored, []string{"a"}) || r.snapshot()["a"] != Number(10) {
		t.Errorf("back to the old value: restored %v, at %v", r.restored, r.snapshot()["a"])
	}
}

func TestSimulationAsksTheDriver(t *testing.T) {
	s, r := regulatedBench(t)
	got, err := s.Simulate(t.Context(), turnTo("p", 0, "a", Number(90)))
	if err != nil || got.Outcome != Clamped || got.Changes[0].Effective != Number(60) || got.Changes[0].Reason == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if r.writes != 0 {
		t.Error("it wrote")
	}
}

func TestUnregisterPutsKnobsBackFirst(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	if err := b.Unregister(t.Context(), "Rack", false); err != nil {
		t.Fatal(err)
	}
	b.want(t, "a", Number(10))
	if len(b.Describe()) != 0 || b.Outstanding() != 0 || len(b.Leases()) != 0 {
		t.Errorf("left: %v, %d, %v", b.Describe(), b.Outstanding(), b.Leases())
	}
	b.refused(t, turnTo("p", 0, "a", Number(50)), CodeUnknown)
	if err := b.Register(t.Context(), b.rack); err != nil {
		t.Fatal(err)
	}
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
}

func TestUnregisterWithAKnobThatIsAway(t *testing.T) {
	b := newBench(t, Config{})
	b.must(t, turnTo("p", 0, "a", Number(50)), Applied)
	b.rack.offline["a"] = true
	var e *Error
	if err := b.Unregister(t.Context(), "Rack", false); !errors.As(err, &e) || e.Code != CodeUnavailable {
		t.Fatalf("got %v", err)
	}
	if len(b.Describe()) != 1 || b.Outstanding() != 1 {
		t.Fatal("it is gone")
	}
	if err := b.Unregister(t.Context(), "Rack", true); err != nil || b.Outstanding() != 1 {
		t.Fatalf("by force: %v, %d outstanding", err, b.Outstanding())
	}
	b.rack.offline["a"] = false
	if err := b.Register(t.Context(), b.rack); err != nil {
		t.Fatal(err)
	}
	b.want(t, "a", Number(10))
	if err := b.Unregister(t.Context(), "Nix", true); !errors.As(err, &e) || e.Code != CodeUnknown {
		t.Errorf("got %v", err)
	}
}
