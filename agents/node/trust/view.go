package trust

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/doctor"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/sign"
)

// Policies is what a view has to know of the policies.
type Policies interface {
	Get(ctx context.Context, name string) (api.Policy, error)
	Installed(ctx context.Context, policy string) (digest string, err error)
}

// View shows what this node believes, and has it ask its source.
type View struct {
	Judge    *Judge
	Follower *Follower // nil without a source
	Policies Policies
	Audit    func(ctx context.Context, by api.Actor, action, subject string, err error)
}

// Status implements apiserver.Trust.
func (v View) Status(ctx context.Context) (api.TrustStatus, error) {
	out := api.TrustStatus{Require: "unsigned"}
	if v.Judge.config.Signed {
		out.Require = "signed"
	}
	if v.Follower != nil {
		out.Source = v.Follower.Name
	}
	if v.Judge.client == nil {
		return out, nil
	}
	s := v.Judge.client.Status()
	out.Rooted, out.Node, out.Modules, out.Time, out.ClockBehind, out.UpdatedAt = true, s.Node, s.Modules, s.Time, s.ClockBehind, s.Updated
	for repository, roles := range map[string][]sign.RoleStatus{sign.Images: s.Images, sign.Director: s.Director} {
		for _, r := range roles {
			out.Documents = append(out.Documents, api.TrustDocument{Repository: repository, Role: r.Role, Version: r.Version, Issued: r.Issued, Expires: r.Expires, Expired: r.Expired})
		}
	}
	sortDocuments(out.Documents)
	for _, warning := range []string{s.Lost, s.ClockDoubt} {
		if warning != "" {
			out.Warnings = append(out.Warnings, warning)
		}
	}
	if v.Follower != nil {
		v.Follower.show(&out)
	}
	var err error
	out.Assigned, err = v.assigned(ctx, s.Assignments)
	return out, err
}

// sortDocuments puts the images first, and the most trusted role.
func sortDocuments(all []api.TrustDocument) {
	slices.SortFunc(all, func(a, b api.TrustDocument) int {
		return cmp.Or(cmp.Compare(b.Repository, a.Repository), cmp.Compare(slices.Index(sign.Roles, a.Role), slices.Index(sign.Roles, b.Role)))
	})
}

func (f *Follower) show(out *api.TrustStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out.TriedAt, out.NextAt = f.tried, f.next
	if f.failed != nil {
		out.LastError, out.LastErrorCode = f.failed.Error(), fault.Code(f.failed)
	}
}

func (v View) assigned(ctx context.Context, all []sign.Assignment) ([]api.TrustAssignment, error) {
	var out []api.TrustAssignment
	for _, a := range all {
		one, err := v.assignment(ctx, a)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (v View) assignment(ctx context.Context, a sign.Assignment) (api.TrustAssignment, error) {
	out := api.TrustAssignment{Policy: a.Name, Version: a.Version, Digest: a.Digest, State: api.AssignmentWaiting}
	p, err := v.Policies.Get(ctx, a.Name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return out, err
	}
	installed, err := v.Policies.Installed(ctx, a.Name)
	if err != nil {
		return out, err
	}
	out.Running = p.ActiveVersion
	switch r, refused := v.refusal(a.Digest); {
	case p.Digest == a.Digest && p.State != api.PolicyQuarantined:
		out.State, out.Reason = api.AssignmentRunning, p.StateReason
	case p.Rollout != nil && p.Rollout.Version == a.Version:
		out.State, out.Reason = api.AssignmentRollingOut, string(p.Rollout.Phase)
	case refused:
		out.State, out.Reason = api.AssignmentFailed, r.err.Error()
	case installed == a.Digest:
		out.State, out.Reason = api.AssignmentReplaced, "it was installed, and another version put in charge since"
	}
	return out, nil
}

func (v View) refusal(digest string) (refusal, bool) {
	if v.Follower == nil {
		return refusal{}, false
	}
	return v.Follower.refusal(digest)
}

// Update implements apiserver.Trust. What could not be brought up to date is in the status.
func (v View) Update(ctx context.Context, by api.Actor) (api.TrustStatus, error) {
	if v.Follower == nil {
		return api.TrustStatus{}, &fault.Error{Code: "trust.no-source", What: "update trust", Why: "this node has no source of metadata", Hint: "set trust.source in its configuration"}
	}
	err := v.Follower.round(ctx, true)
	v.Audit(ctx, by, "trust.update", v.Follower.Name, err)
	if ctx.Err() != nil {
		return api.TrustStatus{}, ctx.Err()
	}
	return v.Status(ctx)
}

// Check is the doctor's.
func (v View) Check(ctx context.Context) doctor.Result {
	s, err := v.Status(ctx)
	if err != nil {
		return doctor.Fail("see the daemon's log", "%v", err)
	}
	if !s.Rooted {
		return doctor.OK("no root of trust: modules run unsigned, and are marked so")
	}
	for _, d := range s.Documents {
		if d.Expired {
			return doctor.Warn("have the operator run `edgehold trust refresh` and publish", "%s of the %s expired on %s: nothing new is accepted, what runs goes on", d.Role, d.Repository, d.Expires.Format("2006-01-02"))
		}
	}
	switch {
	case len(s.Warnings) > 0:
		return doctor.Warn("see `edgehold trust status`", "%s", s.Warnings[0])
	case s.ClockBehind:
		return doctor.Warn("set the clock, or keep trust.clock: signed", "the clock is earlier than what was signed: it is %s by the signatures", s.Time.Format("2006-01-02"))
	case s.LastError != "":
		return doctor.Warn("see `edgehold trust status`", "%s", s.LastError)
	}
	return doctor.OK("modules on the signed list: %d, assigned to this node: %d", s.Modules, len(s.Assigned))
}
