package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// Query evaluates PromQL at one time; the zero time is now.
func (c *Client) Query(ctx context.Context, expr string, at time.Time) (api.MetricResult, error) {
	query := url.Values{"query": {expr}}
	setTime(query, "time", at)
	return get[api.MetricResult](ctx, c, "/v1/metrics/query", query)
}

// QueryRange evaluates PromQL over a span; a step of 0 leaves it to the agent.
func (c *Client) QueryRange(ctx context.Context, expr string, r api.MetricRange) (api.MetricResult, error) {
	query := url.Values{"query": {expr}}
	setTime(query, "start", r.Start)
	setTime(query, "end", r.End)
	if r.Step > 0 {
		query.Set("step", r.Step.String())
	}
	return get[api.MetricResult](ctx, c, "/v1/metrics/query_range", query)
}

// MetricNames lists metrics whose name begins with prefix.
func (c *Client) MetricNames(ctx context.Context, prefix string) ([]api.MetricName, error) {
	query := url.Values{}
	setText(query, "prefix", prefix)
	list, err := get[api.MetricNameList](ctx, c, "/v1/metrics/names", query)
	return list.Items, err
}

// Mode returns the management mode.
func (c *Client) Mode(ctx context.Context) (api.Mode, error) {
	return get[api.Mode](ctx, c, "/v1/mode", nil)
}

// SetMode sets the management mode.
func (c *Client) SetMode(ctx context.Context, m api.ModeName) (api.Mode, error) {
	return sendJSON[api.Mode](ctx, c, http.MethodPut, "/v1/mode", api.ModeRequest{Mode: m})
}

// Doctor examines the node.
func (c *Client) Doctor(ctx context.Context) (api.DoctorReport, error) {
	return get[api.DoctorReport](ctx, c, "/v1/doctor", nil)
}

// Audit returns one page, newest first.
func (c *Client) Audit(ctx context.Context, f api.AuditFilter) (api.AuditPage, error) {
	query := url.Values{}
	setText(query, "action", f.Action)
	setText(query, "target", f.Target)
	setPage(query, f.Since, f.Until, f.Limit, f.Cursor)
	return get[api.AuditPage](ctx, c, "/v1/audit", query)
}

// VerifyAudit walks the audit's hash chain.
func (c *Client) VerifyAudit(ctx context.Context) (api.AuditVerification, error) {
	return get[api.AuditVerification](ctx, c, "/v1/audit/verification", nil)
}
