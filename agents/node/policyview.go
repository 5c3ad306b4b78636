package node

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/agents/node/plug"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// List implements apiserver.PolicyReader.
func (p *policies) List(ctx context.Context) ([]api.Policy, error) {
	records, err := p.db.Policies(ctx)
	if err != nil {
		return nil, err
	}
	statuses := p.statuses()
	out := make([]api.Policy, 0, len(records))
	for _, record := range records {
		one, err := p.show(ctx, record, statuses)
		if err != nil {
			return nil, err
		}
		one.Versions = nil
		out = append(out, one)
	}
	return out, nil
}

// Get implements apiserver.PolicyReader.
func (p *policies) Get(ctx context.Context, name string) (api.Policy, error) {
	record, err := p.record(ctx, name)
	if err != nil {
		return api.Policy{}, err
	}
	return p.show(ctx, record, p.statuses())
}

// Versions implements apiserver.PolicyReader.
func (p *policies) Versions(ctx context.Context, name string) ([]api.PolicyVersion, error) {
	if _, err := p.record(ctx, name); err != nil {
		return nil, err
	}
	stored, err := p.db.Versions(ctx, name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	out := make([]api.PolicyVersion, 0, len(stored))
	for _, v := range stored {
		out = append(out, api.PolicyVersion{
			Version: v.Version, Digest: v.Digest, State: versionState(v.State), SizeBytes: v.Size,
			UploadedAt: v.Accepted, UploadedBy: v.By, Reason: v.Reason, Trust: p.trust.Show(v.Digest),
		})
	}
	return out, nil
}

func versionState(s state.VersionState) api.VersionState {
	if s == state.Prepared {
		return api.VersionRetired
	}
	return api.VersionState(s)
}

func (p *policies) statuses() map[string]agents.Status {
	out := map[string]agents.Status{}
	for _, s := range p.engine.Status() {
		out[s.Key.Policy] = s
	}
	return out
}

func (p *policies) show(ctx context.Context, record state.Policy, statuses map[string]agents.Status) (api.Policy, error) {
	versions, err := p.Versions(ctx, record.Name)
	if err != nil {
		return api.Policy{}, err
	}
	out := api.Policy{
		Name: record.Name, Enabled: record.Enabled, Digest: record.Active, Versions: versions,
		ActiveVersion: versionOf(versions, record.Active), StandbyVersion: versionOf(versions, record.Standby),
	}
	r, status := p.find(record.Name), statuses[record.Name]
	out.State, out.StateReason = condition(record, r, status)
	if record.Active != "" {
		out.Trust = p.trust.Show(record.Active)
	}
	out.Rollout = p.candidateOf(record.Name)
	if r == nil || r.module == nil {
		p.describeStored(record.Active, &out)
		if r != nil && r.past != nil {
			out.Health = healthOf(r, *r.past, status)
		}
		return out, nil
	}
	out.ActivatedAt = r.activated
	out.Manifest, out.Grants = manifestSummary(r.module.Manifest()), r.dict.Grants
	for i, v := range r.dict.Init().Parameters {
		out.Manifest.Parameters[i].Default = v
	}
	out.Health = healthOf(r, r.module.Stats(), status)
	return out, nil
}

func healthOf(r *running, s host.Stats, status agents.Status) api.PolicyHealth {
	h := health(s, status)
	if r.plans != nil {
		h.Plans = r.plans.Load()
	}
	return h
}

// candidateOf tells of the rollout that is under way, without waiting for a change that is.
func (p *policies) candidateOf(name string) *api.PolicyRollout {
	v, ok := p.shown.Load(name)
	if !ok {
		return nil
	}
	c := v.(*candidate)
	out := c.line
	if c.module != nil {
		h := health(c.module.Stats(), agents.Status{})
		out.Health = &h
	}
	return &out
}

// candidate is a rollout as readers see it; it does not change once it is published.
type candidate struct {
	line   api.PolicyRollout
	module plug.Prepared // of the version that is not in charge; nil if none is prepared
}

// showCandidate publishes what of a trial concerns readers of policies.
func (p *policies) showCandidate(t *trial) {
	if t.state.Over() {
		p.shown.Delete(t.name)
		return
	}
	c := &candidate{line: api.PolicyRollout{
		ID: t.state.ID, Version: t.state.Version, Phase: api.RolloutPhase(t.state.Phase), Paused: t.state.Paused(), Ends: t.state.Ends,
	}}
	if t.other != nil {
		c.module, c.line.Other = t.other.module, t.other.version
	}
	p.shown.Store(t.name, c)
}

// describeStored fills in what a module that does not run says of itself.
func (p *policies) describeStored(digest string, out *api.Policy) {
	raw, err := p.db.Module(digest)
	if err != nil {
		return
	}
	if m, err := wasmabi.ReadManifest(raw); err == nil {
		out.Manifest = manifestSummary(m)
	}
}

func versionOf(versions []api.PolicyVersion, digest string) string {
	i := slices.IndexFunc(versions, func(v api.PolicyVersion) bool { return v.Digest == digest })
	if i < 0 {
		return ""
	}
	return versions[i].Version
}

func condition(record state.Policy, r *running, s agents.Status) (api.PolicyState, string) {
	switch {
	case !record.Enabled:
		return api.PolicyDisabled, ""
	case r == nil:
		return api.PolicyWaiting, "no version of it is active"
	case r.module == nil:
		return api.PolicyQuarantined, r.waits
	case !r.inCharge():
		return api.PolicyWaiting, r.waits
	case s.Condition == agents.Off:
		return api.PolicyWaiting, "it uses machine learning, and the management mode is heuristic"
	case s.Last != nil:
		return api.PolicyActive, "its last run failed: " + s.Last.Message
	}
	return api.PolicyActive, ""
}

func health(s host.Stats, status agents.Status) api.PolicyHealth {
	h := api.PolicyHealth{
		Calls: s.Calls, FuelMax: s.Fuel.Quantile(1), LatencyP50US: s.Latency.Quantile(0.5) / 1000,
		LatencyP99US: s.Latency.Quantile(0.99) / 1000, LastDecisionID: status.Decision,
	}
	for _, n := range s.Errors {
		h.Failures += n
	}
	if n := s.Fuel.Count(); n > 0 {
		h.FuelMean = s.Fuel.Sum / n
	}
	if status.Last != nil {
		h.LastError, h.LastErrorCode, h.LastErrorAt = status.Last.Message, status.Last.Code, status.At
	}
	return h
}

func manifestSummary(m *wasmabi.Manifest) api.ManifestSummary {
	out := api.ManifestSummary{
		Name: m.Name, Version: m.Version, Kind: m.Kind, Layer: m.Layer, Scope: m.Scope, ABI: m.ABI, Door: m.Door, Description: m.Description,
		AnalyzeIntervalMS: uint32(loop.Interval(m).Milliseconds()), UsesML: m.UsesML, StateSchema: m.StateSchema, Vectors: len(m.Vectors),
		Limits:  api.Limits{Fuel: m.Limits.Fuel, DeadlineMS: m.Limits.DeadlineMS, MemoryBytes: m.Limits.MemoryBytes},
		Metrics: []api.ManifestMetric{}, Mechanisms: []api.ManifestMechanism{},
	}
	if m.Kind == wasmabi.KindAdapter {
		out.Provides = &api.ManifestProvides{Mechanism: m.Provides.Mechanism, Summary: m.Provides.Summary}
	}
	for i := range m.Capabilities {
		out.Capabilities = append(out.Capabilities, plug.Summary(&m.Capabilities[i]))
	}
	for _, r := range m.Metrics {
		one := api.ManifestMetric{Name: r.Name, Reduce: r.Reduce, Query: r.Query, Unit: r.Unit, Required: r.Required}
		for _, l := range r.Labels {
			if one.Labels == nil {
				one.Labels = map[string]string{}
			}
			one.Labels[l.Name] = l.Value
		}
		out.Metrics = append(out.Metrics, one)
	}
	for _, r := range m.Mechanisms {
		out.Mechanisms = append(out.Mechanisms, api.ManifestMechanism{Name: r.Name, Verbs: r.Verbs, Knobs: r.Knobs, Reason: r.Reason})
	}
	for _, w := range m.Wake {
		out.Wake = append(out.Wake, api.ManifestWake{Metric: m.Metrics[w.Metric].Name, Above: number(w.Above), Below: number(w.Below)})
	}
	for _, q := range m.Parameters {
		out.Parameters = append(out.Parameters, api.ManifestParameter{
			Name: q.Name, Unit: q.Unit, Default: q.Default, Min: number(q.Min), Max: number(q.Max), Description: q.Description,
		})
	}
	return out
}

// number is nil for NaN, which stands for no bound.
func number(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}
