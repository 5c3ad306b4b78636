package apiserver

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	eventsPath = "/v1/events"
	healthPath = "/healthz"
)

// route registers every operation.
func (s *Server) route() {
	s.mux = http.NewServeMux()
	s.api = humago.New(s.mux, s.humaConfig())
	s.api.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[problem](), reflect.TypeFor[api.Problem]())
	s.routePolicies()
	s.routeRollouts()
	s.routeTrust()
	s.routeMechanisms()
	s.routeDecisions()
	s.routeMetrics()
	s.routeAgent()
	s.routeEvents()
	s.mux.Handle("GET "+healthPath, s.config.HealthHandler)
	if s.config.MetricsHandler != nil {
		s.mux.Handle("GET /metrics", s.config.MetricsHandler)
	}
}

func (s *Server) humaConfig() huma.Config {
	config := huma.DefaultConfig("Edgehold", "1")
	config.Info.Description = "What an Edgehold agent answers. Every failure is an RFC 9457 problem document with a stable code, the cause and a hint. " +
		"On the unix socket the file mode is the guard; on TCP send a bearer token over TLS 1.3."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "Needed on TCP; the unix socket takes the caller's uid from the kernel."},
	}
	config.Security = []map[string][]string{{"token": {}}, {}}
	config.Tags = []*huma.Tag{
		{Name: "policies", Description: "WebAssembly modules that decide."},
		{Name: "rollouts", Description: "How new versions of policies come into charge, and go back."},
		{Name: "mechanisms", Description: "What acts on the node, and its knobs."},
		{Name: "decisions", Description: "What policies decided, why, and whether they would again."},
		{Name: "metrics", Description: "The last minutes of every metric, in PromQL."},
		{Name: "agent", Description: "The agent itself."},
	}
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{noteRefusal}
	return config
}

// noteRefusal remembers a problem that huma answers with, for the audit.
func noteRefusal(ctx huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*problem); ok {
		requestOf(ctx.Context()).refusal = p
		return &p.Problem, nil
	}
	return v, nil
}

// output is the shape in which huma wants an answer.
type output[T any] struct{ Body T }

// nothing is the input of an operation without parameters.
type nothing struct{}

// register adds an operation, and notes whether it takes a body.
func register[I, O any](s *Server, op huma.Operation, serve func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, op, serve)
	if item := s.api.OpenAPI().Paths[op.Path]; op.Method == http.MethodPost && item.Post.RequestBody == nil || op.Method == http.MethodDelete {
		s.bodiless[op.Method+" "+op.Path] = true
	}
}

// operation is what every operation has in common.
func operation(method, path, id, summary, description, tag string, errors ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Description: description,
		Tags:   []string{tag},
		Errors: append(errors, http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable),
		// The body was read and bounded before routing.
		BodyReadTimeout: -1, MaxBodyBytes: -1,
	}
}

// handle registers an operation whose failures are problems.
func handle[I, O any](s *Server, op huma.Operation, serve func(context.Context, *I) (O, error)) {
	register(s, op, func(ctx context.Context, in *I) (*output[O], error) {
		requestOf(ctx).reached = true
		out, err := serve(ctx, in)
		if err != nil {
			return nil, s.failed(op, err)
		}
		return &output[O]{out}, nil
	})
}

// handleEmpty registers an operation that answers with nothing.
func handleEmpty[I any](s *Server, op huma.Operation, serve func(context.Context, *I) error) {
	register(s, op, func(ctx context.Context, in *I) (*struct{}, error) {
		requestOf(ctx).reached = true
		if err := serve(ctx, in); err != nil {
			return nil, s.failed(op, err)
		}
		return nil, nil
	})
}

func (s *Server) failed(op huma.Operation, err error) error {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		s.log.Error("request failed", "operation", op.OperationID, "error", err)
	}
	return p
}

// actorOf is who sent the request.
func actorOf(ctx context.Context) api.Actor { return requestOf(ctx).actor }

// invalid is the problem of a value that the schema can't exclude.
func invalid(attempted, location, message string) *problem {
	p := newProblem(http.StatusUnprocessableEntity, "api.invalid", attempted, location+" "+message, "the interface is described at /openapi.json")
	p.Errors = []api.ProblemField{{Location: location, Message: message}}
	return p
}

// documentStream adds the stream that ?watch answers with to a list's description.
func (s *Server) documentStream(path string) {
	s.api.OpenAPI().Paths[path].Get.Responses["200"].Content[streamContentType] = &huma.MediaType{
		Schema: &huma.Schema{Type: huma.TypeString, Description: "With watch=true: server-sent events named change, whose data is a JSON object with type " +
			"(present, then listed once, then changed or gone), name and item; an event named problem has a problem document; the last one is named event."},
	}
}

// nonNil makes an empty list [] and not null.
func nonNil[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// parseTime reads an optional RFC 3339 time, or seconds since 1970 as Prometheus' clients send them.
func parseTime(attempted, location, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if seconds, err := time.ParseDuration(text + "s"); err == nil && !strings.ContainsAny(text, "hmsuµn") {
		return time.Unix(0, seconds.Nanoseconds()).UTC(), nil
	}
	return time.Time{}, invalid(attempted, location, "is neither an RFC 3339 time nor seconds since 1970")
}

// outcomesOf reads every ?outcome.
func outcomesOf(r *http.Request) (outcomes []api.DecisionOutcome) {
	for _, value := range r.URL.Query()["outcome"] {
		outcomes = append(outcomes, api.DecisionOutcome(value))
	}
	return outcomes
}
