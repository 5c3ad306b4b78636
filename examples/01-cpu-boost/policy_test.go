package main

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

const (
	limit  = "policy0/max_frequency"
	metric = "node_cpu_utilisation_ratio"
	slow   = 800e6
	fast   = 3.5e9
)

func newNode(t *testing.T) *policytest.Node {
	n := policytest.New(t, func() policy.Policy { return &boost{} })
	n.Metric(metric)
	n.Parameter("high", 0.8)
	n.Parameter("low", 0.3)
	n.Parameter("calm", 10)
	n.Knob("CPUFrequency", limit, policytest.Range(slow, fast, "Hz"))
	return n
}

func TestBusyNodeIsBoosted(t *testing.T) {
	n := newNode(t)
	n.Episode(policytest.Values{metric: 0.5}).WantStay("between")

	e := n.Episode(policytest.Values{metric: 0.95})
	e.WantAct("utilisation 0.95 is above 0.8")
	e.WantSet(limit, fast)
	if !e.Woken {
		t.Error("crossing the bound did not wake the policy")
	}
}

func TestCalmNodeIsSlowedAfterAWhile(t *testing.T) {
	n := newNode(t)
	n.Episode(policytest.Values{metric: 0.95}).WantSet(limit, fast)

	e := n.Episode(policytest.Values{metric: 0.1})
	e.WantAct("for 0s of 10s")
	e.WantSet(limit, fast)

	n.Advance(10 * time.Second)
	e = n.Episode(policytest.Values{metric: 0.1})
	e.WantAct("below 0.3 for 10s")
	e.WantSet(limit, slow)
}

func TestBoostEndsWithItsLease(t *testing.T) {
	n := newNode(t)
	n.SetKnob(limit, 2e9)
	n.Episode(policytest.Values{metric: 0.95})
	n.Advance(lease)
	if got := n.KnobValue(limit); got != 2e9 {
		t.Errorf("the limit is %v after the lease", got)
	}
}

func TestSilenceChangesNothing(t *testing.T) {
	n := newNode(t)
	n.Episode(policytest.Values{}).WantStay("no fresh utilisation")
	n.Age(metric, time.Minute)
	n.Episode(policytest.Values{metric: 1}).WantStay("no fresh utilisation")
}
