package node

import (
	"context"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/plugins/rollout/report"
)

// rollOut begins the rollout of an accepted version: at once into charge, unless the upload says otherwise.
func (p *policies) rollOut(ctx context.Context, next *running, record *state.Policy, o api.UploadOptions, by api.Actor, result *api.UploadResult) (kept bool, err error) {
	t, err := p.aligned(ctx, next.name)
	if err != nil {
		return false, err
	}
	start := rollout.Begin{ID: newRolloutID()}
	if start.Spec, err = spec(o); err != nil {
		return false, err
	}
	if start.Before, err = before(t, record); err != nil {
		return false, err
	}
	if o.Rollout != nil {
		start.Supersede, start.Force = o.Rollout.Supersede, o.Rollout.Force
	}
	was := p.find(next.name)
	if err := p.begin(ctx, t, next, record, start, by); err != nil {
		return false, err
	}
	switch t.state.Phase {
	case rollout.PhaseRetired, rollout.PhaseQuarantined:
		if t.failed != nil {
			return true, t.failed
		}
		return true, &Error{Code: "rollout.failed", What: "roll out " + subject(next.name, next.version, ""), Why: t.state.Why, Hint: "see `edgehold policy rollout get " + next.name + "`"}
	}
	p.describeStart(ctx, t, was, o, result)
	return true, nil
}

// spec is what an upload asks of its rollout; examineRollout has read it before.
func spec(o api.UploadOptions) (rollout.Spec, error) {
	if o.Rollout == nil {
		return plainSpec, nil
	}
	return report.ParseSpec(o.Rollout.Spec)
}

// describeStart says what came of an upload.
func (p *policies) describeStart(ctx context.Context, t *trial, before *running, o api.UploadOptions, result *api.UploadResult) {
	if o.Rollout != nil {
		shown := p.showRollout(ctx, t)
		result.Rollout = &shown
	}
	now := p.find(t.name)
	switch {
	case now != nil && now.digest == t.state.Digest:
		result.Activated, result.Reason = now.bound(), now.waits
		if before != nil && before.digest != now.digest {
			result.Replaced = before.version
		}
	case !t.state.HeldUntil().IsZero():
		result.Reason = "it is held until " + t.state.HeldUntil().UTC().Format("15:04:05 UTC") + ": " + t.state.Mark(t.state.Digest).Why
	default:
		result.Reason = "its rollout has begun: " + string(t.state.Phase)
	}
}

// rollouts is how new versions come into charge, as the API sees it.
type rollouts struct{ p *policies }

// List implements apiserver.Rollouts.
func (r rollouts) List(ctx context.Context) ([]api.Rollout, error) {
	records, err := r.p.db.Policies(ctx)
	if err != nil {
		return nil, err
	}
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	var out []api.Rollout
	for _, record := range records {
		t, err := r.p.trial(ctx, record.Name)
		if err != nil {
			return nil, err
		}
		if t.state.ID != "" {
			out = append(out, r.p.showRollout(ctx, t))
		}
	}
	slices.SortFunc(out, func(a, b api.Rollout) int { return strings.Compare(a.Policy, b.Policy) })
	return out, nil
}

// Get implements apiserver.Rollouts.
func (r rollouts) Get(ctx context.Context, policy string) (api.Rollout, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	return r.get(ctx, policy)
}

func (r rollouts) get(ctx context.Context, policy string) (api.Rollout, error) {
	if _, err := r.p.record(ctx, policy); err != nil {
		return api.Rollout{}, err
	}
	t, err := r.p.trial(ctx, policy)
	if err != nil {
		return api.Rollout{}, err
	}
	if t.state.ID == "" {
		return api.Rollout{}, &Error{Code: "rollout.not-found", What: "find the rollout of policy " + policy, Why: "it had none",
			Hint: "an upload with --shadow, --canary or --gate begins one"}
	}
	return r.p.showRollout(ctx, t), nil
}

// Steer implements apiserver.Rollouts.
func (r rollouts) Steer(ctx context.Context, policy string, o api.RolloutOrder, by api.Actor) (api.Rollout, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	err := r.steer(ctx, policy, o, by)
	r.p.audit(ctx, by, "rollout."+string(o.Verb), policy, err)
	if err != nil {
		return api.Rollout{}, err
	}
	return r.get(ctx, policy)
}

func (r rollouts) steer(ctx context.Context, policy string, o api.RolloutOrder, by api.Actor) error {
	t, err := r.p.aligned(ctx, policy)
	if err != nil {
		return err
	}
	e := rollout.Event{Kind: rollout.EventKind(o.Verb), By: by.String(), Person: true, Why: o.Why}
	if o.Verb == api.RolloutPardon {
		if e.Digest, err = r.pardoned(ctx, t, o.Version); err != nil {
			return err
		}
	}
	if err := r.p.step(ctx, t, e); err != nil {
		return err
	}
	return r.p.outcome(t, e.Kind)
}

// pardoned is the digest of the version to pardon.
func (r rollouts) pardoned(ctx context.Context, t *trial, version string) (string, error) {
	if version == "" {
		return t.state.Digest, nil
	}
	record, err := r.p.record(ctx, t.name)
	if err != nil {
		return "", err
	}
	return r.p.rollbackTarget(ctx, record, version)
}

// outcome is the error of an order that was understood and could not be carried out.
func (p *policies) outcome(t *trial, kind rollout.EventKind) error {
	switch failed := t.failed; {
	case failed == nil:
		return nil
	case kind == rollout.Promote && t.state.Phase != rollout.PhaseActive, kind == rollout.Undo, kind == rollout.Abort:
		return failed
	}
	return nil
}
