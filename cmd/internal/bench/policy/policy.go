// Package policy is the logic that the benchmark runs twice: compiled to WebAssembly behind our ABI, and natively behind a
// flat codec. It is not an example of how to write one.
package policy

// Metric is one value that the policy looks at.
type Metric struct {
	Name  string
	Value float64
	Age   uint32
}

// Action is one thing that it plans.
type Action struct {
	Target uint32
	Value  float64
}

// Threshold and MaxActions are the policy's parameters.
const (
	Threshold  = 30
	MaxActions = 8
)

// Decide plans an action for each value above the threshold, the first eight.
func Decide(values []float64, actions []Action) []Action {
	for n, v := range values {
		if v > Threshold && len(actions) < MaxActions {
			actions = append(actions, Action{Target: uint32(n), Value: v * 0.5})
		}
	}
	return actions
}
