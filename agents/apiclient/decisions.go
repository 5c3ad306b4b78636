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

const decisionsPath = "/v1/decisions"

// Decisions returns one page, newest first.
func (c *Client) Decisions(ctx context.Context, f api.DecisionFilter) (api.DecisionPage, error) {
	return get[api.DecisionPage](ctx, c, decisionsPath, decisionQuery(f))
}

// WatchDecisions yields the newest page, oldest first, and then each new decision, until the context ends or the caller
// stops.
func (c *Client) WatchDecisions(ctx context.Context, f api.DecisionFilter) iter.Seq2[api.Change[api.DecisionSummary], error] {
	return watch[api.DecisionSummary](ctx, c, decisionsPath, decisionQuery(f))
}

// Decision returns everything about one decision.
func (c *Client) Decision(ctx context.Context, id string) (api.Decision, error) {
	return get[api.Decision](ctx, c, decisionsPath+"/"+escape(id), nil)
}

// ExplainDecision says why, in sentences.
func (c *Client) ExplainDecision(ctx context.Context, id string) (api.Explanation, error) {
	return get[api.Explanation](ctx, c, decisionsPath+"/"+escape(id)+"/explanation", nil)
}

// ReplayDecision runs a decision again.
func (c *Client) ReplayDecision(ctx context.Context, id string, r api.ReplayRequest) (api.ReplayReport, error) {
	return sendJSON[api.ReplayReport](ctx, c, http.MethodPost, decisionsPath+"/"+escape(id)+"/replay", r)
}

func decisionQuery(f api.DecisionFilter) url.Values {
	query := url.Values{}
	setText(query, "policy", f.Policy)
	for _, outcome := range f.Outcomes {
		query.Add("outcome", string(outcome))
	}
	setPage(query, f.Since, f.Until, f.Limit, f.Cursor)
	return query
}

func setPage(query url.Values, since, until time.Time, limit int, cursor string) {
	setTime(query, "since", since)
	setTime(query, "until", until)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	setText(query, "cursor", cursor)
}

func setText(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setTime(query url.Values, name string, t time.Time) {
	if !t.IsZero() {
		query.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}
