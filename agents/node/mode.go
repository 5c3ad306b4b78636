package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
)

// mode is the management mode, kept over restarts.
type mode struct {
	db       *state.DB
	engine   *agents.Engine
	policies *policies
	now      func() time.Time

	mu sync.Mutex // of changes, so that the engine and the database end with the same
}

// modeSetting is the key under which the mode, its time and who set it are kept.
const modeSetting = "mode"

// storedMode returns the mode that was set last, or fallback.
func storedMode(ctx context.Context, db *state.DB, fallback string) (agents.Mode, error) {
	v, found, err := db.Setting(ctx, modeSetting)
	if err != nil || !found {
		return agents.Mode(fallback), err
	}
	name, _, _ := strings.Cut(v, " ")
	return agents.Mode(name), nil
}

// Get implements apiserver.Mode.
func (m *mode) Get(ctx context.Context) (api.Mode, error) {
	out := api.Mode{Mode: api.ModeName(m.engine.Mode())}
	if v, found, err := m.db.Setting(ctx, modeSetting); err != nil {
		return out, err
	} else if found {
		var unix int64
		var name string
		if _, err := fmt.Sscanf(v, "%s %d %s", &name, &unix, &out.SetBy); err == nil {
			out.Since = time.Unix(unix, 0).UTC()
		}
	}
	for _, s := range m.engine.Status() {
		if s.Condition == agents.Off {
			out.Suspended = append(out.Suspended, s.Key.Policy)
		}
	}
	return out, nil
}

// Set implements apiserver.Mode. It is durable before it takes effect.
func (m *mode) Set(ctx context.Context, to api.ModeName, by api.Actor) (api.Mode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx = context.WithoutCancel(ctx) // some loops told and others not would be neither mode
	changed := m.engine.Mode() != agents.Mode(to)
	err := m.db.SetSetting(ctx, modeSetting, fmt.Sprintf("%s %d %s", to, m.now().Unix(), by))
	if err == nil {
		err = m.engine.SetMode(ctx, agents.Mode(to))
	}
	m.policies.audit(ctx, by, "mode.set", string(to), err)
	if err != nil {
		return api.Mode{}, err
	}
	if changed {
		m.policies.publish(api.ResourceMode, string(to), api.EventModeChanged, "")
	}
	return m.Get(ctx)
}
