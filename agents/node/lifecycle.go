package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// start prepares and binds the active version of every policy. A version that can't be prepared any more gives way to
// its standby; a policy without either is left standing still and says why. Nothing is forgotten.
func (p *policies) start(ctx context.Context) error {
	known, err := p.db.Policies(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, record := range p.adaptersFirst(known) {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.startFirst(ctx, record)
	}
	return nil
}

// startFirst takes up the rollout of a policy where the process before left it, and starts what is in charge.
func (p *policies) startFirst(ctx context.Context, record state.Policy) {
	t, err := p.trial(ctx, record.Name)
	if err != nil {
		p.log.Error("rollout is not taken up", "policy", record.Name, "error", err)
		p.startPolicy(ctx, record)
		return
	}
	if t.align(&record); t.state.Over() || !record.Enabled {
		p.startPolicy(ctx, record)
		return
	}
	if t.tally == nil {
		t.tally = &tally{candidate: t.state.Digest, phase: t.state.Phase}
	}
	p.tryStep(ctx, t, rollout.Event{Kind: rollout.Restarted, Rollout: t.state.ID, Clean: !p.db.Report().Unclean})
	if r := p.find(record.Name); r != nil && r.module == nil { // nothing starts; that may pass
		r = r.stub(r.waits)
		r.again = p.now().Add(startAgainAfter)
		p.running.Store(record.Name, r)
	}
}

func (p *policies) startPolicy(ctx context.Context, record state.Policy) {
	if !record.Enabled || record.Active == "" {
		return
	}
	failed := p.quarantined(ctx, record)
	if failed == nil {
		failed = p.resume(ctx, record, record.Active)
	}
	if failed == nil {
		return
	}
	p.log.Error("active version does not start", "policy", record.Name, "digest", record.Active, "error", failed)
	p.publish(api.ResourcePolicy, record.Name, api.EventPolicyFailed, failed.Error())
	if record.Standby != "" {
		failed = p.resume(ctx, record, record.Standby)
		p.audit(ctx, api.DaemonActor, "policy.rollback", record.Name+" at start", failed)
	}
	if failed == nil {
		return
	}
	r := (&running{name: record.Name, digest: record.Active}).stub(failed.Error())
	if was := p.find(record.Name); was != nil {
		r = was.stub(failed.Error())
	}
	r.again = p.now().Add(startAgainAfter)
	if own := (*Error)(nil); errors.As(failed, &own) && own.Code == codeQuarantined {
		r.again = time.Time{}
	}
	p.running.Store(record.Name, r)
}

// startAgainAfter is when a start that failed is tried again: a full disk or a lack of memory may have passed.
const startAgainAfter = time.Minute

const codeQuarantined = "policy.quarantined"

// quarantined returns an error if the active version is: a restart does not give it another chance, a person does.
func (p *policies) quarantined(ctx context.Context, record state.Policy) error {
	versions, err := p.db.Versions(ctx, record.Name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(versions, func(v state.Version) bool { return v.Digest == record.Active })
	if i < 0 || versions[i].State != state.Quarantined {
		return nil
	}
	return &Error{
		Code: codeQuarantined, What: "start policy " + record.Name, Why: versions[i].Reason,
		Hint: "upload a mended version, or insist with `edgehold policy rollback " + record.Name + " --to " + versions[i].Version + "`",
	}
}

// resume prepares a stored version and puts it in charge.
func (p *policies) resume(ctx context.Context, record state.Policy, digest string) error {
	next, err := p.prepareStored(ctx, record, digest)
	if err != nil {
		return err
	}
	if err := p.activate(ctx, next); err != nil {
		next.module.Close()
		return err
	}
	return nil
}

func (p *policies) prepareStored(ctx context.Context, record state.Policy, digest string) (*running, error) {
	if err := p.trust.Still(record.Name, digest, digest == record.Active); err != nil {
		return nil, err
	}
	raw, err := p.db.Module(digest)
	if err != nil {
		return nil, err
	}
	module, err := p.prepare(ctx, raw)
	if err != nil {
		return nil, err
	}
	m := module.Manifest()
	record = p.optionsOf(record, digest)
	dict := p.dictionary(ctx, m, record.Parameters, record.Allow)
	return &running{name: record.Name, version: m.Version, digest: digest, module: module, dict: dict, plans: new(atomic.Uint64)}, nil
}

// Enable implements apiserver.PolicySwitch.
func (p *policies) Enable(ctx context.Context, name string, by api.Actor) (api.Policy, error) {
	return p.change(ctx, "policy.enable", name, by, func(record state.Policy) error {
		if err := p.db.SetEnabled(ctx, name, true); err != nil {
			return err
		}
		if r := p.find(name); r != nil && r.inCharge() || record.Active == "" {
			return nil
		}
		if err := p.resume(ctx, record, record.Active); err != nil {
			return errors.Join(err, p.db.SetEnabled(context.WithoutCancel(ctx), name, record.Enabled))
		}
		p.publish(api.ResourcePolicy, name, api.EventPolicyEnabled, "")
		return nil
	})
}

// Disable implements apiserver.PolicySwitch.
func (p *policies) Disable(ctx context.Context, name string, by api.Actor) (api.Policy, error) {
	return p.change(ctx, "policy.disable", name, by, func(record state.Policy) error {
		t, err := p.aligned(ctx, name)
		if err == nil {
			err = p.endTrial(ctx, t, by, "the policy was disabled")
		}
		if err != nil {
			return err
		}
		p.forget(ctx, t)
		if err := p.handBack(ctx, name, false); err != nil { // knobs that can't go back keep their adapter
			return err
		}
		if err := p.db.SetEnabled(ctx, name, false); err != nil {
			return err
		}
		if err := p.stop(ctx, name); err != nil {
			return err
		}
		if record.Enabled {
			p.publish(api.ResourcePolicy, name, api.EventPolicyDisabled, "")
		}
		return nil
	})
}

// Rollback implements apiserver.PolicySwitch.
func (p *policies) Rollback(ctx context.Context, name, version string, by api.Actor) (api.Policy, error) {
	return p.change(ctx, "policy.rollback", name, by, func(record state.Policy) error {
		if err := p.mayGoBack(ctx, record, version); err != nil {
			return err
		}
		t, err := p.aligned(ctx, name)
		if err != nil {
			return err
		}
		if version == "" && p.undoes(t) {
			if err := p.step(ctx, t, rollout.Event{Kind: rollout.Undo, By: by.String(), Person: true}); err != nil {
				return err
			}
			return t.failed
		}
		if err := p.endTrial(ctx, t, by, "another version was put in charge"); err != nil {
			return err
		}
		digest, err := p.rollbackTarget(ctx, record, version)
		if err != nil {
			return err
		}
		if r := p.find(name); digest == record.Active && r != nil && r.module != nil {
			return nil
		}
		if !record.Enabled {
			return p.db.Activate(ctx, name, digest)
		}
		if err := p.resume(ctx, record, digest); err != nil {
			return err
		}
		p.publish(api.ResourcePolicy, name, api.EventPolicyRolledBack, "to version "+p.find(name).version)
		return nil
	})
}

// mayGoBack refuses a rollback by a person to what was withdrawn. A target that is not there is somebody else's error.
func (p *policies) mayGoBack(ctx context.Context, record state.Policy, version string) error {
	digest, err := p.rollbackTarget(ctx, record, version)
	if err != nil {
		return nil
	}
	return p.trust.Still(record.Name, digest, digest == record.Active)
}

// undoes reports whether going back to the standby is for the state machine to do: it knows which that is, and has it prepared.
func (p *policies) undoes(t *trial) bool {
	live := p.find(t.name)
	return live != nil && live.bound() && t.state.Standby != "" && (!t.state.Over() || t.state.Phase == rollout.PhaseActive || t.state.Phase == rollout.PhaseStandby)
}

func (p *policies) rollbackTarget(ctx context.Context, record state.Policy, version string) (digest string, err error) {
	what := "roll back policy " + record.Name
	if version == "" {
		if record.Standby == "" {
			return "", &Error{Code: "policy.no-standby", What: what, Why: "there is no earlier version to go back to", Hint: "name one of `edgehold policy versions " + record.Name + "`"}
		}
		return record.Standby, nil
	}
	versions, err := p.db.Versions(ctx, record.Name)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(versions, func(v state.Version) bool { return v.Version == version })
	if i < 0 {
		return "", &Error{Code: "policy.no-such-version", What: what, Why: fmt.Sprintf("version %s is not stored", version), Hint: "see `edgehold policy versions " + record.Name + "`"}
	}
	return versions[i].Digest, nil
}

// Delete implements apiserver.PolicySwitch.
func (p *policies) Delete(ctx context.Context, name string, by api.Actor) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.delete(ctx, name)
	p.audit(ctx, by, "policy.delete", name, err)
	return err
}

func (p *policies) delete(ctx context.Context, name string) error {
	record, err := p.record(ctx, name)
	if err != nil {
		return err
	}
	if t := p.trials[name]; t != nil {
		p.forget(ctx, t)
	}
	if err := p.stop(ctx, name); err != nil {
		return err
	}
	delete(p.trials, name)
	p.shown.Delete(name)
	if err := p.db.Remove(ctx, name); err != nil { // it is still known, so it goes on
		p.startPolicy(context.WithoutCancel(ctx), record)
		return err
	}
	if _, err := p.db.Collect(ctx, keptVersions); err != nil {
		p.log.Warn("modules that nobody needs stay on disk", "error", err)
	}
	p.forgetVouchers()
	if err := p.adapters.Forget(name); err != nil {
		p.log.Warn("what an adapter kept stays on disk", "adapter", name, "error", err)
	}
	p.publish(api.ResourcePolicy, name, api.EventPolicyDeleted, "")
	return nil
}

// forgetVouchers drops the vouchers of modules that are not stored any more.
func (p *policies) forgetVouchers() {
	if err := p.trust.Discard(p.db.Store().Has); err != nil {
		p.log.Warn("vouchers of modules that are gone stay on disk", "error", err)
	}
}

// keptVersions is how many versions of a policy are kept besides the active one and the standby.
const keptVersions = 10

// stopPatience bounds how long a loop may take to end: it finishes a plan that is being applied and gives its knobs back.
const stopPatience = 20 * time.Second

// stop takes a policy out of the engine, which gives its knobs back. A loop that was told to end can't be kept, so stop sees
// it through though the caller may have gone away.
func (p *policies) stop(ctx context.Context, name string) error {
	r := p.find(name)
	if r == nil {
		return nil
	}
	if t := p.trials[name]; t != nil {
		p.standAside(ctx, t)
	}
	if r.bound() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
		defer cancel()
		if err := p.engine.Unbind(ctx, key(name)); err != nil {
			return err
		}
		p.sensor.Show(key(name), nil)
	}
	if err := p.handBack(ctx, name, true); err != nil {
		return err
	}
	p.running.Delete(name)
	r.retire()
	return nil
}

func (p *policies) change(ctx context.Context, action, name string, by api.Actor, f func(state.Policy) error) (api.Policy, error) {
	err := p.changeRecord(ctx, name, f)
	p.audit(ctx, by, action, name, err)
	if err != nil {
		return api.Policy{}, err
	}
	return p.Get(ctx, name)
}

func (p *policies) changeRecord(ctx context.Context, name string, f func(state.Policy) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	record, err := p.record(ctx, name)
	if err != nil {
		return err
	}
	return f(record)
}

func (p *policies) record(ctx context.Context, name string) (state.Policy, error) {
	record, err := p.db.Policy(ctx, name)
	if errors.Is(err, state.ErrNotFound) {
		return record, &Error{
			Code: "policy.not-found", What: "find policy " + name, Why: "there is none of that name", Hint: "see `edgehold policy list`", Err: err,
		}
	}
	return record, err
}
