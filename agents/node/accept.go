package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/wasmabi"
)

// examine refuses a version that could not run here, however well it is made.
func (p *policies) examine(ctx context.Context, next *running, record *state.Policy, o api.UploadOptions) error {
	m := next.module.Manifest()
	if err := m.Validate(); err != nil { // a packer of ours would not have made it
		return err
	}
	if before := p.find(next.name); before != nil && before.module != nil && before.isAdapter() != next.isAdapter() {
		return &Error{
			Code: "policy.other-kind", What: "accept " + m.Kind + " " + next.name, Why: "a module of another kind has this name",
			Hint: "rename it, or delete the other first",
		}
	}
	if next.isAdapter() {
		return p.examineAdapter(ctx, next, record, o)
	}
	what := "accept policy " + subject(next.name, next.version, "")
	if m.Kind != wasmabi.KindPolicy || m.Layer != wasmabi.LayerNode || m.Scope != wasmabi.ScopeNode {
		return &Error{
			Code: "policy.not-for-this-agent", What: what, Why: fmt.Sprintf("it is a %s for the %s layer, %s scope", m.Kind, m.Layer, m.Scope),
			Hint: "this agent runs policies and adapters of layer node and scope node; a workload is for a device: `edgehold device push`",
		}
	}
	if err := p.isNew(ctx, next, what, o.Rollout != nil && o.Rollout.Force); err != nil {
		return err
	}
	if err := p.translate(ctx, next, what, record, o); err != nil {
		return err
	}
	if err := (&loop.Guest{Module: next.native(), Dictionary: next.dict}).Try(ctx, p.now()); err != nil {
		return &Error{
			Code: "policy.does-not-start", What: what, Why: "its Initialize failed: " + err.Error(), Err: err,
			Hint: "try it with `edgehold policy test`, against the metrics and knobs of this node",
		}
	}
	view, err := p.sensor.Open(m, next.dict)
	if err != nil {
		return err
	}
	view.Close()
	return nil
}

// translate gives next its dictionary: with what the upload says of parameters and grants, else with what held before.
func (p *policies) translate(ctx context.Context, next *running, what string, record *state.Policy, o api.UploadOptions) error {
	m, parameters, allow := next.module.Manifest(), record.Parameters, record.Allow
	if o.Allow != nil {
		allow = o.Allow
	}
	if o.Parameters != nil {
		parameters = o.Parameters
		if err := checkParameters(what, m, parameters); err != nil {
			return err
		}
	}
	next.dict = p.dictionary(ctx, m, parameters, allow)
	return nil
}

// isNew refuses a module that is in quarantine, unless a person insists, and another module under a version that is known.
func (p *policies) isNew(ctx context.Context, next *running, what string, force bool) error {
	versions, err := p.db.Versions(ctx, next.name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	for _, v := range versions {
		if v.Digest == next.digest && v.State == state.Quarantined && !force {
			return &Error{
				Code: codeQuarantined, What: what, Why: "this module misbehaved here: " + v.Reason,
				Hint: "mend it and raise its version, or insist with `edgehold policy rollback " + next.name + " --to " + next.version + "`",
			}
		}
		if v.Version == next.version && v.Digest != next.digest {
			return &Error{
				Code: "policy.version-taken", What: what, Why: "another module was accepted under this version: " + v.Digest,
				Hint: "raise the version in policy.yaml: a version means one module for ever",
			}
		}
	}
	return nil
}

func checkParameters(what string, m *wasmabi.Manifest, values map[string]float64) error {
	for name, v := range values {
		i := slices.IndexFunc(m.Parameters, func(p wasmabi.Parameter) bool { return p.Name == name })
		if i < 0 {
			return &Error{Code: "policy.no-such-parameter", What: what, Why: fmt.Sprintf("it has no parameter %q", name), Hint: "see `edgehold policy inspect`"}
		}
		if p := m.Parameters[i]; !p.Allows(v) {
			return &Error{
				Code: "policy.parameter-out-of-range", What: what, Why: fmt.Sprintf("%s is %v, it has to be %s", name, v, allowedRange(p)),
				Hint: "choose a value within the range",
			}
		}
	}
	return nil
}

// allowedRange puts a parameter's bounds into words.
func allowedRange(p wasmabi.Parameter) string {
	switch low, high := !math.IsNaN(p.Min), !math.IsNaN(p.Max); {
	case low && high:
		return strings.TrimSpace(fmt.Sprintf("%v to %v %s", p.Min, p.Max, p.Unit))
	case low:
		return strings.TrimSpace(fmt.Sprintf("at least %v %s", p.Min, p.Unit))
	case high:
		return strings.TrimSpace(fmt.Sprintf("at most %v %s", p.Max, p.Unit))
	}
	return "a number"
}
