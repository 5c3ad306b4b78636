package mechanisms

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The model of the supervisor: per owner what is held, by when it ends. It is written for clarity, with none of the
// supervisor's machinery, and the two must agree after every step.

// held is one owner's hold on one knob.
type held struct {
	owner    string
	priority int
	order    int
	value    Value
	deadline time.Duration
}

type model struct {
	baseline map[string]Value
	holds    map[string][]held // by knob
	order    int
}

func (m *model) top(knob string) *held {
	var best *held
	for i := range m.holds[knob] {
		h := &m.holds[knob][i]
		if best == nil || h.priority > best.priority || (h.priority == best.priority && h.order < best.order) {
			best = h
		}
	}
	return best
}

func (m *model) admits(c Command) bool {
	for _, st := range c.Settings {
		if slices.ContainsFunc(m.holds[st.Knob], func(h held) bool { return h.owner != c.Owner && h.priority >= c.Priority }) {
			return false
		}
	}
	return true
}

func (m *model) set(c Command, now time.Duration) {
	m.order++
	for _, st := range c.Settings {
		m.release(c.Owner, st.Knob)
		m.holds[st.Knob] = append(m.holds[st.Knob], held{c.Owner, c.Priority, m.order, st.Value, now + c.Lease})
	}
}

func (m *model) release(owner, knob string) {
	m.holds[knob] = slices.DeleteFunc(m.holds[knob], func(h held) bool { return h.owner == owner })
}

func (m *model) expire(now time.Duration) {
	for knob := range m.holds {
		m.holds[knob] = slices.DeleteFunc(m.holds[knob], func(h held) bool { return h.deadline <= now })
	}
}

func (m *model) want(knob string) Value {
	if h := m.top(knob); h != nil {
		return h.value
	}
	return m.baseline[knob]
}

// world is the system under test beside its model.
type world struct {
	*bench
	model model
}

func newWorld(t *testing.T, rt *rapid.T) *world {
	b := &bench{rack: newRack(), clock: &hand{up: time.Hour}}
	b.cfg = Config{Dir: t.TempDir(), BootID: "boot-1", Clock: b.clock, LockPatience: time.Millisecond, AuditBytes: 8 << 10,
		Envelope: Envelope{Rules: []Rule{{Knob: "*", Min: ptr(10), Max: ptr(90)}}}}
	b.start(rt)
	return &world{bench: b, model: model{baseline: b.rack.snapshot(), holds: map[string][]held{}}}
}

func drawCommand(rt *rapid.T) Command {
	owner := rapid.SampledFrom([]string{"p", "q", "r"}).Draw(rt, "owner")
	c := Command{Mechanism: "Rack", Verb: Set, Owner: owner, Priority: rapid.IntRange(0, 2).Draw(rt, "priority"),
		Lease: time.Duration(rapid.IntRange(1, 60).Draw(rt, "seconds")) * time.Second}
	for _, knob := range rapid.SliceOfNDistinct(rapid.SampledFrom(dials), 1, 3, rapid.ID[string]).Draw(rt, "knobs") {
		c.Settings = append(c.Settings, Setting{knob, Number(float64(10 * rapid.IntRange(1, 9).Draw(rt, "value")))})
	}
	return c
}

// TestSupervisorAgreesWithModel is about what leases mean: nothing fails but the process itself.
func TestSupervisorAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt)
		defer func() { w.Abandon() }()
		ctx := context.Background()
		rt.Repeat(map[string]func(*rapid.T){
			"set": func(rt *rapid.T) {
				c := drawCommand(rt)
				r, err := w.Apply(ctx, c)
				if admitted := w.model.admits(c); admitted != (err == nil) {
					rt.Fatalf("%+v: got %+v, %v; the model says %v", c, r, err, admitted)
				} else if admitted {
					w.model.set(c, w.clock.Uptime())
				}
			},
			"reset": func(rt *rapid.T) {
				owner := rapid.SampledFrom([]string{"p", "q", "r"}).Draw(rt, "owner")
				if _, err := w.Apply(ctx, Command{Mechanism: "Rack", Verb: Reset, Owner: owner}); err != nil {
					rt.Fatalf("reset: %v", err)
				}
				for _, knob := range dials {
					w.model.release(owner, knob)
				}
			},
			"time passes": func(rt *rapid.T) {
				w.clock.move(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
				w.Expire(ctx)
				w.model.expire(w.clock.Uptime())
			},
			"crash": func(rt *rapid.T) { w.restart(rt) },
			"": func(rt *rapid.T) {
				for _, knob := range dials {
					w.bench.want(rt, knob, w.model.want(knob))
				}
			},
		})
		w.RevertAll(ctx, "end")
		if got := w.rack.snapshot(); !maps.Equal(got, w.model.baseline) || w.Outstanding() != 0 {
			rt.Fatalf("at the end %v, %d outstanding, want %v", got, w.Outstanding(), w.model.baseline)
		}
	})
}

// TestNothingIsLostWhateverFails lets the hardware fail in every way as well. What must hold then is less, and is the
// promise itself: values stay within the envelope, and when the hardware is well again everything goes back.
func TestNothingIsLostWhateverFails(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt)
		defer func() { w.Abandon() }()
		ctx := context.Background()
		knob := func(rt *rapid.T) string { return rapid.SampledFrom(dials).Draw(rt, "knob") }
		rt.Repeat(map[string]func(*rapid.T){
			"set": func(rt *rapid.T) {
				c := drawCommand(rt)
				c.Settings[0].Value = Number(rapid.Float64Range(-50, 200).Draw(rt, "wild value"))
				r, err := w.Apply(ctx, c)
				if failed := r.Outcome == Refused || r.Outcome == Undone || r.Outcome == PartlyUndone; failed != (err != nil) {
					rt.Fatalf("outcome %s comes with error %v", r.Outcome, err)
				}
			},
			"time passes": func(rt *rapid.T) {
				w.clock.move(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
				w.Expire(ctx)
			},
			"unplug": func(rt *rapid.T) { k := knob(rt); w.rack.offline[k] = !w.rack.offline[k] },
			"break": func(rt *rapid.T) {
				k := knob(rt)
				if w.rack.broken[k] == nil {
					w.rack.broken[k] = errors.New("sparks")
				} else {
					w.rack.broken[k] = nil
				}
			},
			"crash":          func(rt *rapid.T) { w.restart(rt) },
			"crash midway":   func(rt *rapid.T) { w.crashMidway(rt, drawCommand(rt)) },
			"guard looks in": func(rt *rapid.T) { w.guardLooksIn(rt) },
			"": func(rt *rapid.T) {
				for _, k := range dials {
					if v := w.rack.snapshot()[k].Number; v < 10 || v > 90 {
						rt.Fatalf("%s at %v, outside the envelope", k, v)
					}
				}
			},
		})
		clear(w.rack.offline)
		clear(w.rack.broken)
		w.RevertAll(ctx, "end")
		w.Expire(ctx)
		if got := w.rack.snapshot(); !maps.Equal(got, w.model.baseline) || w.Outstanding() != 0 {
			rt.Fatalf("at the end %v, %d outstanding, want %v", got, w.Outstanding(), w.model.baseline)
		}
		if _, err := VerifyAudit(w.cfg.Dir, nil); err != nil {
			rt.Fatalf("audit: %v", err)
		}
	})
}

// crash is what a probe panics with in place of a SIGKILL.
type crash struct{ at string }

// crashMidway lets the process die at a point within a command, and starts another.
func (w *world) crashMidway(rt *rapid.T, c Command) {
	after := rapid.IntRange(1, 20).Draw(rt, "points")
	func() {
		defer func() {
			if p := recover(); p != nil {
				if _, ours := p.(crash); !ours {
					panic(p)
				}
			}
		}()
		w.OnProbe(func(at string) {
			if after--; after == 0 {
				panic(crash{at})
			}
		})
		w.Apply(context.Background(), c)
	}()
	w.restart(rt)
}

// guardLooksIn lets the guard act beside a live supervisor, then the supervisor catches up.
func (w *world) guardLooksIn(rt *rapid.T) {
	w.clock.move(time.Duration(rapid.IntRange(0, 40).Draw(rt, "seconds")) * time.Second)
	if _, err := Overdue(context.Background(), w.cfg, time.Second, func(Lease) bool { return false }, w.rack); err != nil {
		rt.Fatalf("overdue: %v", err)
	}
	w.Expire(context.Background())
}
