package apiserver

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgehold/edgehold/agents/api"
)

type mechanismInput struct {
	Name string `path:"name" maxLength:"128" example:"CPUFrequency" doc:"Name of the mechanism."`
}

type applyInput struct {
	Name string `path:"name" maxLength:"128" example:"CPUFrequency" doc:"Name of the mechanism."`
	Body api.MechanismCommand
}

type revertInput struct {
	Name string `path:"name" maxLength:"128" example:"CPUFrequency" doc:"Name of the mechanism."`
	Body api.RevertRequest
}

func (s *Server) routeMechanisms() {
	mechanisms, tag := s.config.Backend.Mechanisms, "mechanisms"
	list := operation("GET", "/v1/mechanisms", "list-mechanisms", "List mechanisms",
		"Every mechanism, those that this node lacks included, with its knobs as they stand.", tag)
	list.Middlewares = huma.Middlewares{watchable(s, watched[api.Mechanism]{
		resource: api.ResourceMechanism,
		list:     func(ctx context.Context, _ *http.Request) ([]api.Mechanism, error) { return mechanisms.List(ctx) },
		get:      func(ctx context.Context, name string) (api.Mechanism, error) { return mechanisms.Get(ctx, name) },
		name:     func(m api.Mechanism) string { return m.Name },
	})}
	handle(s, list, func(ctx context.Context, _ *listInput) (api.MechanismList, error) {
		items, err := mechanisms.List(ctx)
		return api.MechanismList{Items: nonNil(items)}, err
	})
	s.documentStream("/v1/mechanisms")

	handle(s, operation("GET", "/v1/mechanisms/{name}", "get-mechanism", "Get mechanism",
		"One mechanism with its knobs, read now.", tag, 404),
		func(ctx context.Context, in *mechanismInput) (api.Mechanism, error) {
			return mechanisms.Get(ctx, in.Name)
		})
	handle(s, operation("GET", "/v1/mechanisms/{name}/options", "get-mechanism-options", "Get mechanism options",
		"What each knob may be set to: unit, bounds, table or choices.", tag, 404),
		func(ctx context.Context, in *mechanismInput) (api.KnobList, error) {
			return knobs(ctx, mechanisms, in.Name, optionsOf)
		})
	handle(s, operation("GET", "/v1/mechanisms/{name}/state", "get-mechanism-state", "Get mechanism state",
		"What each knob is set to: the value read back, the baseline, the lease and drift.", tag, 404),
		func(ctx context.Context, in *mechanismInput) (api.KnobList, error) {
			return knobs(ctx, mechanisms, in.Name, stateOf)
		})
	handle(s, operation("POST", "/v1/mechanisms/{name}/apply", "apply-mechanism", "Apply mechanism",
		"Sets or resets knobs for a person, under a lease, through the same safety core as a policy's plan. The answer has the values read back. "+
			"The dictionary of MLSysOps deliverable D3.3 is accepted in d33; its unit must be written.", tag, 403, 404, 409, 429),
		func(ctx context.Context, in *applyInput) (api.MechanismResult, error) {
			if err := checkCommand(&in.Body); err != nil {
				return api.MechanismResult{}, err
			}
			return mechanisms.Apply(ctx, in.Name, in.Body, actorOf(ctx))
		})
	handle(s, operation("POST", "/v1/mechanisms/{name}/revert", "revert-mechanism", "Revert mechanism",
		"Gives knobs back to their baseline and ends their leases.", tag, 403, 404, 409),
		func(ctx context.Context, in *revertInput) (api.MechanismResult, error) {
			return mechanisms.Revert(ctx, in.Name, in.Body.Knobs, actorOf(ctx))
		})
}

// checkCommand refuses what the schema can't exclude.
func checkCommand(c *api.MechanismCommand) error {
	const attempted = "apply mechanism"
	if c.Verb == "" && c.D33 == nil {
		c.Verb = api.VerbSet
	}
	switch {
	case c.D33 != nil && (len(c.Settings) > 0 || c.Verb != ""):
		return invalid(attempted, "body.d33", "does not go together with verb or settings")
	case c.Verb == api.VerbSet && len(c.Settings) == 0:
		return invalid(attempted, "body.settings", "is empty; name at least one knob")
	case c.Verb == api.VerbReset:
		return nil
	}
	for _, setting := range c.Settings {
		if (setting.Value.Number == nil) == (setting.Value.Choice == "") {
			return invalid(attempted, "body.settings", "needs either a number or a choice for "+clip(setting.Knob))
		}
	}
	return nil
}

func knobs(ctx context.Context, mechanisms MechanismReader, name string, part func(api.Knob) api.Knob) (api.KnobList, error) {
	m, err := mechanisms.Get(ctx, name)
	if err != nil {
		return api.KnobList{}, err
	}
	list := api.KnobList{Mechanism: m.Name, Items: make([]api.Knob, len(m.Knobs))}
	for i, knob := range m.Knobs {
		list.Items[i] = part(knob)
	}
	return list, nil
}

func optionsOf(k api.Knob) api.Knob {
	k.Current, k.Baseline, k.Lease, k.Drift, k.Error = api.Value{}, api.Value{}, nil, nil, ""
	return k
}

func stateOf(k api.Knob) api.Knob {
	return api.Knob{Name: k.Name, Kind: k.Kind, Unit: k.Unit, Current: k.Current, Baseline: k.Baseline, Lease: k.Lease, Drift: k.Drift, Error: k.Error}
}
