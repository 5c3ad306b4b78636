package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/plugins/rollout/report"
)

// examineRollout reads what an upload says about its rollout before anything is stored. An expression that is no PromQL is
// refused; a gate that has no data or does not hold already is worth a warning.
func (p *policies) examineRollout(ctx context.Context, start *api.RolloutStart) (warnings []string, err error) {
	if start == nil {
		return nil, nil
	}
	spec, err := report.ParseSpec(start.Spec)
	if err != nil {
		return nil, err
	}
	for i := range spec.Gates {
		warning, err := p.examineGate(ctx, &spec.Gates[i])
		if err != nil {
			return nil, err
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	if spec.Goal == nil {
		return warnings, nil
	}
	values, err := p.examineExpression(ctx, "goal "+spec.Goal.String(), spec.Goal.Query())
	if err == nil && len(values) == 0 {
		warnings = append(warnings, fmt.Sprintf("the goal %s has no data yet, and is not judged without", spec.Goal))
	}
	return warnings, err
}

func (p *policies) examineGate(ctx context.Context, g *rollout.Gate) (warning string, err error) {
	values, err := p.examineExpression(ctx, "gate "+g.String(), g.Query())
	if err != nil {
		return "", err
	}
	worst, any := g.Worst(values)
	switch {
	case !any:
		return fmt.Sprintf("the gate %s has no data yet; without, the version does not stay", g), nil
	case !g.Holds(worst):
		return fmt.Sprintf("the gate %s does not hold now: it is %s", g, api.FormatQuantity(worst, g.Unit)), nil
	}
	return "", nil
}

// examineExpression evaluates once. Only what can never be evaluated is an error.
func (p *policies) examineExpression(ctx context.Context, what, expr string) ([]float64, error) {
	result, err := p.metrics.Query(ctx, expr, p.now())
	var bad interface {
		ErrorCode() string
		ErrorWhy() string
	}
	if errors.As(err, &bad) && bad.ErrorCode() == "telemetry.bad-query" {
		return nil, &Error{Code: "rollout.bad-gate", What: "read " + what, Why: bad.ErrorWhy(), Hint: "try the expression with `edgehold metric query`", Err: err}
	}
	if err != nil {
		return nil, nil //nolint:nilerr // it may do later
	}
	return newest(result), nil
}
