package apiserver

import (
	"context"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgehold/edgehold/agents/api"
)

type modeInput struct{ Body api.ModeRequest }

type auditInput struct {
	Action string `query:"action" maxLength:"128" doc:"Only this action."`
	Target string `query:"target" maxLength:"256" doc:"Only this target."`
	Since  string `query:"since" maxLength:"64" doc:"Only from this time on: RFC 3339 or seconds since 1970."`
	Until  string `query:"until" maxLength:"64" doc:"Only before this time."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Items on a page; the default is 50."`
	Cursor string `query:"cursor" maxLength:"512" doc:"Cursor of the page before."`
}

func (s *Server) routeAgent() {
	backend, tag := s.config.Backend, "agent"
	handle(s, operation("GET", "/v1/mode", "get-mode", "Get mode", "The management mode.", tag),
		func(ctx context.Context, _ *nothing) (api.Mode, error) { return backend.Mode.Get(ctx) })
	handle(s, operation("PUT", "/v1/mode", "set-mode", "Set mode",
		"In heuristic mode every policy that declares the use of machine learning waits.", tag, 403),
		func(ctx context.Context, in *modeInput) (api.Mode, error) {
			return backend.Mode.Set(ctx, in.Body.Mode, actorOf(ctx))
		})
	handle(s, operation("GET", "/v1/doctor", "examine", "Examine the node",
		"Runs every check and says what to do about what it finds.", tag),
		func(ctx context.Context, _ *nothing) (api.DoctorReport, error) { return backend.Doctor.Examine(ctx) })
	handle(s, operation("GET", "/v1/audit", "list-audit", "List audit",
		"Who did what, newest first, by pages.", tag, 400), s.listAudit)
	handle(s, operation("GET", "/v1/audit/verification", "verify-audit", "Verify audit",
		"Walks the whole hash chain.", tag),
		func(ctx context.Context, _ *nothing) (api.AuditVerification, error) { return backend.Audit.Verify(ctx) })
	handle(s, operation("GET", "/v1/version", "get-version", "Get version", "What this daemon is.", tag),
		func(context.Context, *nothing) (api.Version, error) { return s.config.Version, nil })
}

func (s *Server) listAudit(ctx context.Context, in *auditInput) (page api.AuditPage, err error) {
	filter := api.AuditFilter{Action: in.Action, Target: in.Target, Limit: orDefault(in.Limit, defaultPage), Cursor: in.Cursor}
	if filter.Since, err = parseTime("list audit", "query.since", in.Since); err != nil {
		return page, err
	}
	if filter.Until, err = parseTime("list audit", "query.until", in.Until); err != nil {
		return page, err
	}
	page, err = s.config.Backend.Audit.List(ctx, filter)
	page.Items = nonNil(page.Items)
	return page, err
}

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"32" doc:"Resume after this event."`
}

// routeEvents registers the event stream; its own handler writes the answer.
func (s *Server) routeEvents() {
	op := operation("GET", eventsPath, "watch-events", "Watch events",
		"A stream of server-sent events named event. A reader that lags behind is dropped with a last event of kind stream.dropped.", "agent")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events as they happen.",
		Content: map[string]*huma.MediaType{streamContentType: {
			Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Event](), true, "Event"),
		}},
	}}
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, _ func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		s.serveEvents(w, r)
	}}
	huma.Register(s.api, op, func(context.Context, *eventsInput) (*struct{}, error) { return nil, nil })
}
