package mechanisms

import "context"

// Supervised is a driver's [Mechanism]: each call goes through the supervisor.
type Supervised struct {
	s    *Supervisor
	desc Description
}

var _ interface {
	Mechanism
	Optioner
	Reverter
	Simulator
} = (*Supervised)(nil)

// Describe returns the driver's description.
func (m *Supervised) Describe() Description { return m.desc }

// Apply is [Supervisor.Apply] for this mechanism.
func (m *Supervised) Apply(ctx context.Context, c Command) (Result, error) {
	c.Mechanism = m.desc.Name
	return m.s.Apply(ctx, c)
}

// Simulate is [Supervisor.Simulate] for this mechanism.
func (m *Supervised) Simulate(ctx context.Context, c Command) (Result, error) {
	c.Mechanism = m.desc.Name
	return m.s.Simulate(ctx, c)
}

// State is [Supervisor.State] for this mechanism.
func (m *Supervised) State(ctx context.Context) (State, error) { return m.s.State(ctx, m.desc.Name) }

// Options is [Supervisor.Options] for this mechanism.
func (m *Supervised) Options(ctx context.Context) ([]Knob, error) {
	return m.s.Options(ctx, m.desc.Name)
}

// Revert is [Supervisor.Revert].
func (m *Supervised) Revert(ctx context.Context, id LeaseID) (Result, error) {
	return m.s.Revert(ctx, id)
}
