package apiclient

import (
	"context"
	"net/http"

	"github.com/edgehold/edgehold/agents/api"
)

// Trust returns what the agent believes about signatures.
func (c *Client) Trust(ctx context.Context) (api.TrustStatus, error) {
	return get[api.TrustStatus](ctx, c, "/v1/trust", nil)
}

// UpdateTrust has the agent ask its source now.
func (c *Client) UpdateTrust(ctx context.Context) (api.TrustStatus, error) {
	return do[api.TrustStatus](ctx, c, call{method: http.MethodPost, path: "/v1/trust/update"})
}
