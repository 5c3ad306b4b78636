package apiserver

import (
	"context"
	"net/http"

	"github.com/edgehold/edgehold/agents/api"
)

func (s *Server) routeTrust() {
	trust, tag := s.config.Backend.Trust, "trust"
	whole := func(status api.TrustStatus, err error) (api.TrustStatus, error) {
		status.Documents, status.Assigned = nonNil(status.Documents), nonNil(status.Assigned)
		return status, err
	}
	handle(s, operation("GET", "/v1/trust", "get-trust", "Get trust",
		"What this node believes about signatures, until when, and what the director has it run.", tag),
		func(ctx context.Context, _ *nothing) (api.TrustStatus, error) { return whole(trust.Status(ctx)) })
	handle(s, operation("POST", "/v1/trust/update", "update-trust", "Update trust",
		"Asks the source for newer metadata now, and installs what the director assigns.", tag, 403, 409),
		func(ctx context.Context, _ *nothing) (api.TrustStatus, error) {
			return whole(trust.Update(ctx, actorOf(ctx)))
		})
}

// noTrust is for agents that know no signatures.
type noTrust struct{}

func (noTrust) Status(context.Context) (api.TrustStatus, error) {
	return api.TrustStatus{Require: "unsigned"}, nil
}

func (noTrust) Update(context.Context, api.Actor) (api.TrustStatus, error) {
	return api.TrustStatus{}, newProblem(http.StatusConflict, "trust.no-source", "update trust", "this agent has no source of metadata", "set trust.source in its configuration")
}
