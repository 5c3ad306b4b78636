package main

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

const (
	metric = "device_radio_signal_strength_dbm"
	knob   = "sensor-1/TX_PWR"

	low, medium, high = 0, 1, 2
)

func newNode(t *testing.T) *policytest.Node {
	n := policytest.New(t, func() policy.Policy { return &radio{} })
	n.Metric(metric, "device", "sensor-1")
	n.Parameter("good", -60)
	n.Parameter("weak", -80)
	n.Knob(mechanism, knob, policytest.Choice("LOW", "MEDIUM", "HIGH"))
	n.SetKnob(knob, high)
	return n
}

func hear(n *policytest.Node, dBm float64) *policytest.Episode {
	n.Advance(2 * time.Second)
	return n.Episode(policytest.Values{metric: dBm})
}

func TestRadioIsTurnedDownStepByStep(t *testing.T) {
	n := newNode(t)
	for _, want := range []float64{medium, low} {
		for range patience - 1 {
			hear(n, -40)
		}
		e := hear(n, -40)
		e.WantAct("a step down")
		e.WantSet(knob, want)
	}
	hear(n, -40).WantAct("as it is") // there is nothing below
	if got := n.KnobValue(knob); got != low {
		t.Errorf("the knob is at %v", got)
	}
}

func TestWeakSignalTurnsItUpAtOnce(t *testing.T) {
	n := newNode(t)
	for range 2 * patience {
		hear(n, -40)
	}
	e := hear(n, -85)
	e.WantAct("a step up")
	e.WantSet(knob, medium)
	e = hear(n, -85)
	if len(e.Settings) != 1 || e.Settings[0].Verb != "reset" || e.Settings[0].Knob != knob {
		t.Errorf("at the top the knob is not given back: %+v", e.Settings)
	}
	if got := n.KnobValue(knob); got != high {
		t.Errorf("the knob is at %v", got)
	}
	hear(n, -85).WantStay("its own setting")
}

// Between the two bounds nothing moves: a step down lowers the signal that made it, and must not be taken back for that.
func TestHysteresis(t *testing.T) {
	n := newNode(t)
	for range patience {
		hear(n, -55)
	}
	for range 20 {
		hear(n, -65).WantAct("as it is")
	}
	if got := n.KnobValue(knob); got != medium {
		t.Errorf("the knob is at %v", got)
	}
}

func TestOneGoodReadingIsNotEnough(t *testing.T) {
	n := newNode(t)
	for range 10 {
		hear(n, -40)
		hear(n, -70).WantStay("dBm")
	}
}

func TestSilentDevice(t *testing.T) {
	n := newNode(t)
	for range patience {
		hear(n, -40)
	}
	n.Advance(lease + time.Second)
	n.Episode(policytest.Values{}).WantStay("told no signal strength")
	if got := n.KnobValue(knob); got != high {
		t.Errorf("the lease is over, and the knob is at %v", got)
	}
}
