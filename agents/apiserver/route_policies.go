package apiserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgehold/edgehold/agents/api"
)

const uploadSlackBytes = 64 << 10

type listInput struct {
	Watch bool `query:"watch" doc:"Answer with a stream of changes in place of the list."`
}

type policyInput struct {
	Name string `path:"name" maxLength:"128" example:"load-follower" doc:"Name of the policy."`
}

type rollbackInput struct {
	Name    string `path:"name" maxLength:"128" example:"load-follower" doc:"Name of the policy."`
	Version string `query:"version" maxLength:"128" doc:"Stored version to go back to; the default is the standby."`
	Body    *api.RollbackRequest
}

// version is the one that is named, in the query or in the body.
func (in *rollbackInput) version() (string, error) {
	if in.Body == nil || in.Body.Version == "" {
		return in.Version, nil
	}
	if in.Version != "" && in.Version != in.Body.Version {
		return "", invalid("roll back policy "+in.Name, "body.version", "is not the version in the query")
	}
	return in.Body.Version, nil
}

type uploadInput struct {
	DryRun    bool     `query:"dry_run" doc:"Check everything and store nothing."`
	Disabled  bool     `query:"disabled" doc:"Leave a new policy switched off."`
	Allow     []string `query:"allow,explode" maxItems:"64" example:"CPUFrequency" doc:"Mechanisms that the operator allows; the default is the daemon's configuration."`
	Parameter []string `query:"parameter,explode" maxItems:"64" example:"target=0.7" doc:"Operator's values as NAME=NUMBER."`
	Reference string   `query:"reference" maxLength:"1024" example:"oci://registry.example/policies/cpu-boost:1.2.0" doc:"Where the agent gets the module itself; the body is empty then."`
	RolloutInput
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"application/wasm"`
}

func (s *Server) routePolicies() {
	policies, tag := s.config.Backend.Policies, "policies"
	list := operation("GET", "/v1/policies", "list-policies", "List policies",
		"Every policy with its state, grants and health, sorted by name.", tag)
	list.Middlewares = huma.Middlewares{watchable(s, watched[api.Policy]{
		resource: api.ResourcePolicy,
		list:     func(ctx context.Context, _ *http.Request) ([]api.Policy, error) { return policies.List(ctx) },
		get:      func(ctx context.Context, name string) (api.Policy, error) { return policies.Get(ctx, name) },
		name:     func(p api.Policy) string { return p.Name },
	})}
	handle(s, list, func(ctx context.Context, _ *listInput) (api.PolicyList, error) {
		items, err := policies.List(ctx)
		return api.PolicyList{Items: nonNil(items)}, err
	})
	s.documentStream("/v1/policies")

	s.routeUpload()
	handle(s, operation("GET", "/v1/policies/{name}", "get-policy", "Get policy",
		"One policy with its stored versions.", tag, 404),
		func(ctx context.Context, in *policyInput) (api.Policy, error) { return policies.Get(ctx, in.Name) })
	handleEmpty(s, operation("DELETE", "/v1/policies/{name}", "delete-policy", "Delete policy",
		"Stops the policy, reverts the knobs that it holds, and forgets its versions and its context.", tag, 403, 404),
		func(ctx context.Context, in *policyInput) error { return policies.Delete(ctx, in.Name, actorOf(ctx)) })
	handle(s, operation("GET", "/v1/policies/{name}/versions", "list-policy-versions", "List policy versions",
		"The stored versions, newest first.", tag, 404),
		func(ctx context.Context, in *policyInput) (api.PolicyVersionList, error) {
			items, err := policies.Versions(ctx, in.Name)
			return api.PolicyVersionList{Items: nonNil(items)}, err
		})
	handle(s, operation("POST", "/v1/policies/{name}/enable", "enable-policy", "Enable policy",
		"Lets the policy run. Doing it twice does no harm.", tag, 403, 404, 409),
		func(ctx context.Context, in *policyInput) (api.Policy, error) {
			return policies.Enable(ctx, in.Name, actorOf(ctx))
		})
	handle(s, operation("POST", "/v1/policies/{name}/disable", "disable-policy", "Disable policy",
		"Stops the policy and reverts the knobs that it holds; its versions and its context stay. Doing it twice does no harm.", tag, 403, 404),
		func(ctx context.Context, in *policyInput) (api.Policy, error) {
			return policies.Disable(ctx, in.Name, actorOf(ctx))
		})
	handle(s, operation("POST", "/v1/policies/{name}/rollback", "roll-back-policy", "Roll back policy",
		"Activates the standby version, or the stored version that is named; the active one becomes the standby.", tag, 403, 404, 409),
		func(ctx context.Context, in *rollbackInput) (api.Policy, error) {
			version, err := in.version()
			if err != nil {
				return api.Policy{}, err
			}
			return policies.Rollback(ctx, in.Name, version, actorOf(ctx))
		})
}

func (s *Server) routeUpload() {
	const path = "/v1/policies"
	s.limits["POST "+path] = MaxBundleBytes + uploadSlackBytes
	handle(s, operation("POST", path, "upload-policy", "Upload policy",
		"Takes a WebAssembly module of up to 4 MiB, or a bundle that holds one, as the body or as the part named module of a form; or a reference to where the agent gets it. "+
			"The module is checked, rewritten, compiled, frozen and tried on its golden vectors. "+
			"If all of it succeeds it is stored and decides from then on, and the version before becomes the standby; with parameters of a rollout it has to prove itself first. "+
			"A refusal leaves whatever runs untouched.",
		"policies", 403, 409, 413),
		func(ctx context.Context, in *uploadInput) (api.UploadResult, error) {
			o := api.UploadOptions{DryRun: in.DryRun, Disabled: in.Disabled, Allow: in.Allow}
			var err error
			if o.Parameters, err = parseParameters(in.Parameter); err != nil {
				return api.UploadResult{}, err
			}
			if o.Rollout, err = in.start(); err != nil {
				return api.UploadResult{}, err
			}
			if o.Reference = in.Reference; o.Reference != "" {
				if len(in.RawBody) > 0 {
					return api.UploadResult{}, invalid("upload policy", "body", "is not empty beside a reference")
				}
				return s.config.Backend.Policies.Upload(ctx, nil, o, actorOf(ctx))
			}
			if len(in.RawBody) == 0 {
				return api.UploadResult{}, newProblem(http.StatusBadRequest, "api.bad-request", "upload policy",
					"the request has no body", "send a module, or name a reference")
			}
			module, err := moduleOf(in.ContentType, in.RawBody)
			if err != nil {
				return api.UploadResult{}, err
			}
			return s.config.Backend.Policies.Upload(ctx, module, o, actorOf(ctx))
		})
	body := s.api.OpenAPI().Paths[path].Post.RequestBody
	body.Description, body.Required = "The module.", false
	body.Content["multipart/form-data"] = &huma.MediaType{Schema: &huma.Schema{
		Type:       huma.TypeObject,
		Properties: map[string]*huma.Schema{"module": {Type: huma.TypeString, Format: "binary", Description: "The module."}},
		Required:   []string{"module"},
	}}
}

// moduleOf takes the module out of a request's body. The result does not alias the body, whose buffer is used again.
func moduleOf(contentType string, body []byte) ([]byte, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "", err == nil && (media == "application/wasm" || media == "application/octet-stream" || media == "application/x-tar"):
		return bytes.Clone(body), nil
	case err == nil && media == "multipart/form-data" && parameters["boundary"] != "":
		return modulePart(multipart.NewReader(bytes.NewReader(body), parameters["boundary"]))
	}
	return nil, newProblem(http.StatusUnsupportedMediaType, "api.bad-media-type", "upload policy",
		"the body has the media type "+strconv.Quote(clip(contentType)), "send application/wasm, application/x-tar for a bundle, or multipart/form-data with a part named module")
}

func modulePart(form *multipart.Reader) ([]byte, error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, invalid("upload policy", "body.module", "is missing from the form")
		}
		if err != nil {
			return nil, invalid("upload policy", "body", "is not a form: "+err.Error())
		}
		if part.FormName() != "module" {
			continue
		}
		module, err := io.ReadAll(part)
		if err != nil {
			return nil, invalid("upload policy", "body.module", "ends early: "+err.Error())
		}
		return module, nil
	}
}

// parseParameters reads NAME=NUMBER. None is nil, which keeps the values of the version before.
func parseParameters(settings []string) (map[string]float64, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	values := make(map[string]float64, len(settings))
	for _, setting := range settings {
		name, text, _ := strings.Cut(setting, "=")
		value, err := strconv.ParseFloat(text, 64)
		if name == "" || err != nil {
			return nil, invalid("upload policy", "query.parameter", strconv.Quote(clip(setting))+" is not NAME=NUMBER")
		}
		values[name] = value
	}
	return values, nil
}
