package agents

import (
	"math"
	"time"
)

// Asset names what a policy looks after: "node", or "application/NAME".
type Asset string

// Node is the asset of a policy that looks after the machine itself.
const Node Asset = "node"

// Key names a loop: one policy looking after one asset.
type Key struct {
	Policy string
	Asset  Asset
}

// String returns "policy@asset".
func (k Key) String() string { return k.Policy + "@" + string(k.Asset) }

// Reading is one metric as a policy saw it.
type Reading struct {
	Name  string // with its labels: `node_load1{instance="a"}`
	Unit  string
	Value float64       // NaN when missing
	Age   time.Duration // since the newest sample that went into Value
}

// Missing reports that no sample was there to be seen.
func (r Reading) Missing() bool { return math.IsNaN(r.Value) }

// KnobReading is the effective value of one knob when the policy looked.
type KnobReading struct {
	Mechanism string
	Knob      string
	Unit      string
	Value     Value
}

// Observation is everything that a policy is shown in one episode. The order of
// Readings and Knobs is the order of the ids that the policy knows them by.
type Observation struct {
	Readings []Reading
	Knobs    []KnobReading
}

// Bound asks for a wake when a metric leaves a range. NaN means no bound on
// that side.
type Bound struct {
	ID     uint32 // the metric's place in the policy's list
	Metric string
	Unit   string
	Above  float64
	Below  float64
}

// Crossing is a bound that was crossed, and the value that crossed it.
type Crossing struct {
	Bound Bound
	Value float64
}

// TriggerKind says why an Analyze ran.
type TriggerKind string

// The reasons for which an Analyze runs.
const (
	Periodic TriggerKind = "periodic"
	Wake     TriggerKind = "wake"
	Manual   TriggerKind = "manual"
)

// Trigger is why an Analyze ran.
type Trigger struct {
	Kind     TriggerKind
	Crossing *Crossing // set for Wake
	By       string    // who asked, for Manual
}

// same compares bounds; a side without a bound equals itself.
func (b Bound) same(o Bound) bool {
	eq := func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }
	return b.ID == o.ID && eq(b.Above, o.Above) && eq(b.Below, o.Below)
}
