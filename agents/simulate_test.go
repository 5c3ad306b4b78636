package agents

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// step is something that happens to an engine.
type step struct {
	Do     string
	Policy int
	After  time.Duration
}

var doings = []string{"cross", "trigger", "replace", "unbind", "bind", "ml", "heuristic", "trap", "mend", "refuse", "obey", "log fails", "log works"}

func drawSteps(t *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Do: rapid.SampledFrom(doings).Draw(t, "do"), Policy: rapid.IntRange(0, 2).Draw(t, "policy"),
			After: time.Duration(rapid.IntRange(0, 3_000).Draw(t, "ms")) * time.Millisecond,
		}
	}), 1, 40).Draw(t, "steps")
}

// simulation is an engine with three policies that want the same knob, in a
// world where anything may fail at any time.
type simulation struct {
	*world
	e        *Engine
	traps    atomic.Bool
	refuses  atomic.Bool
	logFails atomic.Bool

	mu      sync.Mutex
	running map[Key]int
	wrong   []string
}

func (s *simulation) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

func (s *simulation) enter(k Key, n int) {
	s.mu.Lock()
	s.running[k] += n
	many := s.running[k] > 1
	s.mu.Unlock()
	if many {
		s.complain("two episodes of %s at once", k)
	}
}

func (s *simulation) binding(n int) Binding {
	p := always(set("cpu", "max", float64(n)), set("cpu", fmt.Sprint("own", n), 1))
	plan := p.plan
	p.plan = func(in Input) (Plan, error) {
		s.enter(in.Key, 1)
		defer s.enter(in.Key, -1)
		time.Sleep(time.Millisecond)
		if s.traps.Load() {
			return Plan{}, errTrap
		}
		return plan(in)
	}
	b := binding(fmt.Sprint("p", n), p)
	b.Interval = time.Duration(n) * 400 * time.Millisecond // the first only when woken
	b.Bounds = []Bound{{Metric: "load", Above: 1}}
	b.UsesML = n == 2
	return b
}

func (s *simulation) take(ctx context.Context, x step) {
	k := Key{fmt.Sprint("p", x.Policy), Node}
	switch x.Do {
	case "cross":
		s.cross(k, 2)
	case "trigger":
		_, _ = s.e.Trigger(ctx, k, "me") // errors are part of the game: it may be unbound or off
	case "replace":
		_ = s.e.Replace(ctx, s.binding(x.Policy))
	case "bind":
		_ = s.e.Bind(ctx, s.binding(x.Policy))
	case "unbind":
		if s.e.Unbind(ctx, k) == nil {
			s.checkReleased(k)
		}
	case "ml", "heuristic":
		if err := s.e.SetMode(ctx, Mode(x.Do)); err != nil {
			s.complain("%v", err)
		}
	case "trap", "mend":
		s.traps.Store(x.Do == "trap")
	case "refuse", "obey":
		s.refuses.Store(x.Do == "refuse")
	case "log fails", "log works":
		s.logFails.Store(x.Do == "log fails")
	}
}

// checkReleased finds that the last thing done in a policy's name was to
// release.
func (s *simulation) checkReleased(k Key) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	last := -1
	for i, c := range s.world.applied {
		if c.Owner == k {
			last = i
		}
	}
	if last < 0 {
		return
	}
	for _, at := range s.world.releasedAt[k] {
		if at > last {
			return
		}
	}
	s.complain("%s is unbound and holds its knobs", k)
}

func (s *simulation) check() {
	begun := make(map[string]bool)
	for _, ev := range s.events {
		what, id, _ := strings.Cut(ev, " ")
		id = id[strings.LastIndex(id, " ")+1:]
		switch what {
		case "begin":
			begun[id] = true
		case "apply", "finish":
			if !begun[id] {
				s.complain("%s without begin", ev)
			}
		}
	}
	if len(s.finished) != len(s.begun) {
		s.complain("%d decisions were begun, %d finished", len(s.begun), len(s.finished))
	}
	for _, d := range append(s.finished, s.noted...) {
		if d.Outcome == Open || len(d.TraceID) != 32 || d.ID == "" {
			s.complain("decision left as %+v", d)
		}
	}
}

func TestSimulation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := drawSteps(rt)
		s := &simulation{world: newWorld(), running: make(map[Key]int)}
		synctest.Test(t, func(t *testing.T) {
			s.world.apply = func(c Command) Result {
				time.Sleep(time.Millisecond)
				if s.refuses.Load() {
					return Result{Effect: Refused, Message: "no"}
				}
				return Result{Effect: Applied, Lease: LeaseID(c.Owner.Policy)}
			}
			s.world.begin = func() error {
				if s.logFails.Load() {
					return errTrap
				}
				return nil
			}
			var stop func()
			s.e, stop = start(t, s.config(), s.binding(0), s.binding(1), s.binding(2))
			var busy sync.WaitGroup
			for _, x := range steps {
				time.Sleep(x.After)
				busy.Go(func() { s.take(t.Context(), x) })
			}
			busy.Wait()
			stop()
		})
		s.check()
		if len(s.wrong) > 0 {
			rt.Fatalf("%s", strings.Join(s.wrong, "\n"))
		}
	})
}
