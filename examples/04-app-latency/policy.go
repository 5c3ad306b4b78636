// Command 04-app-latency is a policy that watches what an application says of itself: its latency, sent by OTLP. It
// raises the CPU's frequency limit while the application is slower than its target, and then gives the knobs back.
// It is not tied to one application: the operator sets the target.
package main

import (
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

const (
	lease    = 30 * time.Second
	stale    = 30 * time.Second
	schema   = 2   // version 1 kept the latency in milliseconds
	weight   = 0.3 // of the newest value in the mean
	relaxed  = 0.5 // of the target: below it the knobs are given back
	atOnce   = 2.0 // times the target: above it the mean is not waited for
	keyMean  = "mean_s"
	keyBoost = "boosting"
)

type guard struct {
	latency   policy.Metric
	frequency policy.Mechanism
	limits    []policy.Knob
	target    float64 // seconds

	mean     float64 // seconds, weighted; 0 before the first value
	boosting bool
}

func init() { policy.Register(&guard{}) }

func main() {}

func (g *guard) Initialize(s *policy.Setup) error {
	g.latency = s.Metric("app_request_latency_seconds")
	g.frequency = s.Mechanism("CPUFrequency")
	g.limits = s.Knobs("CPUFrequency", "*/max_frequency")
	g.target = s.Parameter("target")
	return nil
}

func (g *guard) Analyze(o *policy.Observation) policy.Verdict {
	now, ok := o.Fresh(g.latency, stale)
	if !ok {
		return policy.Stay("the application has sent no latency for ", stale)
	}
	g.remember(now)
	switch {
	case now > atOnce*g.target:
		g.boosting = true
		return policy.Act("latency ", now, " s is far above ", g.target, " s")
	case g.mean > g.target:
		g.boosting = true
		return policy.Act("mean latency ", g.mean, " s is above ", g.target, " s")
	case g.boosting && g.mean < relaxed*g.target:
		g.boosting = false
		return policy.Act("mean latency ", g.mean, " s is well below ", g.target, " s")
	case g.boosting:
		return policy.Act("mean latency ", g.mean, " s is still near ", g.target, " s")
	}
	return policy.Stay("mean latency ", g.mean, " s is fine").WakeAbove(g.latency, atOnce*g.target)
}

func (g *guard) remember(now float64) {
	if g.mean == 0 {
		g.mean = now
		return
	}
	g.mean += weight * (now - g.mean)
}

func (g *guard) Plan(o *policy.Observation, p *policy.Plan) error {
	if g.boosting {
		p.SetMax(g.limits...).For(lease)
	} else {
		p.Reset(g.frequency)
	}
	return nil
}

func (g *guard) Save(s *policy.State) {
	s.PutFloat(keyMean, g.mean)
	s.PutBool(keyBoost, g.boosting)
}

func (g *guard) Load(s *policy.State) {
	g.mean = s.Float(keyMean)
	g.boosting = s.Bool(keyBoost)
}

// Migrate reads the state of version 1.
func (g *guard) Migrate(from uint32, s *policy.State) error {
	s.PutFloat(keyMean, s.Float("mean_ms")/1000)
	s.Delete("mean_ms")
	return nil
}
