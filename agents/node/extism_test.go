package node

import (
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

const extismManifest = `
name: extism-boost
version: 1.0.0
door: extism
metrics:
  - name: node_cpu_utilisation_ratio
    unit: ratio
mechanisms:
  - name: CPUFrequency
    verbs: [set]
    knobs: ["*/max_frequency"]
    reason: follow the load
parameters:
  - name: high
    default: 0.8
limits:
  fuel: 10000000
`

// TestExtismPluginDecides uploads a plugin that knows nothing of us. The node does not notice: it decides, its variables outlive a
// restart, and its decisions are explained and replayed.
func TestExtismPluginDecides(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin")
	}
	manifest, err := plugins.ParseManifest([]byte(extismManifest))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := plugins.Pack(pluginstest.ExtismPolicy(t), manifest)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.busy(0.1)
	if _, err := r.Policies.Upload(t.Context(), packed, api.UploadOptions{}, api.DaemonActor); err != nil {
		t.Fatalf("%+v", err)
	}
	r.await("the limit is low", func() bool { return r.limit() == slow })
	r.await("the decision is finished", func() bool { return len(r.list(t, api.DecisionApplied)) == 1 })
	r.stop()
	r.start()
	r.busy(0.05) // the knob went back to its old value when the node stopped
	r.await("the limit is low again", func() bool { return r.limit() == slow })
	r.await("the decision is finished", func() bool { return len(r.list(t, api.DecisionApplied)) == 2 })
	id := r.list(t, api.DecisionApplied)[0].ID
	d, err := r.Decisions.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Replayable || len(d.Calls) != 4 || d.PlanWhy != "plan 2" {
		t.Errorf("decision: %+v", d)
	}
	report, err := r.Decisions.Replay(t.Context(), id, api.ReplayRequest{})
	if err != nil || !report.SameBytes || !report.SameFuel || !report.SamePlan {
		t.Errorf("replay: %+v, %v", report, err)
	}
}
