package apiserver

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// RolloutInput is how an upload asks for a rollout. Without any of it the version is activated at once.
type RolloutInput struct {
	Rollout      bool     `query:"rollout" doc:"Roll out with the daemon's defaults, though nothing else of the rollout is named."`
	Shadow       string   `query:"shadow" maxLength:"32" example:"10m" doc:"How long it runs beside the version in charge; nothing that it plans is applied."`
	ShadowBudget string   `query:"shadow_budget" maxLength:"32" example:"5%" doc:"Share of one CPU that this may take."`
	Canary       string   `query:"canary" maxLength:"32" example:"5%" doc:"Share of the passes that it decides before it is activated."`
	CanaryFor    string   `query:"canary_for" maxLength:"32" example:"10m" doc:"How long."`
	MaxStep      string   `query:"max_step" maxLength:"32" example:"10%" doc:"Share of a knob's range by which a canary may change it."`
	Settle       string   `query:"settle" maxLength:"32" example:"5m" doc:"How long it is on probation once activated."`
	Patience     string   `query:"patience" maxLength:"32" example:"5m" doc:"How long a phase waits beyond its time for passes and gates."`
	Passes       uint64   `query:"passes" maximum:"1000000" doc:"How many passes a phase needs at least."`
	Gate         []string `query:"gate,explode" maxItems:"16" example:"app.latency_p99<=50ms" doc:"Condition on the node's metrics that must hold: EXPR OP QUANTITY."`
	GateSamples  int      `query:"gate_samples" minimum:"0" maximum:"1000" doc:"Readings in a row that it takes to say that a gate holds, or does not."`
	Goal         string   `query:"goal" maxLength:"1024" example:"lower app.latency_p99 within 5%" doc:"Metric that must not get worse."`

	MaxDivergence   string  `query:"max_divergence" maxLength:"32" example:"20%" doc:"Largest share of different plans."`
	MaxFuelRatio    float64 `query:"max_fuel_ratio" minimum:"0" doc:"Largest ratio of fuel to that of the version in charge."`
	MaxLatencyRatio float64 `query:"max_latency_ratio" minimum:"0" doc:"Largest ratio of the time of a pass, 99th percentile."`
	MaxLatency      string  `query:"max_latency" maxLength:"32" example:"5ms" doc:"Largest time of a pass, 99th percentile."`
	MaxFaults       uint64  `query:"max_faults" maximum:"1000000" doc:"How many passes of a phase may fail."`
	HoldDown        string  `query:"hold_down" maxLength:"32" example:"10m" doc:"How long it is held down after its first strike."`
	Strikes         int     `query:"strikes" minimum:"0" maximum:"100" doc:"How many strikes quarantine it."`

	Supersede bool `query:"supersede" doc:"End a rollout of another version that is under way."`
	Force     bool `query:"force" doc:"Override the version's hold-down and quarantine."`
}

// start reads what an upload says about its rollout; nil if it says nothing.
func (in *RolloutInput) start() (*api.RolloutStart, error) {
	q := rolloutQuery{}
	spec := api.RolloutSpec{
		ShadowMS: q.milliseconds("shadow", in.Shadow), ShadowBudget: q.share("shadow_budget", in.ShadowBudget),
		Canary: q.share("canary", in.Canary), CanaryMS: q.milliseconds("canary_for", in.CanaryFor), MaxStep: q.share("max_step", in.MaxStep),
		SettleMS: q.milliseconds("settle", in.Settle), PatienceMS: q.milliseconds("patience", in.Patience), Passes: in.Passes,
		Gates: in.Gate, GateSamples: in.GateSamples, Goal: in.Goal,
		MaxDivergence: q.share("max_divergence", in.MaxDivergence), MaxFuelRatio: in.MaxFuelRatio, MaxLatencyRatio: in.MaxLatencyRatio,
		MaxLatencyUS: uint64(q.duration("max_latency", in.MaxLatency).Microseconds()), MaxFaults: in.MaxFaults,
		HoldDownMS: q.milliseconds("hold_down", in.HoldDown), Strikes: in.Strikes,
	}
	if q.err != nil {
		return nil, q.err
	}
	if !in.asks() {
		return nil, nil
	}
	return &api.RolloutStart{Spec: spec, Supersede: in.Supersede, Force: in.Force}, nil
}

// asks reports whether anything is said about a rollout.
func (in *RolloutInput) asks() bool {
	texts := in.Shadow + in.ShadowBudget + in.Canary + in.CanaryFor + in.MaxStep + in.Settle + in.Patience + in.Goal + in.MaxDivergence + in.MaxLatency + in.HoldDown
	return in.Rollout || in.Supersede || in.Force || texts != "" || len(in.Gate) > 0 || in.GateSamples+in.Strikes > 0 ||
		in.Passes+in.MaxFaults > 0 || in.MaxFuelRatio+in.MaxLatencyRatio > 0
}

// rolloutQuery reads values and keeps the first error.
type rolloutQuery struct{ err error }

func (q *rolloutQuery) duration(name, text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		q.fail(name, text, "is not a time such as 10m or 30s")
		return 0
	}
	return d
}

func (q *rolloutQuery) milliseconds(name, text string) uint64 {
	d := q.duration(name, text)
	if d > 0 && d < time.Millisecond {
		q.fail(name, text, "is less than a millisecond")
	}
	return uint64(d.Milliseconds())
}

// share reads 5% or 0.05.
func (q *rolloutQuery) share(name, text string) float64 {
	if text == "" {
		return 0
	}
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || math.IsNaN(v) || v < 0 || v > 1 {
		q.fail(name, text, "is not a share such as 5%")
		return 0
	}
	return v
}

func (q *rolloutQuery) fail(name, text, message string) {
	if q.err == nil {
		q.err = invalid("upload policy", "query."+name, strconv.Quote(clip(text))+" "+message)
	}
}
