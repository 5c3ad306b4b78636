package record

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// Comparison is what two versions of a policy make of the same observation.
type Comparison struct {
	Recorded, Other Decision
	Changes         []Change // settings that differ, in order of mechanism and knob
}

// Same reports whether both would do the same.
func (c *Comparison) Same() bool {
	return c.Recorded.Err == "" && c.Other.Err == "" && len(c.Changes) == 0
}

// Decision is what one version decided.
type Decision struct {
	Module   string // digest
	Analysis *wasmabi.Analysis
	Plan     *wasmabi.Plan // nil: it saw no reason to plan
	Fuel     uint64        // of all calls
	Err      string        // code of the error that ended the episode
}

// Change is one setting that differs. A value that a version does not set is NaN; a reset is minus infinity.
type Change struct {
	Mechanism, Knob uint32
	Recorded, Other float64
}

// Counterfactual gives the episode's inputs to another module and compares the plans. Nothing acts on them.
func Counterfactual(ctx context.Context, other *host.Module, e *Episode) (*Comparison, error) {
	const attempt = "compare episode with another module"
	if err := e.replayable(attempt); err != nil {
		return nil, err
	}
	if err := sameInputs(attempt, other, e); err != nil {
		return nil, err
	}
	recorded := e.Decision()
	decided, err := decide(ctx, other, e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", attempt, err)
	}
	return &Comparison{recorded, decided, changes(recorded.Plan, decided.Plan)}, nil
}

// sameInputs refuses a module that would read the recorded numbers as something else.
func sameInputs(attempt string, m *host.Module, e *Episode) error {
	init := e.find(wasmabi.OpInit)
	if init == nil {
		return nil
	}
	var recorded wasmabi.Init
	if err := wasmabi.DecodeInit(init.Request, &recorded); err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	var then, now []string
	for _, metric := range recorded.Metrics {
		then = append(then, metric.Name)
	}
	for _, metric := range m.Manifest().Metrics {
		now = append(now, metric.Name)
	}
	if slices.Equal(then, now) {
		return nil
	}
	return &Error{Attempt: attempt, Code: "record.other-inputs",
		Why:  fmt.Sprintf("it asks for metrics %q, the episode has %q", now, then),
		Hint: "compare versions that ask for the same metrics in the same order"}
}

func (e *Episode) find(op wasmabi.Op) *Call {
	for n := range e.Calls {
		if e.Calls[n].Op == op {
			return &e.Calls[n]
		}
	}
	return nil
}

// Decision reads what the recorded version decided. It runs nothing.
func (e *Episode) Decision() Decision {
	d := Decision{Module: e.Module}
	for n := range e.Calls {
		c := &e.Calls[n]
		d.Fuel += c.Fuel
		if c.Error != "" {
			d.Err = c.Error
			continue
		}
		if err := d.read(c.Op, c.Response); err != nil {
			d.Err = codeOf(err)
		}
	}
	return d
}

// read takes an answer over, unless it can't be read: half a plan is none.
func (d *Decision) read(op wasmabi.Op, response []byte) error {
	switch op {
	case wasmabi.OpAnalyze:
		a := new(wasmabi.Analysis)
		if err := wasmabi.DecodeAnalysis(response, a); err != nil {
			return err
		}
		d.Analysis = a
	case wasmabi.OpPlan:
		p := new(wasmabi.Plan)
		if err := wasmabi.DecodePlan(response, p); err != nil {
			return err
		}
		d.Plan = p
	}
	return nil
}

// decide runs the recorded requests on another module. It plans if that module's own analysis says so.
func decide(ctx context.Context, m *host.Module, e *Episode) (Decision, error) {
	d := Decision{Module: m.Digest()}
	p := &playback{tooLarge: int(m.Limits().ResponseBytes) + 1}
	s, err := m.Begin(ctx, host.SessionConfig{Time: e.Time, Seed: e.Seed, Handles: p.handles(e.Handles)})
	if err != nil {
		return d, err
	}
	defer s.Close()
	for _, c := range e.script() {
		if c.Op == wasmabi.OpPlan && d.Analysis != nil && !d.Analysis.Plan {
			continue
		}
		p.start(c, e.Handles)
		response, err := s.Call(ctx, c.Op, c.Request)
		d.Fuel += s.Fuel()
		if err == nil {
			err = d.read(c.Op, response)
		}
		if err != nil {
			d.Err = codeOf(err)
			return d, ctx.Err()
		}
	}
	return d, nil
}

// script is what to ask another module: the recorded calls up to the plan. An episode whose analysis saw no reason to plan
// gets one on the same observation, in case the other sees a reason.
func (e *Episode) script() (calls []*Call) {
	for n := range e.Calls {
		c := &e.Calls[n]
		if c.Op == wasmabi.OpSnapshot {
			continue
		}
		calls = append(calls, c)
		if c.Op == wasmabi.OpAnalyze && e.find(wasmabi.OpPlan) == nil {
			calls = append(calls, &Call{Op: wasmabi.OpPlan, Request: c.Request})
		}
	}
	return calls
}

type knob struct{ mechanism, knob uint32 }

// changes lists the settings in which two plans differ; a missing plan sets nothing.
func changes(a, b *wasmabi.Plan) (list []Change) {
	before, after := settings(a), settings(b)
	keys := slices.Collect(maps.Keys(before))
	for k := range after {
		if _, ok := before[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b knob) int {
		return cmp.Or(cmp.Compare(a.mechanism, b.mechanism), cmp.Compare(a.knob, b.knob))
	})
	for _, k := range keys {
		c := Change{k.mechanism, k.knob, valueOf(before, k), valueOf(after, k)}
		if math.Float64bits(c.Recorded) != math.Float64bits(c.Other) {
			list = append(list, c)
		}
	}
	return list
}

func settings(p *wasmabi.Plan) map[knob]float64 {
	values := map[knob]float64{}
	if p == nil {
		return values
	}
	for n, k := range p.Knobs {
		v := p.Values[n]
		if p.Verbs[n] != wasmabi.VerbSet {
			v = math.Inf(-1) // a reset is neither a value nor nothing
		}
		values[knob{p.Mechanisms[n], k}] = v
	}
	return values
}

func valueOf(m map[knob]float64, k knob) float64 {
	if v, ok := m[k]; ok {
		return v
	}
	return math.NaN()
}
