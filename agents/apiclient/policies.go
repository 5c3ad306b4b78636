package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/edgehold/edgehold/agents/api"
)

const policiesPath = "/v1/policies"

// Policies lists policies, sorted by name.
func (c *Client) Policies(ctx context.Context) ([]api.Policy, error) {
	list, err := get[api.PolicyList](ctx, c, policiesPath, nil)
	return list.Items, err
}

// WatchPolicies yields every policy and then each change, until the context ends or the caller stops.
func (c *Client) WatchPolicies(ctx context.Context) iter.Seq2[api.Change[api.Policy], error] {
	return watch[api.Policy](ctx, c, policiesPath, nil)
}

// Policy returns one policy with its versions.
func (c *Client) Policy(ctx context.Context, name string) (api.Policy, error) {
	return get[api.Policy](ctx, c, policiesPath+"/"+escape(name), nil)
}

// PolicyVersions lists stored versions, newest first.
func (c *Client) PolicyVersions(ctx context.Context, name string) ([]api.PolicyVersion, error) {
	list, err := get[api.PolicyVersionList](ctx, c, policiesPath+"/"+escape(name)+"/versions", nil)
	return list.Items, err
}

// UploadPolicy uploads a module or a bundle; with a reference in the options the agent gets it itself, and module is nil.
func (c *Client) UploadPolicy(ctx context.Context, module []byte, o api.UploadOptions) (api.UploadResult, error) {
	query := url.Values{}
	setTrue(query, "dry_run", o.DryRun)
	setTrue(query, "disabled", o.Disabled)
	setText(query, "reference", o.Reference)
	setRollout(query, o.Rollout)
	for _, mechanism := range o.Allow {
		query.Add("allow", mechanism)
	}
	for name, value := range o.Parameters {
		query.Add("parameter", name+"="+strconv.FormatFloat(value, 'g', -1, 64))
	}
	return do[api.UploadResult](ctx, c, call{method: http.MethodPost, path: policiesPath, query: query, mediaType: "application/wasm", body: module})
}

// EnablePolicy lets a policy run.
func (c *Client) EnablePolicy(ctx context.Context, name string) (api.Policy, error) {
	return c.switchPolicy(ctx, name, "enable", nil)
}

// DisablePolicy stops a policy.
func (c *Client) DisablePolicy(ctx context.Context, name string) (api.Policy, error) {
	return c.switchPolicy(ctx, name, "disable", nil)
}

// RollbackPolicy activates the standby, or the version that is named.
func (c *Client) RollbackPolicy(ctx context.Context, name, version string) (api.Policy, error) {
	query := url.Values{}
	setText(query, "version", version)
	return c.switchPolicy(ctx, name, "rollback", query)
}

func (c *Client) switchPolicy(ctx context.Context, name, verb string, query url.Values) (api.Policy, error) {
	return do[api.Policy](ctx, c, call{method: http.MethodPost, path: policiesPath + "/" + escape(name) + "/" + verb, query: query})
}

// DeletePolicy forgets a policy.
func (c *Client) DeletePolicy(ctx context.Context, name string) error {
	_, err := do[struct{}](ctx, c, call{method: http.MethodDelete, path: policiesPath + "/" + escape(name)})
	return err
}
