package rollout

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// DefaultTolerance is how much worse a goal may get.
const DefaultTolerance = 0.05

// MinGoalSamples is how many values of a goal each side needs before they are compared.
const MinGoalSamples = 5

// Goal is a metric that a candidate must not make worse than the version in charge left it. The means of both are compared.
type Goal struct {
	Expr string `json:"expr"`
	// Higher says that more is better.
	Higher bool `json:"higher,omitempty"`
	// Tolerance is how much worse the candidate's mean may be, as a share of the other's.
	Tolerance float64 `json:"tolerance"`
}

// ParseGoal reads "lower EXPR", "higher EXPR", and at the end optionally "within 5%".
func ParseGoal(text string) (Goal, error) {
	if len(text) > MaxGateBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		return Goal{}, badGoal(text, "it is too long, or has characters that can't be printed")
	}
	direction, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if direction != "lower" && direction != "higher" {
		return Goal{}, badGoal(text, "it does not say whether lower or higher is better")
	}
	g := Goal{Expr: strings.TrimSpace(rest), Higher: direction == "higher", Tolerance: DefaultTolerance}
	if at := strings.LastIndex(g.Expr, " within "); at >= 0 {
		value, unit, why := parseBound(g.Expr[at+len(" within "):])
		if why != "" || unit != "" || !(value >= 0 && value <= 10) {
			return Goal{}, badGoal(text, "what follows within is not a share such as 5%")
		}
		g.Expr, g.Tolerance = strings.TrimSpace(g.Expr[:at]), value
	}
	if g.Expr == "" {
		return Goal{}, badGoal(text, "it names no metric")
	}
	return g, nil
}

func badGoal(text, why string) error {
	return &Error{
		Code: "rollout.bad-goal", What: fmt.Sprintf("read goal %q", clip(text, 120)), Why: why,
		Hint: "write lower or higher, a metric or PromQL, and optionally how much worse it may get: 'lower app.latency_p99 within 5%'",
	}
}

// String is what reads back as the same goal.
func (g Goal) String() string {
	direction := "lower"
	if g.Higher {
		direction = "higher"
	}
	return fmt.Sprintf("%s %s within %v%%", direction, g.Expr, g.Tolerance*100)
}

// Worse reports whether the candidate's mean is worse than it may be.
func (g *Goal) Worse(before, now Mean) bool {
	if before.Count < MinGoalSamples || now.Count < MinGoalSamples {
		return false
	}
	slack := g.Tolerance * abs(before.Value())
	if g.Higher {
		return now.Value() < before.Value()-slack
	}
	return now.Value() > before.Value()+slack
}

func (g *Goal) validate() error {
	switch {
	case g.Expr == "" || len(g.Expr) > MaxGateBytes || !utf8.ValidString(g.Expr) || strings.ContainsFunc(g.Expr, isControl):
		return badGoal(g.Expr, "its expression is empty, too long, or can't be printed")
	case !(g.Tolerance >= 0 && g.Tolerance <= 10):
		return badGoal(g.Expr, "the tolerance is not from 0 to 1000%")
	}
	return nil
}

// Mean is a running mean.
type Mean struct {
	Count uint64  `json:"count,omitempty"`
	Sum   float64 `json:"sum,omitempty"`
}

// Add counts a value.
func (m *Mean) Add(v float64) { m.Count, m.Sum = m.Count+1, m.Sum+v }

// Value is the mean; 0 before the first value.
func (m Mean) Value() float64 { return ratio(m.Sum, float64(m.Count)) }

func abs(v float64) float64 { return max(v, -v) }
