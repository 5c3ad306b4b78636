// Command 01-cpu-boost is a policy that raises the CPU's frequency limit while the node is busy, and lowers it when
// the node has been calm for a while. It is not a governor: the kernel still chooses frequencies below the limit.
package main

import (
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

// Modes that the policy is in; they last from one episode to the next.
const (
	modeNone  = 0 // nothing decided yet: the knobs are as we found them
	modeBoost = 1
	modeSave  = 2
)

const (
	lease = 30 * time.Second // so that the limits fall back should the policy be removed
	stale = 15 * time.Second // an older value says nothing about now
)

type boost struct {
	busy      policy.Metric
	limits    []policy.Knob
	high, low float64
	calm      time.Duration

	mode      int64
	calmSince time.Time
}

func init() { policy.Register(&boost{}) }

func main() {}

func (b *boost) Initialize(s *policy.Setup) error {
	b.busy = s.Metric("node_cpu_utilisation_ratio")
	b.limits = s.Knobs("CPUFrequency", "*/max_frequency")
	b.high, b.low = s.Parameter("high"), s.Parameter("low")
	b.calm = time.Duration(s.Parameter("calm") * float64(time.Second))
	return nil
}

func (b *boost) Analyze(o *policy.Observation) policy.Verdict {
	busy, ok := o.Fresh(b.busy, stale)
	switch {
	case !ok:
		return policy.Stay("there is no fresh utilisation")
	case busy > b.high:
		b.mode, b.calmSince = modeBoost, time.Time{}
		return policy.Act("utilisation ", busy, " is above ", b.high).WakeBelow(b.busy, b.low)
	case busy >= b.low:
		b.calmSince = time.Time{}
		return b.hold("utilisation ", busy, " is between ", b.low, " and ", b.high)
	}
	return b.calmDown(o.Time(), busy)
}

// calmDown lowers the limits once the node has been calm for long enough.
func (b *boost) calmDown(now time.Time, busy float64) policy.Verdict {
	if b.calmSince.IsZero() {
		b.calmSince = now
	}
	if calm := now.Sub(b.calmSince); calm < b.calm {
		return b.hold("utilisation ", busy, " is below ", b.low, " for ", calm, " of ", b.calm).Next(b.calm - calm)
	}
	b.mode = modeSave
	return policy.Act("utilisation ", busy, " is below ", b.low, " for ", b.calm).WakeAbove(b.busy, b.high)
}

// hold keeps the mode: by renewing its leases, if there is something to hold.
func (b *boost) hold(why ...any) policy.Verdict {
	verdict := policy.Act
	if b.mode == modeNone {
		verdict = policy.Stay
	}
	return verdict(why...).WakeAbove(b.busy, b.high)
}

func (b *boost) Plan(o *policy.Observation, p *policy.Plan) error {
	if b.mode == modeBoost {
		p.SetMax(b.limits...).For(lease)
	} else {
		p.SetMin(b.limits...).For(lease)
	}
	return nil
}

func (b *boost) Save(s *policy.State) {
	s.PutInt("mode", b.mode)
	s.PutTime("calm_since", b.calmSince)
}

func (b *boost) Load(s *policy.State) {
	b.mode = s.Int("mode")
	b.calmSince = s.Time("calm_since")
}
