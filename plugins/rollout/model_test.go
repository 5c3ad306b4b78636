package rollout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The model is a node that carries actions out and may crash between any two of them. The test walks every state that the node
// and the machine can reach together, with every event in each, and looks at the invariants in all of them.

const unit = time.Minute

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is the node as actions leave it. Crashing loses what runs; the store and its marks stay.
type world struct {
	decides, standby string
	contender        string // digest and how it runs: "B shadow"
	halted           bool
	quarantined      string // digests, sorted
	awaits           ActionKind
	rollout          string // of what it awaits
}

func (w world) do(a Action) world {
	switch a.Kind {
	case Activate:
		w.awaits = Activate
	case RollBack:
		w.decides, w.standby, w.contender, w.halted, w.awaits = a.Digest, a.Standby, "", false, RollBack
	case Decide:
		w.decides, w.standby, w.halted = a.Digest, a.Standby, false
	case Shadow, Canary:
		w.contender = a.Digest + " " + string(a.Kind)
	case Discard:
		w.contender = ""
	case Halt:
		w.decides, w.contender, w.halted, w.awaits = "", "", true, ""
	case Quarantine:
		w.quarantined = with(w.quarantined, a.Digest)
	case Release:
		w.quarantined = strings.ReplaceAll(w.quarantined, a.Digest, "")
	case Fetch, Verify, Validate, Prepare:
		w.awaits = a.Kind
	}
	if w.awaits != "" {
		w.rollout = a.Rollout
	}
	return w
}

func with(set, d string) string {
	if strings.Contains(set, d) {
		return set
	}
	all := strings.Split(set+d, "")
	slices.Sort(all)
	return strings.Join(all, "")
}

func (w world) crash() world {
	w.decides, w.contender, w.awaits, w.rollout = "", "", "", ""
	return w
}

// place is one point of the walk: what is stored, what runs, and what is still to be carried out.
type place struct {
	state State
	world world
	queue []Action
}

func (p *place) key() string {
	s := &p.state
	b := make([]byte, 0, 160)
	text := func(words ...string) {
		for _, w := range words {
			b = append(append(b, w...), ' ')
		}
	}
	flags := func(on ...bool) {
		for _, f := range on {
			b = strconv.AppendBool(b, f)
		}
	}
	number := func(ns ...int) {
		for _, n := range ns {
			b = append(strconv.AppendInt(b, int64(n), 10), ' ')
		}
	}
	text(s.Digest, string(s.Phase), string(s.Passed), s.Active, s.Standby, s.Spare, s.LastGood, string(s.Pending), string(s.Then))
	flags(s.Skip, s.Settled, s.Halted, s.Paused(), s.Pending == RollBack && s.Cause == CauseRestarts, s.Reading != nil)
	number(s.Tries, s.Crashes, rel(s.Ends), rel(s.Up))
	for _, g := range s.GateRuns {
		number(g.Held)
	}
	for _, m := range s.Marks {
		text(m.Digest)
		flags(m.Quarantined)
		number(m.Strikes, rel(m.HeldUntil))
	}
	text("node", p.world.decides, p.world.standby, p.world.contender, p.world.quarantined, string(p.world.awaits), p.world.rollout)
	flags(p.world.halted)
	for _, a := range p.queue {
		text(string(a.Kind), a.Digest, a.Standby)
	}
	return string(b)
}

// rel is a time in units from the epoch, which is always now: see forward.
func rel(t time.Time) int {
	if t.IsZero() {
		return 99
	}
	return int(t.Sub(epoch) / unit)
}

// forward makes now the epoch again and forgets what can't matter any more, so that equal situations are equal states.
func forward(s *State, by time.Duration) {
	s.History, s.Trail, s.Why = nil, nil, ""
	s.Since = epoch
	if s.Paused() { // the time of a pause is given back at its end
		s.Ends, s.PausedAt = shift(s.Ends, epoch.Sub(s.PausedAt)), epoch
		by = 0
	}
	s.Ends = latest(shift(s.Ends, -by), -unit)
	if s.Up = latest(shift(s.Up, -by), -unit); s.Crashes == 0 {
		s.Up = epoch
	}
	if s.Phase == PhaseActive || s.Over() {
		s.Skip, s.Passed = false, PhaseNone
	}
	if s.Over() {
		s.Reading, s.GateRuns = nil, nil
	}
	if s.Reading != nil {
		s.Reading = &Reading{Passes: s.Reading.Passes}
	}
	for i := range s.Marks {
		m := &s.Marks[i]
		m.At, m.Why, m.HeldUntil = time.Time{}, "", latest(shift(m.HeldUntil, -by), 0)
		if m.Quarantined {
			m.HeldUntil, m.Strikes = epoch, 2
		}
	}
	s.Marks = slices.DeleteFunc(s.Marks, func(m Mark) bool { return m.Strikes == 0 && m.HeldUntil.Equal(epoch) })
	slices.SortFunc(s.Marks, func(a, b Mark) int { return strings.Compare(a.Digest, b.Digest) })
	for i := range s.GateRuns {
		s.GateRuns[i].At, s.GateRuns[i].Held = epoch, min(s.GateRuns[i].Held, 1)
	}
}

func shift(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

// latest bounds how far a time is in the past.
func latest(t time.Time, past time.Duration) time.Time {
	if !t.IsZero() && t.Before(epoch.Add(past)) {
		return epoch.Add(past)
	}
	return t
}

func carefully(t testing.TB) Spec {
	gate, err := ParseGate("app.latency_p99<=50ms")
	if err != nil {
		t.Fatal(err)
	}
	gate.Samples = 1
	s := plainly()
	s.Strikes, s.Shadow, s.Canary, s.CanaryFor, s.Gates = 1, unit, 0.1, unit, []Gate{gate}
	return s
}

func plainly() Spec {
	return Spec{Settle: unit, Patience: unit, Passes: 1, HoldDown: unit, Strikes: 2}
}

func strictly() Spec {
	s := plainly()
	s.Strikes = 1
	return s
}

// move is an event with the time that passes before it. Automatic ones happen without people and without crashes.
type move struct {
	event     Event
	after     time.Duration
	automatic bool
}

// moves lists what may happen at a place. A lean walk leaves out what the others show: failures without blame, pauses, agents'
// starts, and measurements.
func (w *walk) moves(p *place) (all []move) {
	s := &p.state
	auto := func(e Event, after time.Duration) {
		e.Rollout = s.ID
		all = append(all, move{e, after, true})
	}
	answers := map[ActionKind]EventKind{Fetch: Fetched, Verify: Verified, Validate: Validated, Prepare: Prepared, Activate: Activated, RollBack: RolledBack}
	if w := p.world; w.awaits != "" {
		all = append(all,
			move{Event{Kind: answers[w.awaits], Rollout: w.rollout}, 0, true},
			move{Event{Kind: Failed, Rollout: w.rollout, Cause: map[bool]Cause{true: CauseMigrate}[w.awaits == Activate]}, 0, true})
	}
	auto(Event{Kind: Tick}, unit)
	if w.lean {
		all = slices.DeleteFunc(all, func(m move) bool { return m.event.Kind == Failed && m.event.Cause == "" && p.world.awaits != RollBack })
		auto(Event{Kind: Fault, Digest: s.Active}, 0)
		return append(all, w.people(s, Abort, Undo)...)
	}
	good, bad := 0.01, 9.0
	auto(Event{Kind: Measured, Reading: &Reading{Passes: 5, Compared: 5, SamePlan: 5, Gates: []*float64{&good}}}, 0)
	auto(Event{Kind: Measured, Reading: &Reading{Passes: 5, Gates: []*float64{&bad}}}, 0)
	auto(Event{Kind: Measured, Reading: &Reading{Passes: 1, Traps: 1}}, 0)
	for _, d := range []string{s.Active, s.Digest} {
		auto(Event{Kind: Fault, Digest: d}, 0)
		auto(Event{Kind: Fault, Digest: d, Cause: CausePrepare}, 0)
	}
	all = append(all, move{Event{Kind: Restarted, Clean: true}, 0, false})
	return append(all, w.people(s, Pause, Resume, Promote, Abort, Undo)...)
}

// people lists what people may ask for, and what an agent may that delivers versions.
func (w *walk) people(s *State, verbs ...EventKind) (all []move) {
	ask := func(e Event) { all = append(all, move{e, 0, false}) }
	for _, kind := range verbs {
		ask(Event{Kind: kind, Person: true})
	}
	for _, d := range w.digests {
		for _, spec := range w.specs {
			b := Begin{ID: "r" + d, Digest: d, Active: s.Active, Standby: s.Standby, Spec: spec}
			forced := b
			forced.Force, forced.Supersede = true, true
			ask(Event{Kind: Start, Start: &forced, Person: true})
			if !w.lean {
				ask(Event{Kind: Start, Start: &b})
				ask(Event{Kind: Pardon, Digest: d, Person: true})
			}
		}
	}
	return all
}

// walk is the search: places by key, and the automatic moves between them, backwards.
type walk struct {
	t       *testing.T
	digests []string
	specs   []Spec
	lean    bool
	seen    map[string]int
	places  []place
	from    [][]int32
	how     []string // the event that led there first, and from where
	parent  []int
}

func (w *walk) add(p place, parent int, how string, automatic bool) {
	key := p.key()
	i, known := w.seen[key]
	if !known {
		i = len(w.places)
		w.seen[key] = i
		w.places, w.from, w.how, w.parent = append(w.places, p), append(w.from, nil), append(w.how, how), append(w.parent, parent)
	}
	if automatic && parent >= 0 {
		w.from[i] = append(w.from[i], int32(parent))
	}
}

func (w *walk) path(i int) string {
	var steps []string
	for ; i >= 0; i = w.parent[i] {
		p := &w.places[i]
		steps = append(steps, fmt.Sprintf("%-28s -> %s of %q, pending %q then %q, active %q standby %q spare %q good %q, world %+v, queue %v", w.how[i], p.state.Phase, p.state.Digest,
			p.state.Pending, p.state.Then, p.state.Active, p.state.Standby, p.state.Spare, p.state.LastGood, p.world, kinds(p.queue)))
	}
	slices.Reverse(steps)
	return strings.Join(steps, "\n")
}

func kinds(actions []Action) (names []string) {
	for _, a := range actions {
		names = append(names, string(a.Kind)+" "+a.Digest)
	}
	return names
}

func (w *walk) run(start State, initial world) {
	w.seen = map[string]int{}
	w.add(place{state: start, world: initial}, -1, "start", false)
	for i := 0; i < len(w.places); i++ {
		if i > 1_500_000 {
			w.t.Fatal("the model does not come to an end")
		}
		w.visit(i)
		if w.t.Failed() {
			w.t.Fatalf("after\n%s", w.path(i))
		}
	}
}

func (w *walk) visit(i int) {
	p := w.places[i]
	// The process may die at any point: between two actions, or between what was stored and the first of them.
	w.step(i, p.state, p.world.crash(), move{event: Event{Kind: Restarted}})
	if len(p.queue) > 0 {
		a := p.queue[0]
		w.checkAction(&p, a)
		after := p.world.do(a)
		if again := after.do(a); again != after {
			w.t.Errorf("%s done twice is not as once: %+v, %+v", a.Kind, again, after)
		}
		w.add(place{p.state, after, p.queue[1:]}, i, "do "+string(a.Kind)+" "+a.Digest, true)
		return
	}
	w.checkPlace(&p)
	for _, m := range w.moves(&p) {
		w.step(i, p.state, p.world, m)
	}
}

func (w *walk) step(i int, s State, node world, m move) {
	m.event.At = epoch.Add(m.after)
	next, actions := s.Step(m.event)
	if len(actions) == 1 && actions[0].Kind == Refuse {
		if !m.event.Kind.fromPerson() {
			w.t.Errorf("%s was refused: nobody asked", m.event.Kind)
		}
		return
	}
	if m.event.Kind == Start && w.lean && next.Phase == PhasePending && next.Ends.IsZero() {
		for _, kind := range []EventKind{Fetched, Verified, Validated} {
			next, actions = next.Step(Event{Kind: kind, At: m.event.At, Rollout: next.ID})
		}
	}
	forward(&next, m.after)
	switch m.event.Kind { // what the node itself brings about
	case Activated:
		if node.awaits == Activate && node.rollout == m.event.Rollout {
			node.decides, node.standby, node.halted, node.contender = s.Digest, next.Standby, false, ""
		}
		node.awaits = ""
	case Restarted:
		node = node.crash()
	case Fetched, Verified, Validated, Prepared, RolledBack, Failed:
		node.awaits = ""
	}
	if node.awaits == "" {
		node.rollout = ""
	}
	w.add(place{next, node, actions}, i, string(m.event.Kind)+" "+m.event.Digest, m.automatic)
}

// checkAction looks at what is about to be carried out.
func (w *walk) checkAction(p *place, a Action) {
	s := &p.state
	switch a.Kind {
	case Activate, RollBack, Decide:
		if a.Digest == "" {
			w.t.Errorf("%s of nothing", a.Kind)
		}
		if s.Mark(a.Digest).Quarantined {
			w.t.Errorf("%s of %s, which is quarantined", a.Kind, a.Digest)
		}
		if a.Standby == a.Digest {
			w.t.Errorf("%s: %s would be its own standby", a.Kind, a.Digest)
		}
	case Retire:
		if slices.Contains(s.Keeps(), a.Digest) && (a.Digest == s.Active || a.Digest == s.Standby) {
			w.t.Errorf("%s is retired and needed", a.Digest)
		}
	}
}

// checkPlace looks at the node when all is carried out.
func (w *walk) checkPlace(p *place) {
	s, n := &p.state, p.world
	switch {
	case s.Pending == RollBack: // the version before decides already, unless it could not
	case s.Active == "":
		if n.decides != "" {
			w.t.Errorf("%s decides, nothing should", n.decides)
		}
	case n.decides != s.Active:
		w.t.Errorf("%q decides, not %q", n.decides, s.Active)
	case n.standby != s.Standby:
		w.t.Errorf("%q is the standby, not %q", n.standby, s.Standby)
	}
	if s.Halted != n.halted && s.Pending != RollBack {
		w.t.Errorf("halted %v, on the node %v", s.Halted, n.halted)
	}
	if s.Active == "" && !s.Halted && s.LastGood != "" {
		w.t.Error("nothing is in charge, and nobody said so")
	}
	want := ""
	if s.proving() && s.Pending != RollBack {
		want = s.Digest + " " + string(s.Phase)
	}
	if n.contender != want {
		w.t.Errorf("%q runs beside, want %q", n.contender, want)
	}
	for _, m := range s.Marks {
		if m.Quarantined && !strings.Contains(n.quarantined, m.Digest) {
			w.t.Errorf("%s is quarantined, the store does not know", m.Digest)
		}
	}
	if s.Active != "" && s.Mark(s.Active).Quarantined && s.Pending == "" {
		w.t.Errorf("%s decides and is quarantined", s.Active)
	}
	for _, needed := range []string{s.Active, s.Standby} {
		if needed != "" && !slices.Contains(s.Keeps(), needed) {
			w.t.Errorf("%s is not kept", needed)
		}
	}
	if s.Phase == PhaseActive && !s.Settled && s.Standby == "" && s.Spare != "" {
		w.t.Error("no standby though there is a spare")
	}
	if (s.Pending != "") != (n.awaits == Activate || n.awaits == RollBack) {
		w.t.Errorf("pending %q, the node is at %q", s.Pending, n.awaits)
	}
	if b, err := s.Encode(); err != nil {
		w.t.Error(err)
	} else if len(b) > MaxStateBytes {
		w.t.Errorf("%d bytes", len(b))
	}
}

// checkExits makes sure that from everywhere there is a way to an end, without people unless somebody paused it, and that at
// every end a person can begin again.
func (w *walk) checkExits() {
	exits := make([]bool, len(w.places))
	var queue []int
	for i := range w.places {
		p := &w.places[i]
		paused := p.state.Paused() && p.state.Pending == ""
		if len(p.queue) == 0 && (p.state.Over() || paused) {
			exits[i] = true
			queue = append(queue, i)
		}
		if len(p.queue) == 0 && paused {
			w.mustLead(i, Resume)
		}
		if len(p.queue) == 0 && p.state.Over() {
			w.mustStart(i)
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, before := range w.from[i] {
			if !exits[before] {
				exits[before] = true
				queue = append(queue, int(before))
			}
		}
	}
	for i, ok := range exits {
		if !ok {
			w.t.Fatalf("no way out after\n%s", w.path(i))
		}
	}
}

func (w *walk) mustLead(i int, kind EventKind) {
	if _, actions := w.places[i].state.Step(Event{Kind: kind, At: epoch, Person: true}); len(actions) > 0 && actions[0].Kind == Refuse {
		w.t.Fatalf("%s is refused: %s, after\n%s", kind, actions[0].Why, w.path(i))
	}
}

func (w *walk) mustStart(i int) {
	s := &w.places[i].state
	for _, d := range w.digests {
		if d == s.Active {
			continue
		}
		b := &Begin{ID: "n", Digest: d, Active: s.Active, Standby: s.Standby, Force: true}
		if _, actions := s.Step(Event{Kind: Start, At: epoch, Person: true, Start: b}); actions[0].Kind == Refuse {
			w.t.Fatalf("start of %s is refused: %s, after\n%s", d, actions[0].Why, w.path(i))
		}
	}
}

func TestEveryReachableStateIsSound(t *testing.T) {
	cases := []struct {
		name    string
		start   State
		digests []string
		specs   []Spec
		lean    bool
	}{
		{"a careful rollout beside a live version", Adopt("A", ""), []string{"A", "B"}, []Spec{carefully(t)}, false},
		{"three versions, activated at once", Adopt("A", ""), []string{"A", "B", "C"}, []Spec{strictly()}, true},
		{"the first version", State{}, []string{"B"}, []Spec{carefully(t), plainly()}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.start.Active != "" {
				t.Skip("it walks some hundred thousand places, which takes half a minute")
			}
			t.Parallel()
			w := &walk{t: t, digests: c.digests, specs: c.specs, lean: c.lean}
			c.start.Spec = c.specs[0]
			w.run(c.start, world{decides: c.start.Active})
			w.checkExits()
			t.Logf("%d places", len(w.places))
		})
	}
}
