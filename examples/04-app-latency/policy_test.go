package main

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

const (
	metric = "app_request_latency_seconds"
	limit  = "policy0/max_frequency"
)

func newNode(t *testing.T) *policytest.Node {
	n := policytest.New(t, func() policy.Policy { return &guard{} })
	n.Metric(metric, "app", "shop")
	n.Parameter("target", 0.1)
	n.Knob("CPUFrequency", limit, policytest.Range(800e6, 3.5e9, "Hz"))
	return n
}

func TestSlowApplicationIsHelpedThenLeftAlone(t *testing.T) {
	n := newNode(t)
	n.Episode(policytest.Values{metric: 0.05}).WantStay("fine")

	e := n.Episode(policytest.Values{metric: 0.5})
	e.WantAct("far above 0.1 s")
	e.WantSet(limit, 3.5e9)

	n.Episode(policytest.Values{metric: 0.1}).WantAct("mean latency")
	for range 10 {
		n.Advance(5 * time.Second)
		e = n.Episode(policytest.Values{metric: 0.02})
		if e.Settings == nil || e.Settings[0].Verb == "reset" {
			break
		}
	}
	e.WantReset("CPUFrequency")
	if got := n.KnobValue(limit); got != 800e6 {
		t.Errorf("the limit is %v", got)
	}
	n.Episode(policytest.Values{metric: 0.02}).WantStay("fine")
}

func TestSilentApplication(t *testing.T) {
	newNode(t).Episode(policytest.Values{}).WantStay("sent no latency for 30s")
}

// v1 is the state of the first version, which kept milliseconds.
type v1 struct{ guard }

func (v *v1) Save(s *policy.State) { s.PutFloat("mean_ms", v.mean*1000) }
func (v *v1) Load(*policy.State)   {}

func TestStateOfVersionOneIsUnderstood(t *testing.T) {
	n := policytest.New(t, func() policy.Policy { return &v1{} })
	n.Metric(metric)
	n.Parameter("target", 0.1)
	n.Knob("CPUFrequency", limit, policytest.Range(800e6, 3.5e9, "Hz"))
	n.Episode(policytest.Values{metric: 0.08})

	n.Replace(func() policy.Policy { return &guard{} }, schema)
	n.Episode(policytest.Values{metric: 0.08}).WantStay("mean latency 0.08 s is fine")
}
