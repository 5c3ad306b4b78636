package apiservertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/wasmabi"
)

// policy is a stored policy; versions are newest first.
type policy struct {
	shown    api.Policy
	versions []version
	rollout  rollout.State
}

type version struct {
	shown    api.PolicyVersion
	manifest api.ManifestSummary
}

type policies struct{ *Agent }

func (a policies) List(context.Context) ([]api.Policy, error) {
	defer a.enter("policies.List")()
	var all []api.Policy
	for _, p := range a.policies {
		all = append(all, a.show(p))
	}
	slices.SortFunc(all, func(x, y api.Policy) int { return strings.Compare(x.Name, y.Name) })
	for i := range all {
		all[i].Versions = nil
	}
	return all, nil
}

func (a policies) Get(_ context.Context, name string) (api.Policy, error) {
	defer a.enter("policies.Get")()
	p, err := a.find("get", name)
	if err != nil {
		return api.Policy{}, err
	}
	return a.show(p), nil
}

func (a policies) Versions(_ context.Context, name string) ([]api.PolicyVersion, error) {
	defer a.enter("policies.Versions")()
	p, err := a.find("list versions of", name)
	if err != nil {
		return nil, err
	}
	return a.show(p).Versions, nil
}

func (a policies) Upload(_ context.Context, module []byte, o api.UploadOptions, by api.Actor) (api.UploadResult, error) {
	defer a.enter("policies.Upload")()
	m, err := wasmabi.ReadManifest(module)
	if err != nil {
		a.record(by, "policy.upload", "", "refused", err)
		return api.UploadResult{}, err
	}
	sum := sha256.Sum256(module)
	v := version{
		shown: api.PolicyVersion{Version: m.Version, Digest: "sha256:" + hex.EncodeToString(sum[:]), State: api.VersionActive,
			SizeBytes: int64(len(module)), UploadedAt: a.Now(), UploadedBy: by.String()},
		manifest: summarize(m),
	}
	result := api.UploadResult{Name: m.Name, Version: m.Version, Digest: v.shown.Digest, Accepted: true, DryRun: o.DryRun,
		Manifest: v.manifest, Grants: grants(v.manifest, o.Allow), PrepareUS: 1500}
	p := a.policies[m.Name]
	if p != nil {
		if i := p.indexOf(m.Version); i >= 0 {
			if p.versions[i].shown.Digest != v.shown.Digest {
				err := &Error{"upload policy " + m.Name, "policy.version-exists", "version " + m.Version + " is stored with other bytes",
					"raise the version in policy.yaml and build again"}
				a.record(by, "policy.upload", m.Name, "refused", err)
				return api.UploadResult{}, err
			}
			result.Unchanged = p.versions[i].shown.State == api.VersionActive
		}
	}
	if o.DryRun || result.Unchanged {
		return result, nil
	}
	if p == nil {
		p = &policy{shown: api.Policy{Name: m.Name, Enabled: !o.Disabled}}
		a.policies[m.Name] = p
	} else {
		result.Replaced = p.active().shown.Version
	}
	if o.Rollout != nil {
		return a.rollOut(p, v, o.Rollout, result, by)
	}
	p.versions = append([]version{v}, p.versions...)
	p.activate(m.Version)
	p.shown.Grants, p.shown.ActivatedAt = result.Grants, a.Now()
	result.Activated = p.shown.Enabled
	if !result.Activated {
		result.Reason = "the policy is switched off"
	}
	a.record(by, "policy.upload", m.Name, "accepted", nil)
	a.publish(api.ResourcePolicy, m.Name, api.EventPolicyActivated, m.Name+" "+m.Version+" decides now")
	return result, nil
}

// rollOut stores a version that has to prove itself.
func (a policies) rollOut(p *policy, v version, o *api.RolloutStart, result api.UploadResult, by api.Actor) (api.UploadResult, error) {
	if p.indexOf(v.shown.Version) < 0 {
		v.shown.State = api.VersionRetired
		p.versions = append([]version{v}, p.versions...)
	}
	var err error
	result.Rollout, err = a.begin(result.Name, p, v, o, by)
	a.record(by, "policy.upload", result.Name, "accepted", err)
	if err != nil {
		return api.UploadResult{}, err
	}
	if result.Activated = p.active().shown.Digest == v.shown.Digest; !result.Activated {
		result.Reason, result.Replaced = "its rollout has begun: "+string(result.Rollout.Phase), ""
	}
	a.publish(api.ResourcePolicy, result.Name, api.EventPolicyUploaded, "")
	return result, nil
}

func (a policies) Enable(_ context.Context, name string, by api.Actor) (api.Policy, error) {
	return a.toggle(name, true, "enable", api.EventPolicyEnabled, by)
}

func (a policies) Disable(_ context.Context, name string, by api.Actor) (api.Policy, error) {
	return a.toggle(name, false, "disable", api.EventPolicyDisabled, by)
}

func (a policies) toggle(name string, on bool, verb, event string, by api.Actor) (api.Policy, error) {
	defer a.enter("policies." + verb)()
	p, err := a.find(verb, name)
	a.record(by, "policy."+verb, name, "done", err)
	if err != nil {
		return api.Policy{}, err
	}
	p.shown.Enabled = on
	a.publish(api.ResourcePolicy, name, event, "")
	return a.show(p), nil
}

func (a policies) Rollback(_ context.Context, name, to string, by api.Actor) (api.Policy, error) {
	defer a.enter("policies.Rollback")()
	p, err := a.find("roll back", name)
	if err != nil {
		return api.Policy{}, err
	}
	if to == "" {
		to = p.standby()
	}
	if to == "" || p.indexOf(to) < 0 {
		return api.Policy{}, &Error{"roll back policy " + name, "policy.no-standby", "no such version is stored", "see edgehold policy versions " + name}
	}
	p.activate(to)
	a.record(by, "policy.rollback", name, "done", nil)
	a.publish(api.ResourcePolicy, name, api.EventPolicyRolledBack, name+" is back at "+to)
	return a.show(p), nil
}

func (a policies) Delete(_ context.Context, name string, by api.Actor) error {
	defer a.enter("policies.Delete")()
	_, err := a.find("delete", name)
	a.record(by, "policy.delete", name, "done", err)
	if err != nil {
		return err
	}
	delete(a.policies, name)
	a.publish(api.ResourcePolicy, name, api.EventPolicyDeleted, "")
	return nil
}

func (a policies) find(attempt, name string) (*policy, error) {
	if p := a.policies[name]; p != nil {
		return p, nil
	}
	return nil, notFound("policy", attempt, name)
}

func (a policies) show(p *policy) api.Policy {
	shown, active := p.shown, p.active()
	shown.ActiveVersion, shown.Digest, shown.Manifest = active.shown.Version, active.shown.Digest, active.manifest
	shown.StandbyVersion = p.standby()
	if s := &p.rollout; !s.Over() {
		shown.Rollout = &api.PolicyRollout{ID: s.ID, Version: s.Version, Phase: api.RolloutPhase(s.Phase), Paused: s.Paused(), Ends: s.Ends}
	}
	shown.State, shown.StateReason = api.PolicyActive, ""
	switch {
	case !shown.Enabled:
		shown.State, shown.StateReason = api.PolicyDisabled, "a person switched it off"
	case shown.Manifest.UsesML && a.mode.Mode == api.ModeHeuristic:
		shown.State, shown.StateReason = api.PolicyWaiting, "it uses machine learning and the mode is heuristic"
	}
	for _, v := range p.versions {
		shown.Versions = append(shown.Versions, v.shown)
	}
	return shown
}

func (p *policy) indexOf(name string) int {
	return slices.IndexFunc(p.versions, func(v version) bool { return v.shown.Version == name })
}

func (p *policy) active() version { return p.versions[max(0, p.inState(api.VersionActive))] }

func (p *policy) standby() string {
	if i := p.inState(api.VersionStandby); i >= 0 {
		return p.versions[i].shown.Version
	}
	return ""
}

func (p *policy) inState(s api.VersionState) int {
	return slices.IndexFunc(p.versions, func(v version) bool { return v.shown.State == s })
}

// activate makes one version active, the one before it standby and the rest retired.
func (p *policy) activate(name string) {
	for i := range p.versions {
		state := &p.versions[i].shown.State
		switch {
		case p.versions[i].shown.Version == name:
			*state = api.VersionActive
		case *state == api.VersionActive:
			*state = api.VersionStandby
		default:
			*state = api.VersionRetired
		}
	}
}

func summarize(m *wasmabi.Manifest) api.ManifestSummary {
	s := api.ManifestSummary{Name: m.Name, Version: m.Version, Kind: m.Kind, Layer: m.Layer, Scope: m.Scope, ABI: m.ABI, Door: m.Door,
		Description: m.Description, AnalyzeIntervalMS: m.AnalyzeIntervalMS, UsesML: m.UsesML}
	for _, metric := range m.Metrics {
		shown := api.ManifestMetric{Name: metric.Name, Query: metric.Query, Reduce: metric.Reduce, Unit: metric.Unit, Required: metric.Required}
		for _, label := range metric.Labels {
			shown.Labels = map[string]string{label.Name: label.Value}
		}
		s.Metrics = append(s.Metrics, shown)
	}
	for _, wake := range m.Wake {
		s.Wake = append(s.Wake, api.ManifestWake{Metric: m.Metrics[wake.Metric].Name, Above: bound(wake.Above), Below: bound(wake.Below)})
	}
	for _, mechanism := range m.Mechanisms {
		s.Mechanisms = append(s.Mechanisms, api.ManifestMechanism{Name: mechanism.Name, Verbs: mechanism.Verbs, Reason: mechanism.Reason})
	}
	return s
}

func bound(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func grants(m api.ManifestSummary, allow []string) (all []api.Grant) {
	for _, asked := range m.Mechanisms {
		all = append(all, api.Grant{Mechanism: asked.Name, Verbs: asked.Verbs, Asked: true, Offered: asked.Name == mechanismName,
			Allowed: allow == nil || slices.Contains(allow, asked.Name), Reason: asked.Reason})
	}
	return all
}
