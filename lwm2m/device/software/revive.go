package software

import (
	"context"
	"maps"
	"slices"

	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/lwm2m/internal/pause"
)

// revive tries again, later and later, to start what was active and did not start after the restart: a machine that has just come up is at its
// busiest, and a workload's time may have been up.
func (m *Manager) revive(ctx context.Context) {
	for delay := runner.MinDelay; m.hasFallen() && pause.For(ctx, delay); delay = min(2*delay, runner.MaxDelay) {
		m.startFallen(ctx)
	}
}

func (m *Manager) hasFallen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.fallen) > 0
}

// startFallen leaves out those that a server has done something with meanwhile, which gave them another record.
func (m *Manager) startFallen(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.fallen)) {
		r := m.fallen[id]
		if m.records[id] != r {
			delete(m.fallen, id)
			continue
		}
		if err := m.start(ctx, id, r); err != nil {
			m.config.Logger.Warn("a workload still does not start", "instance", id, "error", err)
			r.Reason = reasonOf(err)
			continue
		}
		delete(m.fallen, id)
		r.Active, r.Reason = true, ""
		m.Changed(id)
	}
}
