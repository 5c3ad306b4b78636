package apiclient

import (
	"context"
	"iter"
	"net/http"

	"github.com/edgehold/edgehold/agents/api"
)

const mechanismsPath = "/v1/mechanisms"

// Mechanisms lists mechanisms, sorted by name.
func (c *Client) Mechanisms(ctx context.Context) ([]api.Mechanism, error) {
	list, err := get[api.MechanismList](ctx, c, mechanismsPath, nil)
	return list.Items, err
}

// WatchMechanisms yields every mechanism and then each change, until the context ends or the caller stops.
func (c *Client) WatchMechanisms(ctx context.Context) iter.Seq2[api.Change[api.Mechanism], error] {
	return watch[api.Mechanism](ctx, c, mechanismsPath, nil)
}

// Mechanism returns one mechanism, its knobs read now.
func (c *Client) Mechanism(ctx context.Context, name string) (api.Mechanism, error) {
	return get[api.Mechanism](ctx, c, mechanismsPath+"/"+escape(name), nil)
}

// MechanismOptions returns what each knob may be set to.
func (c *Client) MechanismOptions(ctx context.Context, name string) (api.KnobList, error) {
	return get[api.KnobList](ctx, c, mechanismsPath+"/"+escape(name)+"/options", nil)
}

// MechanismState returns what each knob is set to.
func (c *Client) MechanismState(ctx context.Context, name string) (api.KnobList, error) {
	return get[api.KnobList](ctx, c, mechanismsPath+"/"+escape(name)+"/state", nil)
}

// ApplyMechanism sets or resets knobs.
func (c *Client) ApplyMechanism(ctx context.Context, name string, command api.MechanismCommand) (api.MechanismResult, error) {
	return sendJSON[api.MechanismResult](ctx, c, http.MethodPost, mechanismsPath+"/"+escape(name)+"/apply", command)
}

// RevertMechanism gives knobs back to their baseline; none means all.
func (c *Client) RevertMechanism(ctx context.Context, name string, knobs []string) (api.MechanismResult, error) {
	return sendJSON[api.MechanismResult](ctx, c, http.MethodPost, mechanismsPath+"/"+escape(name)+"/revert", api.RevertRequest{Knobs: knobs})
}
