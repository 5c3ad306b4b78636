package main

import (
	"errors"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
)

func TestTrustUpdateFailsWhereTheStatusSaysSo(t *testing.T) {
	assigned := func(state api.TrustAssignmentState) []api.TrustAssignment {
		return []api.TrustAssignment{{Policy: "a", State: api.AssignmentRunning}, {Policy: "b", State: state}}
	}
	for name, test := range map[string]struct {
		status api.TrustStatus
		fault  bool
	}{
		"well":                 {api.TrustStatus{Assigned: assigned(api.AssignmentRollingOut)}, false},
		"the source is gone":   {api.TrustStatus{LastError: "no route", Assigned: assigned(api.AssignmentRunning)}, true},
		"a module was refused": {api.TrustStatus{Assigned: assigned(api.AssignmentFailed)}, true},
		"the node went back":   {api.TrustStatus{Assigned: assigned(api.AssignmentReplaced)}, false},
		"nothing was assigned": {api.TrustStatus{}, false},
	} {
		if err := trustFault(test.status); errors.Is(err, errFault) != test.fault {
			t.Errorf("%s: got %v, want a fault: %t", name, err, test.fault)
		}
	}
}
