package rollout

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Bounds of a [Spec], which comes from people and from the network.
const (
	MaxGates    = 16
	MaxDuration = 30 * 24 * time.Hour
	MaxStrikes  = 100
)

// Spec says how carefully a version is rolled out. The zero Spec activates it at once and watches it for a while.
type Spec struct {
	// Shadow is how long it runs beside the version in charge; 0 leaves the phase out.
	Shadow time.Duration `json:"shadow_ns,omitempty"`
	// ShadowBudget is the share of one CPU that shadow passes may take. Passes beyond it are dropped and counted.
	ShadowBudget float64 `json:"shadow_budget"`
	// Canary is the share of passes that it decides before it is activated; 0 leaves the phase out.
	Canary float64 `json:"canary,omitempty"`
	// CanaryFor is how long.
	CanaryFor time.Duration `json:"canary_for_ns,omitempty"`
	// MaxStep clamps each change of a canary to this share of the knob's range; 0 clamps nothing.
	MaxStep float64 `json:"max_step,omitempty"`
	// Settle is how long an activated version is on probation.
	Settle time.Duration `json:"settle_ns"`
	// Patience is how long a phase may wait beyond its time for passes or gates.
	Patience time.Duration `json:"patience_ns"`
	// Passes is how many passes a phase needs at least.
	Passes uint64 `json:"passes"`

	// Gates must hold to go on, and roll back when they don't.
	Gates []Gate `json:"gates,omitempty"`
	// Goal is the metric that must not get worse.
	Goal *Goal `json:"goal,omitempty"`

	// MaxDivergence is the largest share of compared passes with different plans; 0 does not judge it.
	MaxDivergence float64 `json:"max_divergence,omitempty"`
	// MaxFuelRatio bounds the mean fuel of a pass over that of the version in charge; 0 does not judge it.
	MaxFuelRatio float64 `json:"max_fuel_ratio,omitempty"`
	// MaxLatencyRatio bounds the 99th percentile in the same way; 0 does not judge it.
	MaxLatencyRatio float64 `json:"max_latency_ratio,omitempty"`
	// MaxLatency bounds the 99th percentile; 0 does not judge it.
	MaxLatency time.Duration `json:"max_latency_ns,omitempty"`
	// MaxFaults is how many passes of a phase may fail.
	MaxFaults uint64 `json:"max_faults,omitempty"`

	// HoldDown is how long a version is held after its first strike; each further strike doubles it.
	HoldDown time.Duration `json:"hold_down_ns"`
	// Strikes is how many strikes quarantine it.
	Strikes int `json:"strikes"`
}

// Defaults of a [Spec].
const (
	DefaultShadowBudget = 0.05
	DefaultSettle       = 5 * time.Minute
	DefaultPatience     = 5 * time.Minute
	DefaultPasses       = 3
	DefaultHoldDown     = 10 * time.Minute
	DefaultStrikes      = 3
	DefaultCanaryFor    = 10 * time.Minute
	maxHoldDown         = 7 * 24 * time.Hour
)

// WithDefaults fills in what is zero and has a default.
func (s Spec) WithDefaults() Spec {
	s.ShadowBudget = orDefault(s.ShadowBudget, DefaultShadowBudget)
	s.Settle = orDefault(s.Settle, DefaultSettle)
	s.Patience = orDefault(s.Patience, DefaultPatience)
	s.Passes = orDefault(s.Passes, DefaultPasses)
	s.HoldDown = orDefault(s.HoldDown, DefaultHoldDown)
	s.Strikes = orDefault(s.Strikes, DefaultStrikes)
	if s.Canary > 0 {
		s.CanaryFor = orDefault(s.CanaryFor, DefaultCanaryFor)
	}
	return s
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Proves reports whether the version has to prove itself before it is activated.
func (s *Spec) Proves() bool { return s.Shadow > 0 || s.Canary > 0 }

// Validate reports everything that is wrong.
func (s *Spec) Validate() error {
	var problems []error
	bad := func(field, why string) { problems = append(problems, fmt.Errorf("%s %s", field, why)) }
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"shadow", s.Shadow}, {"canary time", s.CanaryFor}, {"settle time", s.Settle}, {"patience", s.Patience},
		{"largest latency", s.MaxLatency}, {"hold-down", s.HoldDown},
	} {
		if d.value < 0 || d.value > MaxDuration {
			bad(d.field, fmt.Sprintf("must be from 0 to %v, not %v", MaxDuration, d.value))
		}
	}
	for _, r := range []struct {
		field string
		value float64
	}{
		{"shadow budget", s.ShadowBudget}, {"canary share", s.Canary}, {"largest step", s.MaxStep}, {"largest divergence", s.MaxDivergence},
	} {
		if !(r.value >= 0 && r.value <= 1) {
			bad(r.field, fmt.Sprintf("must be from 0 to 100%%, not %v", r.value))
		}
	}
	for _, r := range []struct {
		field string
		value float64
	}{{"largest fuel ratio", s.MaxFuelRatio}, {"largest latency ratio", s.MaxLatencyRatio}} {
		if !(r.value >= 0) || math.IsInf(r.value, 0) {
			bad(r.field, "must be a number from 0")
		}
	}
	if s.CanaryFor > 0 && s.Canary == 0 {
		bad("canary time", "needs a canary share")
	}
	if s.MaxStep > 0 && s.Canary == 0 {
		bad("largest step", "needs a canary share: it clamps what a canary changes")
	}
	if s.Strikes < 0 || s.Strikes > MaxStrikes {
		bad("strikes", fmt.Sprintf("must be from 0 to %d, not %d", MaxStrikes, s.Strikes))
	}
	if len(s.Gates) > MaxGates {
		bad("gates", fmt.Sprintf("must be at most %d, not %d", MaxGates, len(s.Gates)))
	}
	for i := range s.Gates {
		if err := s.Gates[i].validate(); err != nil {
			problems = append(problems, err)
		}
	}
	if s.Goal != nil {
		if err := s.Goal.validate(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
