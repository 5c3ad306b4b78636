package policytest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/wasmabi"
)

// Episode is what one pass of the policy gave.
type Episode struct {
	node *Node

	Act      bool          // whether the verdict asked for a plan
	Why      string        // the verdict's reason
	PlanWhy  string        // the plan's own reason
	Next     time.Duration // 0: the interval holds
	Woken    bool          // whether a bound of the verdict before was crossed
	Settings []Setting
}

// Setting is one row of the plan.
type Setting struct {
	Mechanism, Verb string
	Knob            string // empty: every knob of the mechanism
	Value           float64
	Lease           time.Duration // 0: the host's default
}

// Episode runs one pass on values, and applies its plan to the node's knobs. A policy that fails fails the test.
func (n *Node) Episode(values Values) *Episode {
	n.t.Helper()
	e, err := n.Try(values)
	if err != nil {
		n.t.Fatal(err)
	}
	return e
}

// Try is Episode for policies that are expected to fail: with a *wasmabi.Error that names what went wrong. Then
// nothing is applied and the state stays as it was.
func (n *Node) Try(values Values) (*Episode, error) {
	n.t.Helper()
	init := n.init
	init.Context = n.context
	request, observation := wasmabi.AppendInit(nil, &init), n.observe(values)

	first, err := pass(n.make(), request, observation)
	if err != nil {
		return nil, err
	}
	if second, err := pass(n.make(), request, observation); !n.random && (err != nil || !first.equal(second)) {
		n.t.Errorf("the same episode gave two results, so it depends on more than its inputs (a global variable, " +
			"the order of a map, the clock, random numbers); what has to last belongs into Save and Load")
	}
	return n.accept(first), nil
}

// trace is the bytes of one pass; plan is empty without one.
type trace struct{ analysis, plan, context []byte }

func (t trace) equal(o trace) bool {
	return bytes.Equal(t.analysis, o.analysis) && bytes.Equal(t.plan, o.plan) && bytes.Equal(t.context, o.context)
}

// pass runs one episode in a fresh instance.
func pass(p policy.Policy, init, observation []byte) (t trace, err error) {
	i := policy.NewInstance(p)
	if _, err := call(i, wasmabi.OpInit, init); err != nil {
		return t, fmt.Errorf("initialize: %w", err)
	}
	if t.analysis, err = call(i, wasmabi.OpAnalyze, observation); err != nil {
		return t, fmt.Errorf("analyze: %w", err)
	}
	var a wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(t.analysis, &a); err != nil {
		return t, err
	}
	if a.Plan {
		if t.plan, err = call(i, wasmabi.OpPlan, observation); err != nil {
			return t, fmt.Errorf("plan: %w", err)
		}
	}
	if t.context, err = call(i, wasmabi.OpSnapshot, nil); err != nil {
		return t, fmt.Errorf("save: %w", err)
	}
	return t, nil
}

// call copies the response, and turns a failure into an error.
func call(i *policy.Instance, op wasmabi.Op, request []byte) ([]byte, error) {
	status, response := i.Call(op, request)
	if status == wasmabi.StatusOK {
		return bytes.Clone(response), nil
	}
	e := new(wasmabi.Error)
	if err := wasmabi.DecodeError(response, e); err != nil {
		return nil, fmt.Errorf("%v: status %v", op, status)
	}
	return nil, e
}

// accept does what the host does after a pass.
func (n *Node) accept(t trace) *Episode {
	n.t.Helper()
	var a wasmabi.Analysis
	var p wasmabi.Plan
	must(n, wasmabi.DecodeAnalysis(t.analysis, &a))
	if a.Plan {
		must(n, wasmabi.DecodePlan(t.plan, &p))
	}
	e := &Episode{
		node: n, Act: a.Plan, Why: a.Why, PlanWhy: p.Why, Next: time.Duration(a.NextMS) * time.Millisecond, Woken: n.woken,
	}
	n.context = t.context
	n.keepBounds(&a)
	for i := range p.Knobs {
		e.Settings = append(e.Settings, n.apply(&p, i))
	}
	return e
}

func must(n *Node, err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *Node) keepBounds(a *wasmabi.Analysis) {
	if len(a.BoundIDs) == 0 {
		return
	}
	n.bounds = n.bounds[:0]
	for i, id := range a.BoundIDs {
		n.bounds = append(n.bounds, bound{n.init.Metrics[id].Name, a.Above[i], a.Below[i]})
	}
}

// apply does what the mechanism would: clamp, set, lease, or reset.
func (n *Node) apply(p *wasmabi.Plan, row int) Setting {
	s := Setting{
		Mechanism: n.init.Mechanisms[p.Mechanisms[row]], Verb: wasmabi.VerbNameSet,
		Value: p.Values[row], Lease: time.Duration(p.LeaseMS[row]) * time.Millisecond,
	}
	if p.Verbs[row] == wasmabi.VerbReset {
		s.Verb = wasmabi.VerbNameReset
	}
	for i := range n.knobs {
		info := &n.init.Knobs[i]
		if all := p.Knobs[row] == wasmabi.AllKnobs; info.Mechanism != p.Mechanisms[row] || !all && p.Knobs[row] != uint32(i) {
			continue
		} else if !all {
			s.Knob = info.Name
		}
		n.knobs[i].change(info, s, n.now)
	}
	return s
}

func (k *knob) change(info *wasmabi.KnobInfo, s Setting, now time.Time) {
	if s.Verb == wasmabi.VerbNameReset {
		k.value, k.expires = k.original, time.Time{}
		return
	}
	k.value = s.Value
	if info.Min <= info.Max {
		k.value = min(max(k.value, info.Min), info.Max)
	}
	k.expires = time.Time{} // without For it holds for as long as the policy is in charge
	if s.Lease > 0 {
		k.expires = now.Add(s.Lease)
	}
}

// WantAct fails the test unless a plan was asked for, for a reason that contains the text.
func (e *Episode) WantAct(reason string) {
	e.node.t.Helper()
	e.wantVerdict(true, reason)
}

// WantStay fails the test unless nothing was to be changed, for a reason that contains the text.
func (e *Episode) WantStay(reason string) {
	e.node.t.Helper()
	e.wantVerdict(false, reason)
}

func (e *Episode) wantVerdict(act bool, reason string) {
	e.node.t.Helper()
	if e.Act != act || !strings.Contains(e.Why, reason) {
		e.node.t.Errorf("act is %t because %q; want %t because of %q", e.Act, e.Why, act, reason)
	}
}

// WantSet fails the test unless the plan sets the knob to the value.
func (e *Episode) WantSet(knob string, value float64) {
	e.node.t.Helper()
	for _, s := range e.Settings {
		if s.Knob == knob && s.Verb == wasmabi.VerbNameSet && s.Value == value {
			return
		}
	}
	e.node.t.Errorf("the plan does not set %s to %v: %+v", knob, value, e.Settings)
}

// WantReset fails the test unless the plan resets the whole mechanism.
func (e *Episode) WantReset(mechanism string) {
	e.node.t.Helper()
	for _, s := range e.Settings {
		if s.Mechanism == mechanism && s.Verb == wasmabi.VerbNameReset && s.Knob == "" {
			return
		}
	}
	e.node.t.Errorf("the plan does not reset %s: %+v", mechanism, e.Settings)
}
