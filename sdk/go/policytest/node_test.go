package policytest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/wasmabi"
)

// counter acts above 1 and counts how often.
type counter struct {
	load  policy.Metric
	knob  policy.Knob
	fan   policy.Mechanism
	count int64
	fail  error
}

func (c *counter) Initialize(s *policy.Setup) error {
	c.load, c.knob, c.fan = s.Metric("load"), s.Knob("CPU", "speed"), s.Mechanism("CPU")
	return nil
}

func (c *counter) Analyze(o *policy.Observation) policy.Verdict {
	load, _ := o.Value(c.load)
	if load > 1 {
		c.count++
		return policy.Act("load ", load).WakeBelow(c.load, 1)
	}
	return policy.Stay("calm").WakeAbove(c.load, 1).Next(time.Second)
}

func (c *counter) Plan(o *policy.Observation, p *policy.Plan) error {
	if load, _ := o.Value(c.load); load > 5 {
		p.Reset(c.fan)
	} else {
		p.Set(c.knob, 99*load).For(10 * time.Second)
	}
	return c.fail
}

func (c *counter) Save(s *policy.State) { s.PutInt("count", c.count) }
func (c *counter) Load(s *policy.State) { c.count = s.Int("count") }

func counterNode(t testing.TB, make func() policy.Policy) *Node {
	n := New(t, make)
	n.Metric("load")
	n.Knob("CPU", "speed", Range(10, 200, "Hz"))
	return n
}

func TestNodeDoesWhatTheHostDoes(t *testing.T) {
	n := counterNode(t, func() policy.Policy { return &counter{} })
	e := n.Episode(Values{"load": 0.5})
	e.WantStay("calm")
	if e.Next != time.Second || e.Woken {
		t.Errorf("got %+v", e)
	}

	e = n.Episode(Values{"load": 2})
	e.WantAct("load 2")
	e.WantSet("speed", 198)
	if !e.Woken || n.KnobValue("speed") != 198 {
		t.Errorf("got %+v and %v", e, n.KnobValue("speed"))
	}

	n.Advance(9 * time.Second)
	n.Episode(Values{"load": 4})
	if got := n.KnobValue("speed"); got != 200 {
		t.Errorf("clamped to %v", got)
	}
	n.Advance(9 * time.Second)
	if got := n.KnobValue("speed"); got != 200 {
		t.Errorf("the lease was not renewed: %v", got)
	}
	n.Advance(time.Second)
	if got := n.KnobValue("speed"); got != 10 {
		t.Errorf("the lease did not end: %v", got)
	}

	n.Episode(Values{"load": 3})
	n.Episode(Values{"load": 6}).WantReset("CPU")
	if got := n.KnobValue("speed"); got != 10 {
		t.Errorf("reset to %v", got)
	}
	if got := n.State(); len(got) != 1 || got[0].Int != 4 {
		t.Errorf("state %+v", got)
	}
}

func TestFailingPlanChangesNothing(t *testing.T) {
	n := counterNode(t, func() policy.Policy { return &counter{fail: errors.New("no")} })
	_, err := n.Try(Values{"load": 2})
	var e *wasmabi.Error
	if !errors.As(err, &e) || e.Code != "policy.failed" {
		t.Errorf("got %v", err)
	}
	if n.KnobValue("speed") != 10 || len(n.Context()) != 0 {
		t.Error("something was kept")
	}
}

// recorder is a testing.TB that keeps the failures.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

var global int64

// leaky keeps its count where it does not last.
type leaky struct{ counter }

func (l *leaky) Analyze(o *policy.Observation) policy.Verdict {
	global++
	return policy.Stay("seen ", global)
}

func TestMistakesFailTheTest(t *testing.T) {
	tests := []struct {
		name, want string
		run        func(*Node)
	}{
		{"global variable", "depends on more than its inputs", func(n *Node) {
			n.make = func() policy.Policy { return &leaky{} }
			n.Episode(Values{"load": 1})
		}},
		{"undeclared metric", "does not declare", func(n *Node) { n.Episode(Values{"laod": 1}) }},
		{"undeclared knob", "declares no knob x", func(n *Node) { n.KnobValue("x") }},
		{"wrong verdict", `act is false because "calm"; want true`, func(n *Node) { n.Episode(Values{}).WantAct("") }},
		{"wrong reason", `want false because of "busy"`, func(n *Node) { n.Episode(Values{}).WantStay("busy") }},
		{"wrong value", "does not set speed to 1", func(n *Node) { n.Episode(Values{"load": 2}).WantSet("speed", 1) }},
		{"no reset", "does not reset CPU", func(n *Node) { n.Episode(Values{"load": 2}).WantReset("CPU") }},
		{"failing policy", "plan: no (policy.failed)", func(n *Node) {
			n.make = func() policy.Policy { return &counter{fail: errors.New("no")} }
			n.Episode(Values{"load": 2})
		}},
		{"swap without migration", "has no Migrate", func(n *Node) {
			n.Episode(Values{"load": 2})
			n.Replace(n.make, 2)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			n := counterNode(r, func() policy.Policy { return &counter{} })
			func() {
				defer func() {
					if v := recover(); v != nil && v != any(r) {
						panic(v)
					}
				}()
				tt.run(n)
			}()
			if len(r.failures) != 1 || !strings.Contains(r.failures[0], tt.want) {
				t.Errorf("got %q, want one with %q", r.failures, tt.want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	n := New(t, nil)
	n.Knob("M", "table", Table("Hz", 5, 1, 9))
	n.Knob("M", "choice", Choice("a", "b"))
	if n.KnobValue("table") != 1 || n.KnobValue("choice") != 0 {
		t.Errorf("start at %v and %v", n.KnobValue("table"), n.KnobValue("choice"))
	}
	n.SetKnob("table", 5)
	n.Advance(time.Hour)
	if n.KnobValue("table") != 5 {
		t.Error("a knob that a person sets has no lease")
	}
	n.Asset("application", "shop")
	if n.Time().IsZero() {
		t.Error("no clock")
	}
}
