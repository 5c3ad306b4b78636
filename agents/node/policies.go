package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

// policies is the life of every policy on this node: accepted, prepared, bound, swapped, rolled back, forgotten. The
// database is the truth; what is here is what runs of it. One change happens at a time, and whatever fails leaves the
// version that ran before running.
type policies struct {
	db         *state.DB
	runtime    *host.Runtime
	engine     *agents.Engine
	sensor     *sensor
	supervisor *mechanisms.Supervisor
	log        *slog.Logger
	now        func() time.Time
	publish    func(resource api.Resource, name, kind, message string)

	mu      sync.Mutex    // of changes; held across database and engine
	running sync.Map      // name -> *running, replaced whole at each change
	changes atomic.Uint64 // modules prepared since the start
}

// running is a policy with its active version prepared. It does not change once it is published.
type running struct {
	name      string
	version   string
	digest    string
	module    *host.Module
	dict      *dictionary
	view      *view // nil while it is not bound
	waits     string
	again     time.Time // without a module: when to try again to start it; zero is never
	activated time.Time
}

func key(name string) agents.Key { return agents.Key{Policy: name, Asset: agents.Node} }

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
	result, err := p.upload(ctx, module, o, by)
	p.audit(ctx, by, "policy.upload", subject(result.Name, result.Version, result.Digest), err)
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
	result := api.UploadResult{Digest: state.Digest(raw), DryRun: o.DryRun}
	module, err := p.prepare(ctx, raw)
	if err != nil {
		return result, err
	}
	m := module.Manifest()
	result.Name, result.Version, result.Manifest = m.Name, m.Version, manifestSummary(m)
	result.PrepareUS = uint64(time.Since(start).Microseconds())

	p.mu.Lock()
	defer p.mu.Unlock()
	next := &running{name: m.Name, version: m.Version, digest: result.Digest, module: module}
	kept, err := p.accept(ctx, next, raw, o, by, &result)
	if !kept {
		module.Close()
	}
	return result, err
}

func (p *policies) prepare(ctx context.Context, raw []byte) (*host.Module, error) {
	defer p.changes.Add(1)
	return p.runtime.Prepare(ctx, raw)
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
	result.Accepted, result.Grants = true, next.dict.grants
	result.Warnings = warnings(next.dict)
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
	if before := p.find(next.name); before != nil && before.digest != next.digest {
		result.Replaced = before.version
	}
	if !record.Enabled {
		result.Reason = "the policy is disabled"
		err := p.db.Activate(ctx, next.name, next.digest)
		return false, errors.Join(err, p.keepOptions(ctx, next.name, o))
	}
	if err := p.activate(ctx, next); err != nil {
		return false, err
	}
	result.Activated, result.Reason = next.bound(), next.waits
	return true, p.keepOptions(ctx, next.name, o)
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

// examine refuses a version that could not run here, however well it is made.
func (p *policies) examine(ctx context.Context, next *running, record *state.Policy, o api.UploadOptions) error {
	m := next.module.Manifest()
	what := "accept policy " + subject(next.name, next.version, "")
	if m.Kind != wasmabi.KindPolicy || m.Layer != wasmabi.LayerNode || m.Scope != wasmabi.ScopeNode {
		return &Error{
			Code: "policy.not-for-this-agent", What: what, Why: fmt.Sprintf("it is a %s for the %s layer, %s scope", m.Kind, m.Layer, m.Scope),
			Hint: "this agent runs policies of layer node and scope node",
		}
	}
	versions, err := p.db.Versions(ctx, next.name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	for _, v := range versions {
		if v.Digest == next.digest && v.State == state.Quarantined {
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
	parameters := record.Parameters
	if o.Parameters != nil {
		parameters = o.Parameters
		if err := checkParameters(what, m, parameters); err != nil {
			return err
		}
	}
	allow := o.Allow
	if allow == nil {
		if allow, err = p.allowed(ctx, next.name); err != nil {
			return err
		}
	}
	dict := newDictionary(ctx, m, agents.Node, parameters, allow, p.supervisor)
	next.dict = &dict
	if err := (&guest{module: next.module, dict: next.dict}).try(ctx, p.now()); err != nil {
		return &Error{
			Code: "policy.does-not-start", What: what, Why: "its Initialize failed: " + err.Error(), Err: err,
			Hint: "try it with `edgehold policy test`, against the metrics and knobs of this node",
		}
	}
	view, err := p.sensor.open(m, next.dict, interval(m))
	if err != nil {
		return err
	}
	view.close()
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

func warnings(d *dictionary) []string {
	var out []string
	for _, g := range d.grants {
		if !g.Granted() {
			out = append(out, fmt.Sprintf("%s is not granted: %s", g.Mechanism, g.Reason))
		}
	}
	return out
}

func (p *policies) store(ctx context.Context, next *running, raw []byte, record *state.Policy, o api.UploadOptions, by api.Actor) error {
	isNew := record.Name == ""
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

// keepOptions makes what came with an upload durable, once its version is in charge: a version that could not take over
// leaves the one before with what it had.
func (p *policies) keepOptions(ctx context.Context, name string, o api.UploadOptions) error {
	var errs []error
	if o.Parameters != nil {
		errs = append(errs, p.db.SetParameters(ctx, name, o.Parameters))
	}
	if o.Allow != nil {
		errs = append(errs, p.db.SetSetting(ctx, allowKey(name), strings.Join(o.Allow, ",")))
	}
	return errors.Join(errs...)
}

func allowKey(policy string) string { return "allow/" + policy }

// allowed returns the mechanisms that the operator allows a policy; nil is all.
func (p *policies) allowed(ctx context.Context, name string) ([]string, error) {
	v, found, err := p.db.Setting(ctx, allowKey(name))
	if err != nil || !found {
		return nil, err
	}
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' }), nil
}

// activate puts a version in charge, first in the engine, then in the database; if the second fails, the first is taken
// back. A crash in between leaves the version before, and the caller was not told otherwise.
func (p *policies) activate(ctx context.Context, next *running) error {
	before := p.find(next.name)
	next.activated = p.now()
	if err := p.bind(ctx, next, before); err != nil {
		return err
	}
	if err := p.db.Activate(ctx, next.name, next.digest); err != nil {
		p.takeBack(ctx, next, before)
		return err
	}
	p.running.Store(next.name, next)
	if before != nil {
		before.retire()
	}
	p.publish(api.ResourcePolicy, next.name, api.EventPolicyActivated, "version "+next.version)
	return nil
}

func (p *policies) takeBack(ctx context.Context, next, before *running) {
	ctx = context.WithoutCancel(ctx)
	if !next.bound() {
		return
	}
	if before == nil || !before.bound() {
		_ = p.engine.Unbind(ctx, key(next.name))
		p.sensor.show(key(next.name), nil)
		next.view.close()
		return
	}
	p.sensor.show(key(next.name), before.view)
	if err := p.engine.Replace(ctx, p.binding(before)); err != nil {
		p.log.Error("the version before can't be put back until the next start", "policy", next.name, "error", err)
	}
	next.view.close()
}

// bind hands the loop over to next, or starts it, or leaves next waiting for what it needs.
func (p *policies) bind(ctx context.Context, next, before *running) error {
	k := key(next.name)
	view, err := p.sensor.open(next.module.Manifest(), next.dict, interval(next.module.Manifest()))
	if err != nil {
		return err
	}
	if before != nil && before.bound() {
		view.before = before.view
		p.sensor.show(k, view)
		next.view = view
		err := p.engine.Replace(ctx, p.binding(next))
		view = view.alone()
		if err != nil {
			p.sensor.show(k, before.view)
			next.view.close()
			next.view = nil
			return fmt.Errorf("swap policy %s from %s to %s: %w", next.name, before.version, next.version, err)
		}
		p.sensor.show(k, view)
		next.view = view
		return nil
	}
	if next.waits = p.waitsFor(ctx, next, view); next.waits != "" {
		view.close()
		return nil
	}
	p.sensor.show(k, view)
	next.view = view
	if err := p.engine.Bind(ctx, p.binding(next)); err != nil {
		p.sensor.show(k, nil)
		view.close()
		next.view = nil
		return err
	}
	return nil
}

// waitsFor says what a policy lacks, or nothing.
func (p *policies) waitsFor(ctx context.Context, r *running, v *view) string {
	if why := p.unfit(ctx, r); why != "" {
		return why
	}
	m := r.module.Manifest()
	if missing := v.missing(m); len(missing) > 0 {
		return "nobody has sent " + strings.Join(missing, ", ") + " yet"
	}
	return ""
}

// unfit says why a policy can't start with the knobs that there are, or nothing.
func (p *policies) unfit(ctx context.Context, r *running) string {
	if len(r.module.Manifest().Mechanisms) > 0 && len(r.dict.init.Mechanisms) == 0 {
		return "none of its mechanisms is granted: " + strings.Join(warnings(r.dict), "; ")
	}
	if err := (&guest{module: r.module, dict: r.dict}).try(ctx, p.now()); err != nil {
		return "its Initialize failed: " + err.Error()
	}
	return ""
}

// defaultAnalyzeInterval is for manifests that name none.
const defaultAnalyzeInterval = 5 * time.Second

func interval(m *wasmabi.Manifest) time.Duration {
	if m.AnalyzeIntervalMS == 0 {
		return defaultAnalyzeInterval
	}
	return time.Duration(m.AnalyzeIntervalMS) * time.Millisecond
}

func (p *policies) binding(r *running) agents.Binding {
	m := r.module.Manifest()
	return agents.Binding{
		Key: key(r.name), Version: r.version, Module: r.digest, Policy: &guest{module: r.module, dict: r.dict},
		Interval: interval(m), Bounds: bounds(m), Grants: r.dict.agentGrants(), UsesML: m.UsesML, Schema: m.StateSchema,
	}
}

// retire gives up what a version held in memory; a replay that still runs on it keeps the module until it is done.
func (r *running) retire() {
	if r.view != nil {
		r.view.close()
	}
	if r.module != nil {
		r.module.Close()
	}
}

func (p *policies) audit(ctx context.Context, by api.Actor, action, subject string, err error) {
	e := state.Entry{Actor: by.String(), Action: action, Subject: subject, Outcome: "done"}
	if err != nil {
		e.Outcome, e.Detail = "refused", err.Error()
		if coded := (interface{ ErrorCode() string })(nil); errors.As(err, &coded) {
			e.Code = coded.ErrorCode()
		}
	}
	if err := p.db.Audit(context.WithoutCancel(ctx), e); err != nil {
		p.log.Error("audit entry is lost", "action", action, "subject", subject, "error", err)
	}
}
