// Command 09-radio-power is a policy that turns a far-edge device's radio down while the device hears its gateway well, which spares its battery, and up
// again, at once, when it does not. It steps through the positions that the device offers, whatever they are called.
package main

import (
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

const (
	mechanism = "DeviceKnobs"
	lease     = 2 * time.Minute // then the device is back at its own setting, should nobody renew
	stale     = 2 * time.Minute // what the device said longer ago is no reason to do anything
	patience  = 3               // good readings in a row before the radio is turned down by a step

	keyGood = "good"
	keyStep = "step"
	keyHeld = "held"
)

type radio struct {
	strength policy.Metric
	power    policy.Knob
	levels   []string // from least to most
	good     float64  // dBm: above it there is power to spare
	weak     float64  // dBm: below it there is too little

	readings int64 // good ones in a row
	step     int64 // position in levels that is asked for
	held     bool  // whether it is
}

func init() { policy.Register(&radio{}) }

func main() {}

func (r *radio) Initialize(s *policy.Setup) error {
	r.strength = s.Metric("device_radio_signal_strength_dbm", "device", "sensor-1")
	r.power = s.Knob(mechanism, "sensor-1/TX_PWR")
	r.levels = r.power.Choices()
	r.good, r.weak = s.Parameter("good"), s.Parameter("weak")
	return nil
}

func (r *radio) Analyze(o *policy.Observation) policy.Verdict {
	heard, ok := o.Fresh(r.strength, stale)
	if !ok {
		r.readings, r.held = 0, false // the lease ends by itself
		return policy.Stay("the device has told no signal strength for ", stale)
	}
	if !r.held {
		r.step = r.position(o)
	}
	switch {
	case heard < r.weak:
		r.readings = 0
		return r.louder(heard)
	case heard <= r.good:
		r.readings = 0
	default:
		r.readings++
	}
	if r.readings >= patience && r.step > 0 {
		r.readings = 0
		r.step--
		r.held = true
		return policy.Act(heard, " dBm is well above ", r.good, " dBm: a step down").WakeBelow(r.strength, r.weak)
	}
	if r.held {
		return policy.Act(heard, " dBm: as it is").WakeBelow(r.strength, r.weak)
	}
	return policy.Stay(heard, " dBm")
}

// louder goes up a step. At the top the knob is given back.
func (r *radio) louder(heard float64) policy.Verdict {
	if !r.held {
		return policy.Stay(heard, " dBm is weak, and the radio is at its own setting")
	}
	r.step++
	return policy.Act(heard, " dBm is below ", r.weak, " dBm: a step up")
}

// position is where the knob is, at the top if nobody knows.
func (r *radio) position(o *policy.Observation) int64 {
	if at, ok := o.Choice(r.power); ok {
		for i, level := range r.levels {
			if level == at {
				return int64(i)
			}
		}
	}
	return int64(len(r.levels) - 1)
}

func (r *radio) Plan(_ *policy.Observation, p *policy.Plan) error {
	if r.step >= int64(len(r.levels))-1 {
		r.held = false
		p.ResetKnob(r.power)
		return nil
	}
	p.Choose(r.power, r.levels[r.step]).For(lease)
	return nil
}

func (r *radio) Save(s *policy.State) {
	s.PutInt(keyGood, r.readings)
	s.PutInt(keyStep, r.step)
	s.PutBool(keyHeld, r.held)
}

func (r *radio) Load(s *policy.State) {
	r.readings, r.step, r.held = s.Int(keyGood), s.Int(keyStep), s.Bool(keyHeld)
}
