package policytest

import (
	"math"
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
	"github.com/edgehold/edgehold/wasmabi"
)

// Values are the metrics of one observation by name. A metric that is left out has no value.
type Values map[string]float64

// Node is the host of one policy for one asset. Declare metrics, knobs and parameters before the first episode, in
// any order; undeclared names fail the policy's look-ups as they would on a real node.
type Node struct {
	t    testing.TB
	make func() policy.Policy
	init wasmabi.Init

	now     time.Time
	seq     uint64
	ages    map[string]time.Duration
	knobs   []knob
	bounds  []bound
	context []byte
	random  bool
	woken   bool // whether the current observation crossed a bound
}

// New makes a node. newPolicy is called for each episode and returns a policy as it is after the module's
// initialisation.
func New(t testing.TB, newPolicy func() policy.Policy) *Node {
	return &Node{
		t: t, make: newPolicy, now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), ages: map[string]time.Duration{},
		init: wasmabi.Init{
			Policy: "under-test", Version: "0.0.0", Layer: wasmabi.LayerNode,
			Scope: wasmabi.ScopeNode, Asset: "test-node",
		},
	}
}

// Asset says what the policy decides for; the default is the node "test-node".
func (n *Node) Asset(scope, name string) { n.init.Scope, n.init.Asset = scope, name }

// Metric declares a metric with pairs of label and value.
func (n *Node) Metric(name string, labels ...string) {
	m := wasmabi.MetricInfo{Name: name}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Labels = append(m.Labels, wasmabi.Label{Name: labels[i], Value: labels[i+1]})
	}
	n.init.Metrics = append(n.init.Metrics, m)
}

// Parameter declares a parameter with its value.
func (n *Node) Parameter(name string, value float64) {
	n.init.ParameterNames = append(n.init.ParameterNames, name)
	n.init.Parameters = append(n.init.Parameters, value)
}

// Mechanism declares a granted mechanism. Knob does so too.
func (n *Node) Mechanism(name string) { n.mechanism(name) }

func (n *Node) mechanism(name string) uint32 {
	for i, m := range n.init.Mechanisms {
		if m == name {
			return uint32(i)
		}
	}
	n.init.Mechanisms = append(n.init.Mechanisms, name)
	return uint32(len(n.init.Mechanisms) - 1)
}

// AllowRandom switches off the check that an episode run twice gives the same result. The real host seeds random
// numbers; a native test can't.
func (n *Node) AllowRandom() { n.random = true }

// Age makes the metric's sample this old in the observations that follow.
func (n *Node) Age(metric string, age time.Duration) { n.ages[metric] = age }

// Time is the node's clock, which only Advance moves.
func (n *Node) Time() time.Time { return n.now }

// Advance moves the clock and gives knobs whose lease has run out their original values back.
func (n *Node) Advance(d time.Duration) {
	n.now = n.now.Add(d)
	for i := range n.knobs {
		n.knobs[i].expire(n.now)
	}
}

// KnobValue is the value in effect.
func (n *Node) KnobValue(name string) float64 {
	n.t.Helper()
	return n.find(name).value
}

// SetKnob changes a knob behind the policy's back, and its original value with it.
func (n *Node) SetKnob(name string, value float64) {
	n.t.Helper()
	k := n.find(name)
	k.value, k.original = value, value
}

func (n *Node) find(name string) *knob {
	n.t.Helper()
	for i := range n.init.Knobs {
		if n.init.Knobs[i].Name == name {
			return &n.knobs[i]
		}
	}
	n.t.Fatalf("the test declares no knob %s", name)
	return nil
}

// Context is the saved state as it would travel.
func (n *Node) Context() []byte { return n.context }

// State is the saved state, readable.
func (n *Node) State() []wasmabi.Entry {
	n.t.Helper()
	entries, err := wasmabi.DecodeContext(n.context, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return entries
}

// Replace puts another version of the policy in the place of this one, as a swap does: the state is handed over, and
// goes through Migrate when the schema differs.
func (n *Node) Replace(newPolicy func() policy.Policy, schema uint32) {
	n.t.Helper()
	if schema != n.init.ContextSchema && len(n.context) > 0 {
		context, err := n.migrate(policy.NewInstance(newPolicy()))
		if err != nil {
			n.t.Fatalf("replace the policy: %v", err)
		}
		n.context = context
	}
	n.make, n.init.ContextSchema = newPolicy, schema
}

// migrate hands the state to an instance of the new version, which is initialised without it.
func (n *Node) migrate(i *policy.Instance) ([]byte, error) {
	if _, err := call(i, wasmabi.OpInit, wasmabi.AppendInit(nil, &n.init)); err != nil {
		return nil, err
	}
	request := wasmabi.AppendMigrate(nil, &wasmabi.Migrate{FromSchema: n.init.ContextSchema, Context: n.context})
	return call(i, wasmabi.OpMigrate, request)
}

// observe encodes an observation of values and of the knobs.
func (n *Node) observe(values Values) []byte {
	n.t.Helper()
	n.seq++
	m := wasmabi.Observation{Seq: n.seq, TimeNS: n.now.UnixNano(), Trigger: n.trigger(values)}
	n.woken = m.Trigger == wasmabi.TriggerWake
	known := 0
	for i, info := range n.init.Metrics {
		value, ok := values[info.Name]
		age := uint32(n.ages[info.Name].Milliseconds())
		if ok {
			known++
		} else {
			value, age = math.NaN(), wasmabi.AgeMissing
		}
		m.IDs = append(m.IDs, uint32(i))
		m.Values = append(m.Values, value)
		m.AgesMS = append(m.AgesMS, age)
	}
	if known < len(values) {
		n.t.Fatalf("the test gives values to metrics that it does not declare: %v", values)
	}
	for i := range n.knobs {
		m.KnobIDs = append(m.KnobIDs, uint32(i))
		m.KnobValues = append(m.KnobValues, n.knobs[i].value)
	}
	return wasmabi.AppendObservation(nil, &m)
}

// bound is a wake bound in force.
type bound struct {
	metric       string
	above, below float64
}

// trigger is TriggerWake when a value lies beyond a bound that the last verdict asked for.
func (n *Node) trigger(values Values) uint32 {
	for _, b := range n.bounds {
		if v, ok := values[b.metric]; ok && (v > b.above || v < b.below) {
			return wasmabi.TriggerWake
		}
	}
	return wasmabi.TriggerPeriodic
}
