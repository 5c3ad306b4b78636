package node

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/agents/node/plug"
	"github.com/edgehold/edgehold/agents/node/trust"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// policies is the life of every policy on this node: accepted, prepared, bound, swapped, rolled back, forgotten. The
// database is the truth; what is here is what runs of it. One change happens at a time, and whatever fails leaves the
// version that ran before running.
type policies struct {
	db         *state.DB
	runtime    *host.Runtime
	engine     *agents.Engine
	sensor     *loop.Sensor
	supervisor *mechanisms.Supervisor
	adapters   *plug.Board
	exit       mechanisms.ExitPolicy
	trust      *trust.Judge
	fetcher    *fetcher
	log        *slog.Logger
	now        func() time.Time
	publish    func(resource api.Resource, name, kind, message string)

	metrics metricStore
	kick    chan struct{} // holds one: that a candidate failed

	mu      sync.Mutex // of changes; held across database and engine
	trials  map[string]*trial
	shown   sync.Map      // name -> *candidate, replaced whole at each change
	running sync.Map      // name -> *running, replaced whole at each change
	changes atomic.Uint64 // modules prepared since the start
}

// running is a policy with its active version prepared. It does not change once it is published.
type running struct {
	name      string
	version   string
	digest    string
	module    plug.Prepared
	dict      *loop.Dictionary
	view      *loop.View // nil while it is not bound
	unit      *unit      // of an adapter that serves
	waits     string
	again     time.Time // without a module: when to try again to start it; zero is never
	activated time.Time
	plans     *atomic.Uint64 // made since the version was prepared
	verdict   *trust.Verdict // while it is being accepted: what stands behind it
	past      *host.Stats    // without a module: what it did while it had one
}

func key(name string) agents.Key { return agents.Key{Policy: name, Asset: agents.Node} }

// native returns the module on our own runner; nil for an adapter on the fallback. Policies have no other.
func (r *running) native() *host.Module { return plug.Native(r.module) }

func (r *running) bound() bool { return r.view != nil }

// find returns what runs of a policy, or nil.
func (p *policies) find(name string) *running {
	if v, ok := p.running.Load(name); ok {
		return v.(*running)
	}
	return nil
}

// Upload implements apiserver.PolicyUploader.
func (p *policies) Upload(ctx context.Context, module []byte, o api.UploadOptions, by api.Actor) (api.UploadResult, error) {
	module, from, err := p.fetcher.module(ctx, module, o.Reference)
	result := api.UploadResult{DryRun: o.DryRun}
	if err == nil {
		result, err = p.upload(ctx, module, o, by)
	}
	result.Reference = cmp.Or(from, o.Reference)
	p.auditUpload(ctx, by, result, err)
	if err == nil && !o.DryRun && !result.Unchanged {
		p.publish(api.ResourcePolicy, result.Name, api.EventPolicyUploaded, "version "+result.Version)
	}
	return result, err
}

func subject(name, version, digest string) string {
	if name == "" {
		return digest
	}
	return name + "@" + version
}

func (p *policies) upload(ctx context.Context, raw []byte, o api.UploadOptions, by api.Actor) (api.UploadResult, error) {
	start := time.Now()
	result := api.UploadResult{Digest: store.Digest(raw), DryRun: o.DryRun}
	verdict, err := p.trust.Admit(raw, result.Digest)
	if err != nil {
		return result, err
	}
	result.Trust = &verdict.Trust
	module, err := p.prepare(ctx, raw)
	if err != nil {
		return result, err
	}
	m := module.Manifest()
	result.Name, result.Version, result.Manifest = m.Name, m.Version, manifestSummary(m)
	result.PrepareUS = uint64(time.Since(start).Microseconds())

	p.mu.Lock()
	defer p.mu.Unlock()
	next := &running{name: m.Name, version: m.Version, digest: result.Digest, module: module, plans: new(atomic.Uint64), verdict: verdict}
	kept, err := p.accept(ctx, next, raw, o, by, &result)
	if !kept {
		if err := plug.Discard(module, p.find(m.Name) != nil); err != nil {
			p.log.Warn("what an adapter left behind is still there", "adapter", m.Name, "error", err)
		}
	}
	return result, err
}

func (p *policies) prepare(ctx context.Context, raw []byte) (plug.Prepared, error) {
	defer p.changes.Add(1)
	return p.adapters.Prepare(ctx, p.runtime, raw)
}

// accept judges a prepared module and, unless it is a dry run, stores and activates it. kept says that the module is in
// use now.
func (p *policies) accept(ctx context.Context, next *running, raw []byte, o api.UploadOptions, by api.Actor, result *api.UploadResult) (kept bool, err error) {
	record, err := p.db.Policy(ctx, next.name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return false, err
	}
	if err := p.examine(ctx, next, &record, o); err != nil {
		return false, err
	}
	result.Accepted, result.Grants = true, next.dict.Grants
	doubts, err := p.examineRollout(ctx, o.Rollout)
	if err != nil {
		return false, err
	}
	result.Warnings = append(next.dict.Denied(), doubts...)
	if w := plug.Warning(next.module); w != "" {
		result.Warnings = append(result.Warnings, "adapter "+next.name+" "+w)
	}
	if p.runs(&record, next) && o.Parameters == nil && o.Allow == nil {
		result.Unchanged, result.Activated = true, record.Enabled
		return false, nil
	}
	if o.DryRun {
		return false, nil
	}
	if err := p.store(ctx, next, raw, &record, o, by); err != nil {
		return false, err
	}
	undo, err := p.keepOptions(ctx, &record, o)
	if err != nil {
		return false, err
	}
	if kept, err = p.takeOver(ctx, next, &record, o, by, result); err != nil {
		undo()
	}
	return kept, err
}

func (p *policies) takeOver(ctx context.Context, next *running, record *state.Policy, o api.UploadOptions, by api.Actor, result *api.UploadResult) (kept bool, err error) {
	switch {
	case !record.Enabled && o.Rollout != nil:
		return false, &Error{Code: "rollout.policy-disabled", What: "roll out policy " + next.name, Why: "it is disabled, so there is nothing to compare with",
			Hint: "enable it first, or upload without a rollout"}
	case !record.Enabled:
		result.Reason = "the policy is disabled"
		return false, p.db.Activate(ctx, next.name, next.digest)
	case record.Active != next.digest && !next.isAdapter():
		return p.rollOut(ctx, next, record, o, by, result)
	}
	if before := p.find(next.name); before != nil && before.digest != next.digest {
		result.Replaced = before.version
	}
	if err := p.activate(ctx, next); err != nil {
		return false, err
	}
	result.Activated, result.Reason = next.inCharge(), next.waits
	return true, nil
}

// runs reports whether this very module is the active version, and alive if it should be.
func (p *policies) runs(record *state.Policy, next *running) bool {
	if record.Active != next.digest {
		return false
	}
	if !record.Enabled {
		_, err := p.db.Module(next.digest)
		return err == nil
	}
	r := p.find(next.name)
	return r != nil && r.digest == next.digest && r.module != nil
}

func (p *policies) store(ctx context.Context, next *running, raw []byte, record *state.Policy, o api.UploadOptions, by api.Actor) error {
	isNew := record.Name == ""
	if err := p.trust.Keep(next.verdict); err != nil {
		return err
	}
	if err := p.db.MakeRoom(ctx, int64(len(raw)), keptVersions); err != nil {
		return err
	}
	if _, err := p.db.Accept(ctx, state.Version{Policy: next.name, Version: next.version, By: by.String()}, raw); err != nil {
		return err
	}
	if isNew && o.Disabled {
		if err := p.db.SetEnabled(ctx, next.name, false); err != nil {
			return err
		}
	}
	var err error
	*record, err = p.db.Policy(ctx, next.name)
	return err
}

// keepOptions makes what came with an upload durable, before its version is in charge: a crash in between must not leave it
// with more than it is allowed. undo takes it back, for a version that could not take over.
func (p *policies) keepOptions(ctx context.Context, before *state.Policy, o api.UploadOptions) (undo func(), err error) {
	ctx = context.WithoutCancel(ctx)
	undo = func() {
		err := p.setOptions(ctx, before.Name, o, before.Parameters, before.Allow)
		if err != nil {
			p.log.Error("a policy keeps the options of a version that could not take over", "policy", before.Name, "error", err)
		}
	}
	if err := p.setOptions(ctx, before.Name, o, o.Parameters, o.Allow); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// setOptions sets those of parameters and allow that the upload names.
func (p *policies) setOptions(ctx context.Context, name string, o api.UploadOptions, parameters map[string]float64, allow []string) error {
	var errs []error
	if o.Allow != nil {
		errs = append(errs, p.db.SetAllow(ctx, name, allow))
	}
	if o.Parameters != nil {
		errs = append(errs, p.db.SetParameters(ctx, name, parameters))
	}
	return errors.Join(errs...)
}

// dictionary is what a module and this node agree on: a policy's mechanisms, an adapter's capabilities.
func (p *policies) dictionary(ctx context.Context, m *wasmabi.Manifest, parameters map[string]float64, allow []string) *loop.Dictionary {
	d := loop.NewDictionary(ctx, m, parameters, allow, p.supervisor)
	d.Grants = append(d.Grants, p.adapters.Grants(m, allow)...)
	return d
}

func (p *policies) auditUpload(ctx context.Context, by api.Actor, r api.UploadResult, err error) {
	detail := ""
	if r.Trust != nil {
		detail = (&trust.Verdict{Trust: *r.Trust}).String()
	}
	if r.Manifest.Door == wasmabi.DoorExtismSDK {
		detail += "; " + fallback.Warning
	}
	p.auditDetail(ctx, by, "policy.upload", cmp.Or(subject(r.Name, r.Version, r.Digest), r.Reference), detail, err)
}

func (p *policies) audit(ctx context.Context, by api.Actor, action, subject string, err error) {
	p.auditDetail(ctx, by, action, subject, "", err)
}

// auditDetail writes what was done and how it went; the cause of a failure goes before detail.
func (p *policies) auditDetail(ctx context.Context, by api.Actor, action, subject, detail string, err error) {
	e := state.Entry{Actor: by.String(), Action: action, Subject: subject, Outcome: "done", Detail: detail}
	if err != nil {
		e.Outcome, e.Detail = "refused", err.Error()
		e.Code = fault.Code(err)
	}
	if err := p.db.Audit(context.WithoutCancel(ctx), e); err != nil {
		p.log.Error("audit entry is lost", "action", action, "subject", subject, "error", err)
	}
}
