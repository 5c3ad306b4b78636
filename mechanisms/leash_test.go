package mechanisms

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// hanging is a rack whose reads may hang.
type hanging struct {
	*rack
	name string
	hold atomic.Pointer[chan struct{}] // reads wait for it; nil does not hang
}

func (h *hanging) Describe() Description {
	return Description{Name: h.name, Verbs: []Verb{Set, Reset}}
}

func (h *hanging) Read(ctx context.Context, knob string) (Value, error) {
	if hold := h.hold.Load(); hold != nil {
		<-*hold
	}
	return h.rack.Read(ctx, knob)
}

// TestDriverThatHangsHoldsUpNobodyElse: it costs the supervisor its patience once; its knobs say so, others go on, and it is
// back as soon as it answers.
func TestDriverThatHangsHoldsUpNobodyElse(t *testing.T) {
	const patience = 20 * time.Millisecond
	s, err := NewSupervisor(Config{Dir: t.TempDir(), BootID: "boot-1", LockPatience: time.Millisecond, DriverPatience: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Abandon)
	bad, good := &hanging{rack: newRack(), name: "Bad"}, &hanging{rack: newRack(), name: "Good"}
	for _, d := range []Driver{bad, good} {
		if err := s.Register(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	hold := make(chan struct{})
	bad.hold.Store(&hold)
	state, err := s.State(t.Context(), "Bad")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range state.Knobs {
		if k.Problem == "" {
			t.Errorf("%s of a driver that hangs reads %v", k.Knob, k.Value)
		}
	}
	c := turnTo("p", 0, "a", Number(50))
	c.Mechanism = "Bad"
	if _, err := s.Apply(t.Context(), c); err == nil || !stuck(err) {
		t.Errorf("set a knob of a driver that hangs: %v", err)
	}
	c.Mechanism = "Good"
	if r, err := s.Apply(t.Context(), c); err != nil || r.Outcome != Applied {
		t.Errorf("the other driver: %+v, %v", r, err)
	}
	if state, err := s.State(t.Context(), "Good"); err != nil || state.Knobs[0].Value != Number(50) {
		t.Errorf("the other driver's state: %+v, %v", state, err)
	}
	bad.hold.Store(nil) // the call that hangs still waits
	close(hold)
	deadline := time.Now().Add(10 * time.Second)
	for {
		state, err := s.State(t.Context(), "Bad")
		if err == nil && len(state.Knobs) > 0 && state.Knobs[0].Problem == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it answers, and is not asked: %+v, %v", state, err)
		}
	}
}

func stuck(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*Error); ok && e.Code == CodeStuck {
			return true
		}
	}
	return false
}

func TestEnvelopeInAnotherUnit(t *testing.T) {
	limit := 5.0
	s, err := NewSupervisor(Config{Dir: t.TempDir(), BootID: "boot-1", LockPatience: time.Millisecond,
		Envelope: Envelope{Rules: []Rule{{Mechanism: "Rack", Knob: "a", Max: &limit, Unit: "Hz"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Abandon)
	err = s.Register(t.Context(), newRack())
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeConfig {
		t.Errorf("a knob in W bound in Hz: %v", err)
	}
}
