package apiservertest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/plugins/rollout/report"
)

// rollouts runs the real state machine; what it asks for is done at once and never fails. Time passes and passes are measured only
// as Advance and Measure say.
type rollouts struct{ *Agent }

func (a rollouts) List(context.Context) ([]api.Rollout, error) {
	defer a.enter("rollouts.List")()
	var all []api.Rollout
	for name, p := range a.policies {
		if p.rollout.ID != "" {
			all = append(all, a.showRollout(name, p))
		}
	}
	slices.SortFunc(all, func(x, y api.Rollout) int { return cmp.Compare(x.Policy, y.Policy) })
	return all, nil
}

func (a rollouts) Get(_ context.Context, name string) (api.Rollout, error) {
	defer a.enter("rollouts.Get")()
	p, err := policies(a).find("get the rollout of", name)
	if err != nil {
		return api.Rollout{}, err
	}
	if p.rollout.ID == "" {
		return api.Rollout{}, &Error{"get the rollout of policy " + name, "rollout.not-found", "it had none", "an upload with --shadow, --canary or --gate begins one"}
	}
	return a.showRollout(name, p), nil
}

func (a rollouts) Steer(_ context.Context, name string, o api.RolloutOrder, by api.Actor) (api.Rollout, error) {
	defer a.enter("rollouts.Steer")()
	p, err := policies(a).find(string(o.Verb)+" the rollout of", name)
	if err != nil {
		return api.Rollout{}, err
	}
	e := rollout.Event{Kind: rollout.EventKind(o.Verb), By: by.String(), Person: true, Why: o.Why}
	if o.Verb == api.RolloutPardon {
		e.Digest = p.rollout.Digest
		if i := p.indexOf(o.Version); i >= 0 {
			e.Digest = p.versions[i].shown.Digest
		}
	}
	err = a.step(name, p, string(o.Verb)+" the rollout of", e)
	a.record(by, "rollout."+string(o.Verb), name, "done", err)
	if err != nil {
		return api.Rollout{}, err
	}
	return a.showRollout(name, p), nil
}

// begin rolls out a version that is stored already.
func (a *Agent) begin(name string, p *policy, v version, o *api.RolloutStart, by api.Actor) (*api.Rollout, error) {
	spec, err := report.ParseSpec(o.Spec)
	if err != nil {
		return nil, err
	}
	a.rolledOut++
	start := &rollout.Begin{
		ID: "r" + string(rune('0'+a.rolledOut%10)), Digest: v.shown.Digest, Version: v.shown.Version, Spec: spec, Supersede: o.Supersede, Force: o.Force,
		Active: p.digestIn(api.VersionActive), Standby: p.digestIn(api.VersionStandby),
	}
	if err := a.step(name, p, "roll out", rollout.Event{Kind: rollout.Start, Start: start, By: by.String(), Person: true}); err != nil {
		return nil, err
	}
	shown := a.showRollout(name, p)
	return &shown, nil
}

// step gives an event to the machine and does what it asks for.
func (a *Agent) step(name string, p *policy, attempt string, events ...rollout.Event) error {
	for len(events) > 0 {
		e := events[0]
		e.At = a.Now().Add(a.passed)
		var actions []rollout.Action
		p.rollout, actions = p.rollout.Step(e)
		for _, action := range actions {
			if action.Kind == rollout.Refuse {
				return &Error{attempt + " policy " + name, action.Code, action.Why, action.Hint}
			}
		}
		events = append(events[1:], p.carryOut(actions)...)
		a.publish(api.ResourceRollout, name, api.EventRolloutMoved, string(p.rollout.Phase))
	}
	return nil
}

var answers = map[rollout.ActionKind]rollout.EventKind{
	rollout.Fetch: rollout.Fetched, rollout.Verify: rollout.Verified, rollout.Validate: rollout.Validated, rollout.Prepare: rollout.Prepared,
	rollout.Activate: rollout.Activated, rollout.RollBack: rollout.RolledBack,
}

func (p *policy) carryOut(actions []rollout.Action) (events []rollout.Event) {
	for _, action := range actions {
		if action.Kind == rollout.Activate || action.Kind == rollout.RollBack {
			p.activate(p.versionOf(action.Digest))
		}
		if answer := answers[action.Kind]; answer != "" {
			events = append(events, rollout.Event{Kind: answer, Rollout: action.Rollout})
		}
	}
	return events
}

// Advance lets time pass for every rollout.
func (a *Agent) Advance(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.passed += d
	for name, p := range a.policies {
		_ = a.step(name, p, "advance", rollout.Event{Kind: rollout.Tick}) // nothing refuses a tick
	}
}

// Measure gives a reading to the rollout of a policy.
func (a *Agent) Measure(name string, r rollout.Reading) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.policies[name]; p != nil {
		_ = a.step(name, p, "measure", rollout.Event{Kind: rollout.Measured, Rollout: p.rollout.ID, Reading: &r})
	}
}

func (a *Agent) showRollout(name string, p *policy) api.Rollout {
	return report.Rollout(name, &p.rollout, p.versionOf)
}

func (p *policy) versionOf(digest string) string {
	for _, v := range p.versions {
		if v.shown.Digest == digest {
			return v.shown.Version
		}
	}
	return digest
}

func (p *policy) digestIn(s api.VersionState) string {
	if i := p.inState(s); i >= 0 {
		return p.versions[i].shown.Digest
	}
	return ""
}
