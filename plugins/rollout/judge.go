package rollout

import (
	"fmt"
	"math"
	"time"
)

// measured takes a reading and judges it.
func (m *machine) measured() {
	r := m.e.Reading
	if r == nil || m.Pending != "" || m.Over() {
		return
	}
	if m.Phase != PhaseActive && !m.proving() {
		m.weighGoal(r)
		return
	}
	m.Reading = tidy(r, len(m.Spec.Gates))
	m.weighGates(m.Reading)
	m.weighGoal(m.Reading)
	if cause, why := m.judge(m.Reading); cause != "" && !m.cornered() {
		m.fail(cause, why)
		return
	}
	m.tick()
}

// cornered says that there is nothing to go back to: going on is better than standing still.
func (m *machine) cornered() bool { return m.Phase == PhaseActive && len(m.targets()) == 0 }

// tidy is a copy of a reading without what can't be.
func tidy(r *Reading, gates int) *Reading {
	c := *r
	c.Gates = make([]*float64, gates)
	for i := range min(gates, len(r.Gates)) {
		c.Gates[i] = bounded(r.Gates[i])
	}
	if gates == 0 {
		c.Gates = nil
	}
	c.Goal = finite(r.Goal)
	for _, d := range []*time.Duration{&c.P50Live, &c.P99Live, &c.P50Next, &c.P99Next} {
		*d = max(0, *d)
	}
	return &c
}

func finite(v *float64) *float64 {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return nil
	}
	c := *v
	return &c
}

// bounded keeps an infinite value as the largest that there is: a quantile beyond the last bucket, or a ratio to nothing, is a
// reading like any other and no lack of data.
func bounded(v *float64) *float64 {
	if v == nil || math.IsNaN(*v) {
		return nil
	}
	c := min(max(*v, -math.MaxFloat64), math.MaxFloat64)
	return &c
}

func (m *machine) weighGates(r *Reading) {
	if len(m.GateRuns) != len(m.Spec.Gates) {
		m.GateRuns = make([]GateRun, len(m.Spec.Gates))
	}
	for i, value := range r.Gates {
		run := &m.GateRuns[i]
		if value == nil {
			continue
		}
		run.Last, run.At = value, m.e.At
		if m.Spec.Gates[i].Holds(*value) {
			run.Held, run.Broke = min(run.Held+1, MaxGateSamples), 0
		} else {
			run.Held, run.Broke = 0, min(run.Broke+1, MaxGateSamples)
		}
	}
}

// weighGoal counts the goal for the version that shaped it.
func (m *machine) weighGoal(r *Reading) {
	value := finite(r.Goal)
	if m.Spec.Goal == nil || value == nil {
		return
	}
	mean := &m.GoalLive
	if m.Phase == PhaseCanary || m.Phase == PhaseActive {
		mean = &m.GoalNext
	}
	if !math.IsInf(mean.Sum+*value, 0) {
		mean.Add(*value)
	}
}

// judge finds the first bound that a reading breaks.
func (m *machine) judge(r *Reading) (cause Cause, why string) {
	spec := &m.Spec
	enough := r.Passes >= spec.Passes
	switch {
	case r.Faults() > spec.MaxFaults:
		return faultCause(r), fmt.Sprintf("%d of its passes failed, %d may", r.Faults(), spec.MaxFaults)
	case enough && above(r.FuelRatio(), spec.MaxFuelRatio):
		return CauseFuel, fmt.Sprintf("it uses %.3g times the fuel, %.3g is the most", r.FuelRatio(), spec.MaxFuelRatio)
	case enough && above(float64(r.P99Next), float64(spec.MaxLatency)):
		return CauseLatency, fmt.Sprintf("one in a hundred of its passes takes %v, %v is the most", r.P99Next, spec.MaxLatency)
	case enough && above(r.LatencyRatio(), spec.MaxLatencyRatio):
		return CauseLatency, fmt.Sprintf("it takes %.3g times as long, %.3g is the most", r.LatencyRatio(), spec.MaxLatencyRatio)
	case r.Compared >= spec.Passes && above(r.Divergence(), spec.MaxDivergence):
		return CauseDivergence, fmt.Sprintf("%.3g%% of its plans differ, %.3g%% is the most", 100*r.Divergence(), 100*spec.MaxDivergence)
	}
	for i, run := range m.GateRuns {
		if gate := &spec.Gates[i]; run.Broke >= gate.Samples {
			return CauseGate, fmt.Sprintf("gate %s: %d readings in a row did not hold, the last is %.6g", gate, run.Broke, *run.Last)
		}
	}
	if spec.Goal != nil && spec.Goal.Worse(m.GoalLive, m.GoalNext) {
		return CauseGoal, fmt.Sprintf("the goal %s: its mean was %.6g and is %.6g", spec.Goal, m.GoalLive.Value(), m.GoalNext.Value())
	}
	return "", ""
}

// above reports whether a value breaks a bound; 0 is no bound.
func above(value, bound float64) bool { return bound > 0 && value > bound }

func faultCause(r *Reading) Cause {
	switch {
	case r.Traps > 0:
		return CauseTrap
	case r.Limits > 0:
		return CauseLimit
	}
	return CauseGuest
}

// Waits says what a proving phase still needs before it can be passed, its time aside; nothing if nothing, or in other phases.
func (s *State) Waits() string {
	if !s.proving() {
		return ""
	}
	return s.missing()
}

// missing says what a phase still lacks, or nothing.
func (s *State) missing() string {
	passes := uint64(0)
	if s.Reading != nil {
		passes = s.Reading.Passes
	}
	if passes < s.Spec.Passes {
		return fmt.Sprintf("%d passes in %s, %d are needed", passes, s.Phase, s.Spec.Passes)
	}
	for i := range s.Spec.Gates {
		gate := &s.Spec.Gates[i]
		if i >= len(s.GateRuns) || s.GateRuns[i].Held < gate.Samples {
			return fmt.Sprintf("gate %s has not held for %d readings in a row", gate, gate.Samples)
		}
		if s.Reading != nil && (i >= len(s.Reading.Gates) || s.Reading.Gates[i] == nil) {
			return fmt.Sprintf("gate %s held, and has no data any more", gate)
		}
	}
	return ""
}
