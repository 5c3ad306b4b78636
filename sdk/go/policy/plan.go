package policy

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Plan collects what [Policy.Plan] wants done. A setting that can't be meant, such as NaN or a knob that was not
// granted, fails the whole plan after the method returns.
type Plan struct {
	m       *wasmabi.Plan
	problem string
}

// Settings are the rows that one call added.
type Settings struct {
	plan     *Plan
	from, to int
}

// Why gives the plan's reason for people, as in [Text]. Without it the reason of the verdict stands.
func (p *Plan) Why(parts ...any) { p.m.Why = Text(parts...) }

// Set gives a knob a value in the knob's unit. Values outside the range are clamped, and reported, below the policy.
func (p *Plan) Set(k Knob, value float64) Settings {
	switch {
	case k.info == nil:
		p.fail("set a knob that was not found at initialisation")
	case math.IsNaN(value) || math.IsInf(value, 0):
		p.fail("set " + k.Name() + " to " + Text(value))
	default:
		p.add(k.info.Mechanism, wasmabi.VerbSet, k.id, value)
	}
	return p.last(1)
}

// SetMax sets each knob to the top of its range.
func (p *Plan) SetMax(knobs ...Knob) Settings {
	from := len(p.m.Knobs)
	for _, k := range knobs {
		_, most, ok := k.Range()
		p.setRange(k, most, ok)
	}
	return Settings{p, from, len(p.m.Knobs)}
}

// SetMin sets each knob to the bottom of its range.
func (p *Plan) SetMin(knobs ...Knob) Settings {
	from := len(p.m.Knobs)
	for _, k := range knobs {
		least, _, ok := k.Range()
		p.setRange(k, least, ok)
	}
	return Settings{p, from, len(p.m.Knobs)}
}

func (p *Plan) setRange(k Knob, value float64, ok bool) {
	if !ok {
		p.fail("set " + k.Name() + " to an end of its range: it has none")
		return
	}
	p.Set(k, value)
}

// Choose sets a knob that is a choice by name.
func (p *Plan) Choose(k Knob, choice string) Settings {
	for i, c := range k.Choices() {
		if c == choice {
			return p.Set(k, float64(i))
		}
	}
	p.fail("set " + k.Name() + " to " + choice + ", which is not one of its choices")
	return p.last(0)
}

// Reset gives every granted knob of the mechanism its original value back.
func (p *Plan) Reset(m Mechanism) Settings {
	if m.number == 0 {
		p.fail("reset a mechanism that was not found at initialisation")
		return p.last(0)
	}
	p.add(m.number-1, wasmabi.VerbReset, wasmabi.AllKnobs, 0)
	return p.last(1)
}

// ResetKnob gives each knob its original value back.
func (p *Plan) ResetKnob(knobs ...Knob) Settings {
	from := len(p.m.Knobs)
	for _, k := range knobs {
		if k.info == nil {
			p.fail("reset a knob that was not found at initialisation")
			continue
		}
		p.add(k.info.Mechanism, wasmabi.VerbReset, k.id, 0)
	}
	return Settings{p, from, len(p.m.Knobs)}
}

// For says after how long the knobs get their original values back, unless a later plan sets them again by then.
// Without it they hold for as long as the policy is in charge and well.
func (s Settings) For(lease time.Duration) {
	ms := lease.Milliseconds()
	if ms < 1 || ms >= math.MaxUint32 {
		s.plan.fail("lease a knob for " + Text(lease))
		return
	}
	for i := s.from; i < s.to; i++ {
		s.plan.m.LeaseMS[i] = uint32(ms)
	}
}

func (p *Plan) add(mechanism uint32, verb uint32, knob uint32, value float64) {
	m := p.m
	m.Mechanisms = append(m.Mechanisms, mechanism)
	m.Verbs = append(m.Verbs, verb)
	m.Knobs = append(m.Knobs, knob)
	m.Values = append(m.Values, value)
	m.LeaseMS = append(m.LeaseMS, 0)
}

// last is the settings of the newest n rows; fewer when adding failed.
func (p *Plan) last(n int) Settings {
	to := len(p.m.Knobs)
	return Settings{p, max(0, to-n), to}
}

func (p *Plan) fail(what string) {
	if p.problem == "" {
		p.problem = "the plan would " + what
	}
}
