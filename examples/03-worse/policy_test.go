package main

import (
	"strings"
	"testing"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/sdk/go/policytest"
)

const metric = "node_cpu_utilisation_ratio"

func newNode(t *testing.T) *policytest.Node {
	n := policytest.New(t, func() policy.Policy { return &boost{} })
	n.Metric(metric)
	n.Parameter("high", 0.8)
	n.Knob("CPUFrequency", "policy0/max_frequency", policytest.Table("Hz", 800e6, 2e9, 3.5e9))
	return n
}

func TestCalmNodeLooksFine(t *testing.T) {
	newNode(t).Episode(policytest.Values{metric: 0.1}).WantStay("at most 0.8")
}

func TestBusyNodeCrashesIt(t *testing.T) {
	defer func() {
		err, _ := recover().(error)
		if err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("got %v", err)
		}
	}()
	newNode(t).Episode(policytest.Values{metric: 0.95})
}
