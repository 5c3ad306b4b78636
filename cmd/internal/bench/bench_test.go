package main

import (
	"testing"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	host.RunChild()
	residentChild()
	coapChild()
	m.Run()
}

// TestGuestsAnswer runs the hand-written guests once, so that a table of figures is about something that works.
func TestGuestsAnswer(t *testing.T) {
	for name, module := range map[string][]byte{"echo": echoGuest(), "loop": loopGuest()} {
		p, err := prepare(t.Context(), module, host.Config{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := p.Begin(t.Context(), host.SessionConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Call(t.Context(), wasmabi.OpPlan, make([]byte, requestBytes)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "loop" && s.Fuel() < turns {
			t.Errorf("%d turns cost %d units", turns, s.Fuel())
		}
		s.Close()
		p.close(t.Context())
	}
}

func TestNativeSideDecidesTheSame(t *testing.T) {
	f := newFlat(observation())
	f.decide()
	if len(f.plan) != len(f.actions) || len(f.plan) == 0 || f.plan[0] != f.actions[0] {
		t.Errorf("got %v, want %v", f.plan, f.actions)
	}
}

func TestGoals(t *testing.T) {
	for _, test := range []struct {
		goal Goal
		m    Measured
		met  bool
	}{
		{Times(2), Measured{Ours: 2, Theirs: 1}, true},
		{Times(2), Measured{Ours: 2.1, Theirs: 1}, false},
		{Faster(10), Measured{Ours: 1, Theirs: 10}, true},
		{Faster(10), Measured{Ours: 1, Theirs: 9}, false},
		{AtMost(5, "ms"), Measured{Ours: 5}, true},
		{AtLeast(5, ""), Measured{Ours: 4}, false},
	} {
		if got := test.goal.met(test.m); got != test.met {
			t.Errorf("%s with %+v: %v", test.goal, test.m, got)
		}
	}
}
