package apiserver

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	defaultPage   = 50
	maxPage       = 1000
	maxReplayBody = MaxModuleBytes/3*4 + uploadSlackBytes // base64
)

type decisionListInput struct {
	Watch   bool                  `query:"watch" doc:"Answer with a stream of changes in place of the list."`
	Policy  string                `query:"policy" maxLength:"128" doc:"Only decisions of this policy."`
	Outcome []api.DecisionOutcome `query:"outcome,explode" maxItems:"16" enum:"quiet,pending,applied,clamped,unchanged,partly-applied,interrupted,discarded,refused,failed,shadowed" doc:"Only these outcomes."`
	Since   string                `query:"since" maxLength:"64" doc:"Only from this time on: RFC 3339 or seconds since 1970."`
	Until   string                `query:"until" maxLength:"64" doc:"Only before this time."`
	Limit   int                   `query:"limit" minimum:"1" maximum:"1000" doc:"Items on a page; the default is 50."`
	Cursor  string                `query:"cursor" maxLength:"512" doc:"Cursor of the page before."`
}

type decisionInput struct {
	ID string `path:"id" maxLength:"128" doc:"Identifier of the decision."`
}

type replayInput struct {
	ID   string `path:"id" maxLength:"128" doc:"Identifier of the decision."`
	Body api.ReplayRequest
}

func (s *Server) routeDecisions() {
	decisions, tag := s.config.Backend.Decisions, "decisions"
	list := operation("GET", "/v1/decisions", "list-decisions", "List decisions",
		"Decisions, newest first, by pages. A watch begins with the newest page, oldest item first.", tag, 400)
	list.Middlewares = huma.Middlewares{watchable(s, watched[api.DecisionSummary]{
		resource: api.ResourceDecision,
		list:     s.firstDecisions,
		get: func(ctx context.Context, id string) (api.DecisionSummary, error) {
			d, err := decisions.Get(ctx, id)
			return d.DecisionSummary, err
		},
		name: func(d api.DecisionSummary) string { return d.ID },
		keep: keepDecision,
	})}
	handle(s, list, func(ctx context.Context, in *decisionListInput) (api.DecisionPage, error) {
		filter, err := in.filter()
		if err != nil {
			return api.DecisionPage{}, err
		}
		page, err := decisions.List(ctx, filter)
		page.Items = nonNil(page.Items)
		return page, err
	})
	s.documentStream("/v1/decisions")

	handle(s, operation("GET", "/v1/decisions/{id}", "get-decision", "Get decision",
		"Everything that is known about one pass of a policy: what it saw, planned and changed, and at what cost.", tag, 404),
		func(ctx context.Context, in *decisionInput) (api.Decision, error) { return decisions.Get(ctx, in.ID) })
	handle(s, operation("GET", "/v1/decisions/{id}/explanation", "explain-decision", "Explain decision",
		"The same in sentences: what it saw, why it acted, who won, what changed.", tag, 404),
		func(ctx context.Context, in *decisionInput) (api.Explanation, error) {
			return decisions.Explain(ctx, in.ID)
		})
	s.limits["POST /v1/decisions/{id}/replay"] = maxReplayBody
	handle(s, operation("POST", "/v1/decisions/{id}/replay", "replay-decision", "Replay decision",
		"Runs the recorded pass again and compares every byte and the fuel; with another version or module it compares the plans. Nothing acts.", tag, 403, 404, 413),
		func(ctx context.Context, in *replayInput) (api.ReplayReport, error) {
			if in.Body.Version != "" && len(in.Body.Module) > 0 {
				return api.ReplayReport{}, invalid("replay decision", "body", "names both a version and a module")
			}
			return decisions.Replay(ctx, in.ID, in.Body)
		})
}

func (in *decisionListInput) filter() (f api.DecisionFilter, err error) {
	f = api.DecisionFilter{Policy: in.Policy, Outcomes: in.Outcome, Limit: orDefault(in.Limit, defaultPage), Cursor: in.Cursor}
	if f.Since, err = parseTime("list decisions", "query.since", in.Since); err != nil {
		return f, err
	}
	f.Until, err = parseTime("list decisions", "query.until", in.Until)
	return f, err
}

// firstDecisions are what a watch begins with, oldest first.
func (s *Server) firstDecisions(ctx context.Context, r *http.Request) ([]api.DecisionSummary, error) {
	query := r.URL.Query()
	in := decisionListInput{Policy: query.Get("policy"), Outcome: outcomesOf(r), Since: query.Get("since"), Until: query.Get("until")}
	in.Limit, _ = strconv.Atoi(query.Get("limit"))
	in.Limit = max(0, min(in.Limit, maxPage))
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	page, err := s.config.Backend.Decisions.List(ctx, filter)
	slices.Reverse(page.Items)
	return page.Items, err
}

func keepDecision(r *http.Request, d api.DecisionSummary) bool {
	policy, outcomes := r.URL.Query().Get("policy"), outcomesOf(r)
	return (policy == "" || policy == d.Policy) && (len(outcomes) == 0 || slices.Contains(outcomes, d.Outcome))
}
