package apiserver

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgehold/edgehold/agents/api"
)

type orderInput struct {
	Name    string `path:"name" maxLength:"128" example:"load-follower" doc:"Name of the policy."`
	Verb    string `path:"verb" enum:"pause,resume,promote,abort,undo,pardon" doc:"What to do."`
	Why     string `query:"why" maxLength:"500" doc:"Reason, for the history."`
	Version string `query:"version" maxLength:"128" doc:"Version to pardon; the default is that of the newest rollout."`
}

func (s *Server) routeRollouts() {
	rollouts, tag := s.config.Backend.Rollouts, "rollouts"
	list := operation("GET", "/v1/rollouts", "list-rollouts", "List rollouts",
		"The newest rollout of each policy that had one, sorted by policy.", tag)
	list.Middlewares = huma.Middlewares{watchable(s, watched[api.Rollout]{
		resource: api.ResourceRollout,
		list:     func(ctx context.Context, _ *http.Request) ([]api.Rollout, error) { return rollouts.List(ctx) },
		get:      func(ctx context.Context, name string) (api.Rollout, error) { return rollouts.Get(ctx, name) },
		name:     func(r api.Rollout) string { return r.Policy },
	})}
	handle(s, list, func(ctx context.Context, _ *listInput) (api.RolloutList, error) {
		items, err := rollouts.List(ctx)
		return api.RolloutList{Items: nonNil(items)}, err
	})
	s.documentStream("/v1/rollouts")

	handle(s, operation("GET", "/v1/policies/{name}/rollout", "get-rollout", "Get rollout",
		"The newest rollout of a policy: its phases with their statistics, its gates with their readings, what happened and why.", tag, 404),
		func(ctx context.Context, in *policyInput) (api.Rollout, error) { return rollouts.Get(ctx, in.Name) })
	handle(s, operation("POST", "/v1/policies/{name}/rollout/{verb}", "steer-rollout", "Steer rollout",
		"Pause keeps it in its phase; resume ends a pause or a hold-down; promote skips what is left of shadow, canary and probation; abort ends it; "+
			"undo goes back to the version before, also after it is over; pardon forgets the strikes and the quarantine of a version.", tag, 403, 404, 409),
		func(ctx context.Context, in *orderInput) (api.Rollout, error) {
			return rollouts.Steer(ctx, in.Name, api.RolloutOrder{Verb: api.RolloutVerb(in.Verb), Why: in.Why, Version: in.Version}, actorOf(ctx))
		})
}

// noRollouts is for agents that activate every version at once.
type noRollouts struct{}

func (noRollouts) List(context.Context) ([]api.Rollout, error) { return nil, nil }

func (noRollouts) Get(_ context.Context, policy string) (api.Rollout, error) {
	return api.Rollout{}, newProblem(http.StatusNotFound, "rollout.not-found", "get the rollout of policy "+policy, "this agent makes none", "")
}

func (n noRollouts) Steer(ctx context.Context, policy string, _ api.RolloutOrder, _ api.Actor) (api.Rollout, error) {
	return n.Get(ctx, policy)
}
