package node

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// options are what a person sets for a policy with an upload. What came with a version that is rolled out is of that version
// alone for as long as it has not stayed: the one in charge runs with what it had, and has it back in the end.
type options struct {
	Parameters map[string]float64 `json:"parameters,omitempty"`
	Allow      []string           `json:"allow"` // nil, which allows what the configuration does, is not the same as empty
}

// before is what a version that is rolled out has to leave behind if it does not stay. One that takes the place of another
// one, which never was in charge, leaves what was before both.
func before(t *trial, record *state.Policy) (string, error) {
	if t.state.Before != "" && !t.state.Over() && t.state.Phase != rollout.PhaseActive {
		return t.state.Before, nil
	}
	b, err := json.Marshal(options{Parameters: record.Parameters, Allow: record.Allow})
	if err != nil {
		return "", fmt.Errorf("keep the options of policy %s: %w", record.Name, err)
	}
	return string(b), nil
}

func (t *trial) before() (o options, ok bool) {
	if t == nil || t.state.Before == "" {
		return o, false
	}
	return o, json.Unmarshal([]byte(t.state.Before), &o) == nil
}

// optionsOf returns the record with the options that a version of it runs with.
func (p *policies) optionsOf(record state.Policy, digest string) state.Policy {
	t := p.trials[record.Name]
	if o, ok := t.before(); ok && !t.state.Over() && digest != t.state.Digest {
		record.Parameters, record.Allow = o.Parameters, o.Allow
	}
	return record
}

// restoreOptions has a policy have its options back when a version ends that did not stay. It is done before that is written
// down: after a crash between the two the version ends once more.
func (p *policies) restoreOptions(ctx context.Context, t *trial, was *rollout.State) {
	o, ok := t.before()
	if !ok || was.Over() || was.ID != t.state.ID || !t.state.Over() || t.state.Phase == rollout.PhaseActive {
		return
	}
	err := p.db.SetParameters(ctx, t.name, o.Parameters)
	if err == nil {
		err = p.db.SetAllow(ctx, t.name, o.Allow)
	}
	if err != nil {
		p.log.Error("a policy keeps the options of a version that did not stay", "policy", t.name, "error", err)
	}
}
