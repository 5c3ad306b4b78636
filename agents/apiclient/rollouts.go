package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

const rolloutsPath = "/v1/rollouts"

// Rollouts lists the newest rollout of each policy, sorted by policy.
func (c *Client) Rollouts(ctx context.Context) ([]api.Rollout, error) {
	list, err := get[api.RolloutList](ctx, c, rolloutsPath, nil)
	return list.Items, err
}

// WatchRollouts yields every rollout and then each change, until the context ends or the caller stops.
func (c *Client) WatchRollouts(ctx context.Context) iter.Seq2[api.Change[api.Rollout], error] {
	return watch[api.Rollout](ctx, c, rolloutsPath, nil)
}

// Rollout returns the newest rollout of a policy.
func (c *Client) Rollout(ctx context.Context, policy string) (api.Rollout, error) {
	return get[api.Rollout](ctx, c, policiesPath+"/"+escape(policy)+"/rollout", nil)
}

// SteerRollout tells a rollout what to do, and returns it as it stands afterwards.
func (c *Client) SteerRollout(ctx context.Context, policy string, o api.RolloutOrder) (api.Rollout, error) {
	query := url.Values{}
	setText(query, "why", o.Why)
	setText(query, "version", o.Version)
	return do[api.Rollout](ctx, c, call{method: http.MethodPost, path: policiesPath + "/" + escape(policy) + "/rollout/" + escape(string(o.Verb)), query: query})
}

// setRollout puts what an upload says about its rollout into its query.
func setRollout(query url.Values, r *api.RolloutStart) {
	if r == nil {
		return
	}
	query.Set("rollout", "true")
	s := r.Spec
	for name, ms := range map[string]uint64{
		"shadow": s.ShadowMS, "canary_for": s.CanaryMS, "settle": s.SettleMS, "patience": s.PatienceMS, "hold_down": s.HoldDownMS,
	} {
		setDuration(query, name, time.Duration(ms)*time.Millisecond)
	}
	setDuration(query, "max_latency", time.Duration(s.MaxLatencyUS)*time.Microsecond)
	for name, v := range map[string]float64{
		"shadow_budget": s.ShadowBudget, "canary": s.Canary, "max_step": s.MaxStep, "max_divergence": s.MaxDivergence,
		"max_fuel_ratio": s.MaxFuelRatio, "max_latency_ratio": s.MaxLatencyRatio,
	} {
		if v != 0 {
			query.Set(name, strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	for name, n := range map[string]uint64{
		"passes": s.Passes, "max_faults": s.MaxFaults, "gate_samples": uint64(max(0, s.GateSamples)), "strikes": uint64(max(0, s.Strikes)),
	} {
		if n != 0 {
			query.Set(name, strconv.FormatUint(n, 10))
		}
	}
	query["gate"] = s.Gates
	setText(query, "goal", s.Goal)
	setTrue(query, "supersede", r.Supersede)
	setTrue(query, "force", r.Force)
}

func setTrue(query url.Values, name string, on bool) {
	if on {
		query.Set(name, "true")
	}
}

func setDuration(query url.Values, name string, d time.Duration) {
	if d != 0 {
		query.Set(name, d.String())
	}
}
