package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// rolloutFlags are the flags of an upload that has the version prove itself.
type rolloutFlags struct {
	start api.RolloutStart
	names []string
}

// rolloutFlagsOf adds the flags to an upload. Without any of them the version is activated at once.
func rolloutFlagsOf(c *cobra.Command) *rolloutFlags {
	r := &rolloutFlags{}
	s, flags := &r.start.Spec, pflag.NewFlagSet("rollout", pflag.ContinueOnError)
	flags.Var(milliseconds{&s.ShadowMS}, "shadow", "run beside the version in charge for this long; nothing that it plans is applied")
	flags.Var(share{&s.ShadowBudget}, "shadow-budget", "share of one CPU for that (default 5%)")
	flags.Var(share{&s.Canary}, "canary", "share of the passes that it decides before it is activated")
	flags.Var(milliseconds{&s.CanaryMS}, "canary-for", "how long (default 10m)")
	flags.Var(share{&s.MaxStep}, "max-step", "share of a knob's range by which a canary may change it (default: no bound)")
	flags.StringArrayVar(&s.Gates, "gate", nil, "what must hold, as in 'app.latency_p99<=50ms': PromQL or a metric, <= < >= > or ==, a quantity; may be repeated")
	flags.IntVar(&s.GateSamples, "gate-samples", 0, "readings in a row that it takes to say that a gate holds, or does not (default 3)")
	flags.StringVar(&s.Goal, "goal", "", "metric that must not get worse, as in 'lower app.latency_p99 within 5%'")
	flags.Var(milliseconds{&s.SettleMS}, "settle", "how long it is on probation once activated (default 5m)")
	flags.Var(milliseconds{&s.PatienceMS}, "patience", "how long a phase waits beyond its time for passes and gates (default 5m)")
	flags.Uint64Var(&s.Passes, "passes", 0, "how many passes a phase needs at least (default 3)")
	flags.Var(share{&s.MaxDivergence}, "max-divergence", "largest share of plans that differ (default: no bound)")
	flags.Float64Var(&s.MaxFuelRatio, "max-fuel-ratio", 0, "largest fuel over that of the version in charge (default: no bound)")
	flags.Float64Var(&s.MaxLatencyRatio, "max-latency-ratio", 0, "largest time of a pass over that of the version in charge, 99th percentile (default: no bound)")
	flags.Var(microsecondsFlag{&s.MaxLatencyUS}, "max-latency", "largest time of a pass, 99th percentile (default: no bound)")
	flags.Uint64Var(&s.MaxFaults, "max-faults", 0, "how many passes of a phase may fail (default none)")
	flags.Var(milliseconds{&s.HoldDownMS}, "hold-down", "how long it is held down after its first strike; each further strike doubles it (default 10m)")
	flags.IntVar(&s.Strikes, "strikes", 0, "how many strikes quarantine it (default 3)")
	flags.BoolVar(&r.start.Supersede, "supersede", false, "end a rollout of another version that is under way")
	flags.BoolVar(&r.start.Force, "force", false, "override the version's hold-down and quarantine")
	flags.VisitAll(func(f *pflag.Flag) { r.names = append(r.names, f.Name) })
	c.Flags().AddFlagSet(flags)
	for flag, examples := range map[string][]string{
		"shadow": {"10m", "1h"}, "canary": {"5%", "10%", "25%"}, "canary-for": {"10m", "1h"}, "max-step": {"5%", "10%"}, "settle": {"5m", "30m"},
	} {
		c.RegisterFlagCompletionFunc(flag, fixed(examples...))
	}
	c.RegisterFlagCompletionFunc("goal", fixed("lower\\ ", "higher\\ "))
	return r
}

// asked returns what the flags say, or nil if none was given.
func (r *rolloutFlags) asked(c *cobra.Command) (*api.RolloutStart, error) {
	given := false
	for _, name := range r.names {
		given = given || c.Flags().Changed(name)
	}
	if !given {
		return nil, nil
	}
	if s := r.start.Spec; s.Canary == 0 && (s.CanaryMS > 0 || s.MaxStep > 0) {
		return nil, &cli.UsageError{Attempt: "read how to roll out", Why: "--canary-for and --max-step are about a canary, and there is none", Hint: "name its share, as in --canary 5%"}
	}
	return &r.start, nil
}

// share is a flag such as 5% or 0.05.
type share struct{ v *float64 }

func (s share) String() string {
	if s.v == nil || *s.v == 0 {
		return ""
	}
	return percent(*s.v)
}

func (s share) Set(text string) error {
	number, isPercent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isPercent {
		v /= 100
	}
	if err != nil || math.IsNaN(v) || v < 0 || v > 1 {
		return fmt.Errorf("%q is not a share such as 5%%", text)
	}
	*s.v = v
	return nil
}

func (share) Type() string { return "share" }

// milliseconds is a flag such as 10m.
type milliseconds struct{ v *uint64 }

func (m milliseconds) String() string {
	if m.v == nil || *m.v == 0 {
		return ""
	}
	return (time.Duration(*m.v) * time.Millisecond).String()
}

func (m milliseconds) Set(text string) error {
	d, err := positive(text, time.Millisecond)
	*m.v = uint64(d.Milliseconds())
	return err
}

func (milliseconds) Type() string { return "time" }

// microsecondsFlag is the same for short times.
type microsecondsFlag struct{ v *uint64 }

func (m microsecondsFlag) String() string {
	if m.v == nil || *m.v == 0 {
		return ""
	}
	return microseconds(*m.v)
}

func (m microsecondsFlag) Set(text string) error {
	d, err := positive(text, time.Microsecond)
	*m.v = uint64(d.Microseconds())
	return err
}

func (microsecondsFlag) Type() string { return "time" }

func positive(text string, least time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < least {
		return 0, fmt.Errorf("%q is not a time of at least %v, such as 10m or 30s", text, least)
	}
	return d, nil
}

func percent(v float64) string { return strconv.FormatFloat(math.Round(v*1e4)/100, 'f', -1, 64) + "%" }
