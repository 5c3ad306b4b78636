package loop

import (
	"context"
	"errors"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/mechanisms"
)

// Actuator has the supervisor do what plans say.
type Actuator struct{ Supervisor *mechanisms.Supervisor }

var _ agents.Actuator = Actuator{}

// owner is the name under which a policy holds knobs.
func owner(k agents.Key) string { return "policy:" + k.String() }

// Apply carries a command out, once.
func (a Actuator) Apply(ctx context.Context, c agents.Command) agents.Result {
	start := time.Now()
	result, err := a.Supervisor.Apply(ctx, command(c))
	out := agents.Result{
		Mechanism: c.Mechanism, Verb: c.Verb, Effect: effect(result.Outcome), Changes: changes(result.Changes),
		Lease: agents.LeaseID(result.Lease), Expires: result.Expires, TTL: result.TTL, Code: result.Code, Message: result.Reason,
		Took: time.Since(start),
	}
	explainFailure(&out, err)
	return out
}

func command(c agents.Command) mechanisms.Command {
	m := mechanisms.Command{
		Mechanism: c.Mechanism, Verb: mechanisms.Verb(c.Verb), Owner: owner(c.Owner), Plan: c.Decision,
		Priority: c.Priority, Lease: c.Lease,
	}
	for _, s := range c.Settings {
		m.Settings = append(m.Settings, mechanisms.Setting{Knob: s.Knob, Value: mechanisms.Value(s.Value)})
	}
	return m
}

func effect(o mechanisms.Outcome) agents.Effect {
	switch o {
	case mechanisms.Applied:
		return agents.Applied
	case mechanisms.Clamped:
		return agents.Clamped
	case mechanisms.Unchanged:
		return agents.Unchanged
	case mechanisms.Refused:
		return agents.Refused
	case mechanisms.Undone:
		return agents.Undone
	case mechanisms.PartlyUndone:
		return agents.PartlyUndone
	}
	return agents.Broken
}

func changes(in []mechanisms.Change) []agents.Change {
	out := make([]agents.Change, 0, len(in))
	for _, c := range in {
		out = append(out, agents.Change{
			Knob: c.Knob, Unit: c.Unit, Old: agents.Value(c.Old), Requested: agents.Value(c.Requested),
			Effective: agents.Value(c.Effective), Reason: c.Reason,
		})
	}
	return out
}

// explainFailure fills in what the error knows and the result does not say.
func explainFailure(r *agents.Result, err error) {
	if err == nil {
		return
	}
	if r.Effect.Done() {
		r.Effect = agents.Broken
	}
	r.Message = err.Error()
	if code := fault.Code(err); code != "" {
		r.Code = code
	}
	var hinted interface{ ErrorHint() string }
	if errors.As(err, &hinted) {
		r.Hint = hinted.ErrorHint()
	}
}

// Renew extends a lease.
func (a Actuator) Renew(ctx context.Context, lease agents.LeaseID, d time.Duration) error {
	_, err := a.Supervisor.Renew(ctx, mechanisms.LeaseID(lease), d)
	return err
}

// Release gives knobs back: those named, of one owner.
func (a Actuator) Release(ctx context.Context, h agents.Holding) error {
	c := mechanisms.Command{Mechanism: h.Mechanism, Verb: mechanisms.Reset, Owner: owner(h.Owner)}
	for _, k := range h.Knobs {
		c.Settings = append(c.Settings, mechanisms.Setting{Knob: k})
	}
	_, err := a.Supervisor.Apply(ctx, c)
	return err
}
