package ring

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// maxEvaluations bounds how often the innermost part of an expression is evaluated. The engine of Prometheus looks at its
// clock once for each series, not for each step, so no timeout ends max_over_time(x[10y:1ms]).
const maxEvaluations = 10_000_000

// subqueryStep is the step of a subquery that names none: as often as a host is measured.
const subqueryStep = time.Second

// checkCost refuses an expression whose subqueries, evaluated at so many steps, would take for ever.
func checkCost(expr string, parsed parser.Expr, steps int64) error {
	var err error
	parser.Inspect(parsed, func(node parser.Node, path []parser.Node) error {
		n := multiply(steps, node)
		for _, outer := range path {
			n = multiply(n, outer)
		}
		if n > maxEvaluations {
			err = badQuery(expr, fmt.Sprintf("its subqueries ask for more than %d evaluations", maxEvaluations), nil)
		}
		return err
	})
	return err
}

// multiply says how often what is inside a node is evaluated if the node is so often: at most one more than the bound.
func multiply(times int64, node parser.Node) int64 {
	sub, ok := node.(*parser.SubqueryExpr)
	if !ok {
		return times
	}
	step := sub.Step
	if step <= 0 {
		step = subqueryStep
	}
	steps := min(int64(sub.Range/step), maxEvaluations) + 1
	return min(times*steps, maxEvaluations+1)
}
