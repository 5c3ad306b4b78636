package rollout

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// node is one that carries everything out at once.
type node struct {
	t     *testing.T
	state State
	now   time.Time
	did   []string
}

func newNode(t *testing.T) *node { return &node{t: t, state: Adopt("A", ""), now: epoch} }

var answerOf = map[ActionKind]EventKind{Fetch: Fetched, Verify: Verified, Validate: Validated, Prepare: Prepared, Activate: Activated, RollBack: RolledBack}

// tell gives an event and carries out what it asks for. It returns the code of a refusal.
func (n *node) tell(e Event) (refused string) {
	n.t.Helper()
	e.At = n.now
	var actions []Action
	n.state, actions = n.state.Step(e)
	for _, a := range actions {
		if a.Kind == Refuse {
			return a.Code
		}
		n.did = append(n.did, string(a.Kind)+" "+a.Digest)
		if answer := answerOf[a.Kind]; answer != "" {
			n.tell(Event{Kind: answer, Rollout: a.Rollout})
		}
	}
	return ""
}

func (n *node) start(digest string, spec Spec) (refused string) {
	n.t.Helper()
	n.did = nil
	return n.tell(Event{Kind: Start, Person: true, By: "ops", Start: &Begin{ID: "r" + digest, Digest: digest, Version: "1." + digest,
		Active: n.state.Active, Standby: n.state.Standby, Spec: spec}})
}

func (n *node) pass(d time.Duration) {
	n.t.Helper()
	n.now = n.now.Add(d)
	n.tell(Event{Kind: Tick})
}

func (n *node) measure(change func(*Reading)) {
	n.t.Helper()
	r := &Reading{Passes: 100, Compared: 100, SameVerdict: 100, SamePlan: 100, FuelLive: 1000, FuelNext: 1000, P99Live: time.Millisecond, P99Next: time.Millisecond}
	if change != nil {
		change(r)
	}
	n.tell(Event{Kind: Measured, Rollout: n.state.ID, Reading: r})
}

func TestAGoodRollout(t *testing.T) {
	n := newNode(t)
	spec := Spec{Shadow: 10 * time.Minute, Canary: 0.05, CanaryFor: 5 * time.Minute, Settle: time.Minute}
	if refused := n.start("B", spec); refused != "" || n.state.Phase != PhaseShadow {
		t.Fatalf("%s, %s", n.state.Phase, refused)
	}
	n.measure(nil)
	if due := n.state.Due(n.now); !due.Equal(n.now.Add(10 * time.Minute)) {
		t.Errorf("due %v", due)
	}
	n.pass(9 * time.Minute)
	if n.state.Phase != PhaseShadow {
		t.Errorf("it left shadow early: %s", n.state.Phase)
	}
	n.pass(time.Minute)
	n.measure(nil)
	n.pass(5 * time.Minute)
	n.pass(time.Minute)
	if !n.state.Settled || !n.state.Over() || n.state.Active != "B" || n.state.Standby != "A" || n.state.LastGood != "B" {
		t.Errorf("%+v", n.state)
	}
	want := []string{"fetch B", "verify B", "validate B", "prepare B", "shadow B", "canary B", "activate B"}
	if diff := cmp.Diff(n.did, want); diff != "" {
		t.Error(diff)
	}
	var phases []string
	for _, s := range n.state.Trail {
		phases = append(phases, string(s.Phase))
	}
	if diff := cmp.Diff(phases, []string{"pending", "fetched", "verified", "validated", "prepared", "shadow", "canary"}); diff != "" {
		t.Error(diff)
	}
}

func TestWhatGoesBack(t *testing.T) {
	gate, err := ParseGate("load<=2")
	if err != nil {
		t.Fatal(err)
	}
	goal, err := ParseGoal("lower latency within 10%")
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Canary: 0.5, CanaryFor: time.Minute, MaxDivergence: 0.2, MaxFuelRatio: 2, MaxLatency: 5 * time.Millisecond, MaxLatencyRatio: 3,
		MaxFaults: 1, Gates: []Gate{gate}}
	value := func(v float64) *float64 { return &v }
	for _, c := range []struct {
		name  string
		cause Cause
		bad   func(*Reading)
	}{
		{"traps", CauseTrap, func(r *Reading) { r.Traps = 2 }},
		{"limits", CauseLimit, func(r *Reading) { r.Limits = 2 }},
		{"errors", CauseGuest, func(r *Reading) { r.GuestErrors = 2 }},
		{"fuel", CauseFuel, func(r *Reading) { r.FuelNext = 2001 }},
		{"latency", CauseLatency, func(r *Reading) { r.P99Next, r.P99Live = 6*time.Millisecond, 6*time.Millisecond }},
		{"slower than the other", CauseLatency, func(r *Reading) { r.P99Next = 4 * time.Millisecond }},
		{"divergence", CauseDivergence, func(r *Reading) { r.SamePlan = 79 }},
		{"gate", CauseGate, func(r *Reading) { r.Gates = []*float64{value(3)} }},
		{"gate that is infinite", CauseGate, func(r *Reading) { r.Gates = []*float64{value(math.Inf(1))} }},
		{"one fault is allowed", "", func(r *Reading) { r.Traps = 1 }},
		{"divergence within bounds", "", func(r *Reading) { r.SamePlan = 80 }},
		{"gate without data", "", func(r *Reading) { r.Gates = []*float64{nil} }},
		{"gate that is NaN", "", func(r *Reading) { r.Gates = []*float64{value(math.NaN())} }},
		{"too few passes to judge", "", func(r *Reading) { r.Passes, r.Compared, r.FuelNext, r.SamePlan = 1, 1, 9999, 0 }},
	} {
		for _, active := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, active %v", c.name, active), func(t *testing.T) {
				n := newNode(t)
				n.start("B", spec)
				if active {
					n.tell(Event{Kind: Promote, Person: true})
				}
				for range DefaultGateSamples {
					n.measure(c.bad)
				}
				if n.state.Cause != c.cause {
					t.Fatalf("cause %q (%s), want %q", n.state.Cause, n.state.Why, c.cause)
				}
				if c.cause != "" && (n.state.Active != "A" || n.state.Phase != PhaseRetired || n.state.Mark("B").Strikes != 1 || n.state.Why == "") {
					t.Errorf("%+v", n.state)
				}
			})
		}
	}
	t.Run("goal", func(t *testing.T) {
		n := newNode(t)
		n.start("B", Spec{Shadow: time.Minute, Canary: 0.5, Goal: &goal})
		feed := func(v float64) {
			for range MinGoalSamples {
				n.measure(func(r *Reading) { r.Goal = value(v) })
			}
		}
		feed(100)
		n.pass(time.Minute)
		feed(105)
		if n.state.Phase != PhaseCanary {
			t.Fatalf("%s: %s", n.state.Phase, n.state.Why)
		}
		for range 4 {
			feed(140)
		}
		if n.state.Cause != CauseGoal || n.state.Active != "A" {
			t.Errorf("%s, %s", n.state.Phase, n.state.Cause)
		}
	})
}

func TestHoldDownDoublesAndThreeStrikesQuarantine(t *testing.T) {
	n := newNode(t)
	spec := Spec{Canary: 0.5, HoldDown: time.Minute}
	for strike, hold := range []time.Duration{time.Minute, 2 * time.Minute} {
		if refused := n.start("B", spec); refused != "" {
			t.Fatal(refused)
		}
		n.measure(func(r *Reading) { r.Traps = 1 })
		if mark := n.state.Mark("B"); mark.Strikes != strike+1 || !mark.HeldUntil.Equal(n.now.Add(hold)) {
			t.Fatalf("strike %d: %+v", strike, mark)
		}
		n.start("B", spec)
		if n.state.Phase != PhasePending || n.state.HeldUntil().IsZero() {
			t.Fatalf("it was not held: %s", n.state.Phase)
		}
		n.tell(Event{Kind: Fetched, Rollout: n.state.ID})
		if n.state.Phase != PhasePending {
			t.Fatal("bytes ended a hold-down")
		}
		n.pass(hold)
		if n.state.Phase != PhaseCanary {
			t.Fatalf("the hold-down did not end: %s", n.state.Phase)
		}
		n.tell(Event{Kind: Abort, Person: true})
	}
	n.start("B", spec)
	n.measure(func(r *Reading) { r.Traps = 1 })
	if n.state.Phase != PhaseQuarantined {
		t.Fatalf("%s after three strikes", n.state.Phase)
	}
	if refused := n.start("B", spec); refused != "rollout.quarantined" {
		t.Errorf("start of a quarantined version: %q", refused)
	}
	agent := Event{Kind: Start, Start: &Begin{ID: "x", Digest: "B", Active: "A", Force: true}}
	if refused := n.tell(agent); refused != "rollout.quarantined" {
		t.Errorf("an agent forced it: %q", refused)
	}
	if refused := n.tell(Event{Kind: Pardon, Digest: "B"}); refused != "rollout.needs-person" {
		t.Errorf("an agent pardoned it: %q", refused)
	}
	agent.Person = true
	if refused := n.tell(agent); refused != "" {
		t.Errorf("a person could not force it: %q", refused)
	}
}

func TestTheListOfQuarantinedVersionsIsBounded(t *testing.T) {
	n := newNode(t)
	spec := Spec{Canary: 0.5, Strikes: 1}
	for i := range MaxMarks {
		if refused := n.start(fmt.Sprint("B", i), spec); refused != "" {
			t.Fatal(i, refused)
		}
		n.measure(func(r *Reading) { r.Traps = 1 })
	}
	if refused := n.start("C", spec); refused != "rollout.too-many-quarantined" {
		t.Errorf("refused %q", refused)
	}
	n.tell(Event{Kind: Pardon, Digest: "B7", Person: true})
	if refused := n.start("C", spec); refused != "" {
		t.Errorf("refused %q after a pardon", refused)
	}
	for i := range MaxMarks {
		if d := fmt.Sprint("B", i); i != 7 && !n.state.Mark(d).Quarantined {
			t.Errorf("%s is forgotten", d)
		}
	}
}

func TestAPhaseWaitsForDataAndGivesUp(t *testing.T) {
	n := newNode(t)
	n.start("B", Spec{Shadow: time.Minute, Patience: time.Minute})
	n.pass(time.Minute)
	if n.state.Phase != PhaseShadow || !strings.Contains(n.state.Waits(), "passes") {
		t.Fatalf("%s, waits %q", n.state.Phase, n.state.Waits())
	}
	if due := n.state.Due(n.now); !due.Equal(n.now.Add(time.Minute)) {
		t.Errorf("due %v", due)
	}
	n.pass(time.Minute)
	if n.state.Cause != CauseNoData || n.state.Mark("B").Strikes != 0 {
		t.Errorf("%s, %+v", n.state.Cause, n.state.Mark("B"))
	}
}

// TestAGateThatLosesItsDataHoldsNoMore: a candidate that silences what it is judged by does not pass.
func TestAGateThatLosesItsDataHoldsNoMore(t *testing.T) {
	gate, err := ParseGate("load<=2")
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	n.start("B", Spec{Shadow: time.Minute, Patience: time.Minute, Gates: []Gate{gate}})
	one := 1.0
	for range 2 * DefaultGateSamples {
		n.measure(func(r *Reading) { r.Gates = []*float64{&one} })
	}
	n.now = n.now.Add(time.Minute)
	n.measure(func(r *Reading) { r.Gates = []*float64{nil} })
	if n.state.Phase != PhaseShadow || !strings.Contains(n.state.Waits(), "no data any more") {
		t.Fatalf("%s, waits %q", n.state.Phase, n.state.Waits())
	}
	silent := *n
	silent.now = n.now.Add(time.Minute)
	silent.measure(func(r *Reading) { r.Gates = []*float64{nil} })
	if silent.state.Cause != CauseNoData || silent.state.Mark("B").Strikes != 0 {
		t.Errorf("without data: %s, %+v", silent.state.Cause, silent.state.Mark("B"))
	}
	n.measure(func(r *Reading) { r.Gates = []*float64{&one} })
	if n.state.Phase != PhaseActive {
		t.Errorf("with data again: %s, %s", n.state.Phase, n.state.Why)
	}
}

func TestAPauseStopsTheClockAndNotTheGuard(t *testing.T) {
	n := newNode(t)
	n.start("B", Spec{Shadow: time.Minute})
	n.tell(Event{Kind: Pause, Person: true})
	n.measure(nil)
	n.pass(time.Hour)
	n.measure(nil)
	if n.state.Phase != PhaseShadow || !n.state.Due(n.now).IsZero() {
		t.Fatal("it went on")
	}
	n.tell(Event{Kind: Resume, Person: true})
	if !n.state.Ends.Equal(n.now.Add(time.Minute)) {
		t.Errorf("ends %v, now %v", n.state.Ends, n.now)
	}
	n.tell(Event{Kind: Pause, Person: true})
	n.measure(func(r *Reading) { r.Traps = 1 })
	if n.state.Cause != CauseTrap {
		t.Error("a paused version may misbehave")
	}
}

func TestCrashesOnProbationGoBackToTheLastGoodVersion(t *testing.T) {
	n := newNode(t)
	n.start("B", Spec{})
	n.start("C", Spec{}) // B is not settled, so A is what is known to be good
	for range MaxCrashes {
		n.now = n.now.Add(time.Second)
		n.tell(Event{Kind: Restarted})
	}
	if n.state.Active != "A" || n.state.Cause != CauseRestarts {
		t.Errorf("active %s, cause %s", n.state.Active, n.state.Cause)
	}
	n = newNode(t)
	n.start("B", Spec{})
	for range 10 {
		n.now = n.now.Add(time.Second)
		n.tell(Event{Kind: Restarted, Clean: true})
	}
	if n.state.Active != "B" {
		t.Error("restarts in order were counted")
	}
	n = newNode(t)
	n.start("B", Spec{Settle: time.Hour})
	for range 10 {
		n.now = n.now.Add(time.Second)
		n.tell(Event{Kind: Restarted})
		n.now = n.now.Add(2 * time.Hour)
		n.measure(nil)
	}
	if n.state.Active != "B" {
		t.Error("crashes far apart were counted")
	}
}

func TestTheClockMayGoBack(t *testing.T) {
	n := newNode(t)
	n.start("B", Spec{Shadow: time.Minute})
	n.measure(nil)
	n.now = n.now.Add(-365 * 24 * time.Hour)
	n.pass(0)
	if due := n.state.Due(n.now); due.After(n.now.Add(time.Minute)) {
		t.Errorf("it would wait until %v, and now is %v", due, n.now)
	}
	n.pass(time.Minute)
	if n.state.Phase != PhaseActive {
		t.Errorf("%s", n.state.Phase)
	}
}

func TestEventsOfAnEarlierRolloutAreIgnored(t *testing.T) {
	n := newNode(t)
	n.start("B", Spec{Canary: 0.5})
	before := n.state
	for _, kind := range []EventKind{Prepared, Activated, RolledBack, Failed, Measured, Fault} {
		n.tell(Event{Kind: kind, Rollout: "earlier", Reading: &Reading{Traps: 9}})
	}
	if diff := cmp.Diff(n.state, before); diff != "" {
		t.Error(diff)
	}
	if refused := n.tell(Event{Kind: Abort, Rollout: "earlier", Person: true}); refused != "rollout.not-current" {
		t.Errorf("refused %q", refused)
	}
}

func TestPicksFollowsTheShare(t *testing.T) {
	for _, fraction := range []float64{0, 0.05, 0.5, 1} {
		picked, other := 0, 0
		for seq := range uint64(100_000) {
			if Picks("r1", seq, fraction) {
				picked++
				if Picks("r2", seq, fraction) {
					other++
				}
			}
		}
		if got := float64(picked) / 100_000; math.Abs(got-fraction) > 0.005 {
			t.Errorf("%v of the passes, want %v", got, fraction)
		}
		if got := float64(other) / 100_000; math.Abs(got-fraction*fraction) > 0.005 {
			t.Errorf("two rollouts share %v of the passes, want %v", got, fraction*fraction)
		}
	}
}

func TestSpecValidateReportsEverything(t *testing.T) {
	s := Spec{Shadow: -1, Canary: 1.5, MaxDivergence: math.NaN(), MaxFuelRatio: math.Inf(1), Strikes: -1, Gates: []Gate{{}}, Goal: &Goal{}}
	err := s.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"shadow", "canary share", "divergence", "fuel ratio", "strikes", "gate", "goal"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
	if s := (Spec{}).WithDefaults(); s.Validate() != nil || s.Proves() {
		t.Error("the zero spec is not useful")
	}
}

func TestStateReadsBack(t *testing.T) {
	n := newNode(t)
	gate, _ := ParseGate("load<=2")
	n.start("B", Spec{Shadow: time.Minute, Gates: []Gate{gate}})
	load := 1.0
	n.measure(func(r *Reading) { r.Gates = []*float64{&load} })
	text, err := n.state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, n.state); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`{}`, `{"schema":2}`, `{"schema":1,"phase":"flying"}`, `{"schema":1,"pending":"fetch"}`, `{"schema":1,"pending":"roll-back"}`,
		`{"schema":1,"phase":"canary"}`, `{"schema":1,"spec":{"strikes":-1}}`, `{"schema":1,"crashes":-1}`, strings.Repeat(" ", MaxStateBytes+1), `[`} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%.60s was read", bad)
		}
	}
}

// FuzzStep gives any state that Decode lets through any event.
func FuzzStep(f *testing.F) {
	event := func(e Event) []byte { b, _ := json.Marshal(e); return b }
	gate, _ := ParseGate("load<=2")
	s := Adopt("A", "")
	add := func(e Event) {
		e.At = epoch
		b, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, event(e))
		s, _ = s.Step(e)
	}
	add(Event{Kind: Start, Start: &Begin{ID: "r", Digest: "B", Active: "A", Spec: Spec{Shadow: time.Minute, Gates: []Gate{gate}}}})
	for _, kind := range []EventKind{Fetched, Verified, Validated, Prepared} {
		add(Event{Kind: kind, Rollout: "r"})
	}
	add(Event{Kind: Measured, Rollout: "r", Reading: &Reading{Passes: 3}})
	for _, kind := range []EventKind{Pause, Resume, Promote, Activated, Fault, Restarted, RolledBack, Undo, Tick} {
		add(Event{Kind: kind, Person: true})
	}
	f.Fuzz(func(t *testing.T, state, event []byte) {
		s, err := Decode(state)
		var e Event
		if err != nil || len(event) > 1<<16 || json.Unmarshal(event, &e) != nil {
			return
		}
		next, actions := s.Step(e)
		if len(actions) > 4*MaxMarks {
			t.Errorf("%d actions", len(actions))
		}
		for _, a := range actions {
			if a.Kind == "" || len(a.Why) > 2*maxWhy {
				t.Errorf("%+v", a)
			}
		}
		_ = next.Due(e.At)
		text, err := next.Encode()
		if err != nil {
			t.Skip(err) // years that JSON does not know
		}
		if _, err := Decode(text); err != nil && len(text) <= MaxStateBytes {
			t.Errorf("what Step returns does not read back: %v\n%s", err, text)
		}
	})
}
