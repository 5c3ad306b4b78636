package node

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// newRolloutID names a rollout: 13 characters that a person can type.
func newRolloutID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

func specOf(s api.RolloutSpec) (rollout.Spec, error) {
	ms := func(n uint64) time.Duration { return time.Duration(min(n, 1<<40)) * time.Millisecond }
	out := rollout.Spec{
		Shadow: ms(s.ShadowMS), ShadowBudget: s.ShadowBudget, Canary: s.Canary, CanaryFor: ms(s.CanaryMS), MaxStep: s.MaxStep,
		Settle: ms(s.SettleMS), Patience: ms(s.PatienceMS), Passes: s.Passes, MaxFaults: s.MaxFaults, HoldDown: ms(s.HoldDownMS), Strikes: s.Strikes,
		MaxDivergence: s.MaxDivergence, MaxFuelRatio: s.MaxFuelRatio, MaxLatencyRatio: s.MaxLatencyRatio,
	}
	for _, text := range s.Gates {
		g, err := rollout.ParseGate(text)
		if err != nil {
			return out, err
		}
		if s.GateSamples > 0 {
			g.Samples = s.GateSamples
		}
		out.Gates = append(out.Gates, g)
	}
	if s.MaxLatencyUS > 0 {
		out.MaxLatency = time.Duration(min(s.MaxLatencyUS, 1<<40)) * time.Microsecond
	}
	if s.Goal != "" {
		g, err := rollout.ParseGoal(s.Goal)
		if err != nil {
			return out, err
		}
		out.Goal = &g
	}
	return out, nil
}

func (p *policies) showRollout(_ context.Context, t *trial) api.Rollout {
	return api.Rollout{ID: t.state.ID, Policy: t.name, Version: t.state.Version, Digest: t.state.Digest, Phase: api.RolloutPhase(t.state.Phase),
		Over: t.state.Over(), Cause: string(t.state.Cause), Why: t.state.Why, Steps: []api.RolloutStep{}, History: []api.RolloutEntry{}}
}
