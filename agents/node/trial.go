package node

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// trial is the rollouts of one policy: their state machine, and what of them runs on this node. policies.mu guards it.
//
// At most two versions are prepared: the one in charge, which policies.running has, and the other one, which is the
// candidate until it is activated and the standby from then on.
type trial struct {
	name   string
	state  rollout.State
	other  *running // prepared, not in charge; nil if none is
	beside bool     // the engine runs it beside the one in charge
	tally  *tally   // of the newest rollout; nil before the first on this run of the agent
	stored time.Time
	back   string // version that was gone back to in the step that is being made
	failed error  // why the newest action was not carried out, for whoever asked
}

// trial returns that of a policy, as it was kept or new.
func (p *policies) trial(ctx context.Context, name string) (*trial, error) {
	if t := p.trials[name]; t != nil {
		return t, nil
	}
	t := &trial{name: name}
	kept, err := p.db.Rollout(ctx, name)
	if err != nil {
		return nil, err
	}
	if kept != nil {
		if t.state, err = rollout.Decode(kept); err != nil { // what was proved is lost, what is in charge is not
			p.log.Error("the rollout of a policy can't be read and is forgotten", "policy", name, "error", err)
			t.state = rollout.State{}
		}
	}
	p.trials[name] = t
	return t, nil
}

// step gives the state machine an event and carries out what it answers, until nothing is left to do. An error is a
// refusal of the event itself.
func (p *policies) step(ctx context.Context, t *trial, e rollout.Event) error {
	ctx = context.WithoutCancel(ctx) // half a step would be neither version
	t.failed, t.back = nil, ""
	for queue := []rollout.Event{e}; len(queue) > 0; queue = queue[1:] {
		e := queue[0]
		e.At = p.now()
		before := t.state
		next, actions := before.Step(e)
		if len(actions) > 0 && actions[0].Kind == rollout.Refuse {
			return refused(t.name, actions[0])
		}
		t.state = next
		actions, back := backFirst(actions)
		if back != nil {
			queue = append(queue, *p.carryOut(ctx, t, *back))
		}
		p.restoreOptions(ctx, t, &before)
		if err := p.keep(ctx, t, &before, e.Kind); err != nil && e.Kind == rollout.Start {
			t.state = before
			return err
		}
		p.tell(ctx, t, &before, e)
		for _, a := range actions {
			if answer := p.carryOut(ctx, t, a); answer != nil {
				queue = append(queue, *answer)
			}
		}
	}
	p.rest(ctx, t)
	p.showCandidate(t)
	if t.back != "" { // now that whoever hears of it finds everything in its place
		p.publish(api.ResourcePolicy, t.name, api.EventPolicyRolledBack, "to version "+t.back)
	}
	return nil
}

// backFirst takes a rollback out of the actions: going back is the safe direction, so it does not wait for the disk. A
// crash before it is written down finds the candidate on probation again, where it will fail again, and be counted.
func backFirst(actions []rollout.Action) (others []rollout.Action, back *rollout.Action) {
	for i := range actions {
		if actions[i].Kind == rollout.RollBack {
			back = &actions[i]
			continue
		}
		others = append(others, actions[i])
	}
	return others, back
}

func refused(name string, a rollout.Action) error {
	return &Error{Code: a.Code, What: "roll out policy " + name, Why: a.Why, Hint: a.Hint}
}

// keepEvery is how often the state of a rollout is kept where nothing but readings changed.
const keepEvery = 10 * time.Second

// keep makes the state durable before its actions are carried out; readings alone may be lost.
func (p *policies) keep(ctx context.Context, t *trial, before *rollout.State, kind rollout.EventKind) error {
	dull := kind == rollout.Measured || kind == rollout.Tick
	if dull && !moved(before, &t.state) {
		if p.now().Sub(t.stored) < keepEvery {
			return nil
		}
	}
	t.stored = p.now()
	b, err := t.state.Encode()
	if err == nil && dull && !moved(before, &t.state) {
		return p.db.SetRolloutLater(t.name, b, t.state.Keeps())
	}
	if err == nil {
		err = p.db.SetRollout(ctx, t.name, b, t.state.Keeps())
	}
	if err != nil {
		p.log.Error("the state of a rollout is not kept", "policy", t.name, "rollout", t.state.ID, "error", err)
	}
	return err
}

func moved(a, b *rollout.State) bool {
	return a.ID != b.ID || a.Phase != b.Phase || a.Pending != b.Pending || a.Settled != b.Settled || a.Paused() != b.Paused() || a.Active != b.Active
}

// tell publishes what a step changed, and writes what matters into the audit.
func (p *policies) tell(ctx context.Context, t *trial, before *rollout.State, e rollout.Event) {
	if !moved(before, &t.state) {
		return
	}
	if t.state.ID != before.ID || t.tally == nil {
		t.tally = &tally{candidate: t.state.Digest}
	}
	if t.state.ID != before.ID || t.state.Phase != before.Phase {
		t.tally.begin(t.state.Phase)
	}
	message := fmt.Sprintf("version %s: %s", t.state.Version, t.state.Phase)
	if t.state.Why != "" && t.state.Why != before.Why {
		message += ": " + t.state.Why
	}
	p.publish(api.ResourceRollout, t.name, api.EventRolloutMoved, message)
	if t.state.Phase != before.Phase && e.Kind != rollout.Start {
		entry := state.Entry{Actor: api.DaemonActor.String(), Action: "rollout." + string(t.state.Phase), Subject: subject(t.name, t.state.Version, t.state.Digest),
			Outcome: "done", Detail: t.state.Why}
		if err := p.db.Audit(ctx, entry); err != nil {
			p.log.Error("audit entry is lost", "action", entry.Action, "subject", entry.Subject, "error", err)
		}
	}
}

// rest ends what nobody needs once a rollout is over: the standby runs beside nobody, and stays prepared.
func (p *policies) rest(ctx context.Context, t *trial) {
	if t.state.Over() || t.state.Phase == rollout.PhaseActive && !watched(&t.state.Spec) {
		p.standAside(ctx, t)
	}
}

// watched reports whether an activated version is compared with the one before for as long as it is on probation.
func watched(s *rollout.Spec) bool { return s.Proves() || len(s.Gates) > 0 || s.Goal != nil }

// carryOut does what an action says and returns the answer to it, if it has one.
func (p *policies) carryOut(ctx context.Context, t *trial, a rollout.Action) *rollout.Event {
	var err error
	switch a.Kind {
	case rollout.Fetch:
		_, err = p.db.Module(a.Digest)
	case rollout.Prepare:
		err = p.ready(ctx, t, a.Digest)
	case rollout.Shadow:
		err = p.contend(ctx, t, agents.Contender{Share: a.Budget})
	case rollout.Canary:
		err = p.contend(ctx, t, agents.Contender{Share: t.state.Spec.ShadowBudget, Decides: picks(a), Narrow: t.narrow(a.MaxStep)})
	case rollout.Activate:
		err = p.promote(ctx, t)
	case rollout.RollBack:
		err = p.goBack(ctx, t, a)
	case rollout.Decide:
		err = p.decide(ctx, t, a)
	case rollout.Discard:
		p.discard(ctx, t, a.Digest)
	case rollout.Retire:
		p.retire(ctx, t, a.Digest)
	case rollout.Quarantine:
		p.quarantine(ctx, t, a)
	case rollout.Release:
		err = p.db.Pardon(ctx, t.name, a.Digest)
	case rollout.Halt:
		p.halt(ctx, t, a)
	}
	return answer(t, a, err)
}

func picks(a rollout.Action) func(uint64) bool {
	return func(seq uint64) bool { return rollout.Picks(a.Rollout, seq, a.Fraction) }
}

func (t *trial) narrow(step float64) func(agents.Plan, agents.Observation) (agents.Plan, []string) {
	if t.other == nil {
		return nil
	}
	return t.other.dict.Narrow(step)
}

// answers are the events that say that an action was carried out.
var answers = map[rollout.ActionKind]rollout.EventKind{
	rollout.Fetch: rollout.Fetched, rollout.Verify: rollout.Verified, rollout.Validate: rollout.Validated, rollout.Prepare: rollout.Prepared,
	rollout.Activate: rollout.Activated, rollout.RollBack: rollout.RolledBack,
}

func answer(t *trial, a rollout.Action, err error) *rollout.Event {
	if err == nil {
		if kind, ok := answers[a.Kind]; ok {
			return &rollout.Event{Kind: kind, Rollout: a.Rollout}
		}
		return nil
	}
	t.failed = err
	e := &rollout.Event{Kind: rollout.Failed, Rollout: a.Rollout, Digest: a.Digest, Why: err.Error(), Cause: cause(err)}
	switch a.Kind {
	case rollout.Decide, rollout.Shadow, rollout.Canary: // a version that should run and can't
		e.Kind, e.Cause = rollout.Fault, cmp.Or(e.Cause, rollout.CausePrepare)
	case rollout.Release:
		return nil
	}
	return e
}

// cause tells a version that can't take over the context from what is no fault of its own.
func cause(err error) rollout.Cause {
	if code := fault.Code(err); strings.HasPrefix(code, "call.") || strings.HasPrefix(code, "guest.") {
		return rollout.CauseMigrate
	}
	return ""
}
