package mechanisms

import (
	"context"
	"time"
)

// Mechanism is what the rest of the system uses. [Supervisor.Mechanism] makes one from a [Driver]; a mechanism
// without knobs may implement it by itself.
type Mechanism interface {
	// Describe is static and cheap.
	Describe() Description
	// Apply carries a command out. The result is filled in even when an error comes with it.
	Apply(ctx context.Context, c Command) (Result, error)
	// State reads what is so now.
	State(ctx context.Context) (State, error)
}

// Optioner is implemented by mechanisms that can list what may be set.
type Optioner interface {
	Options(ctx context.Context) ([]Knob, error)
}

// Reverter is implemented by mechanisms that can undo what was done under a lease.
type Reverter interface {
	Revert(ctx context.Context, id LeaseID) (Result, error)
}

// Simulator is implemented by mechanisms that can tell a command's result without carrying it out.
type Simulator interface {
	Simulate(ctx context.Context, c Command) (Result, error)
}

// Description is a mechanism's unchanging part.
type Description struct {
	Name       string   `json:"name"` // "CPUFrequency"
	Aliases    []string `json:"aliases,omitempty"`
	Version    string   `json:"version"`
	Layer      string   `json:"layer"` // "node", "cluster" or "continuum"
	Summary    string   `json:"summary"`
	Verbs      []Verb   `json:"verbs"`
	Privileges []string `json:"privileges,omitempty"` // what the process needs to write
	Pace       Pace     `json:"pace"`                 // how often each conflict key may change, unless the envelope says otherwise
}

// Pace is a token bucket: Burst changes at once, then one for each Every. Zero Every = no limit.
type Pace struct {
	Every time.Duration `json:"every,omitempty"`
	Burst int           `json:"burst,omitempty"`
}

// Driver knows how a family of knobs is read and written, and nothing of leases or limits. It is called by one
// goroutine at a time.
type Driver interface {
	Describe() Description
	// Knobs lists what there is now. A knob that exists but can't be used at present is listed with Unavailable.
	Knobs(ctx context.Context) ([]Knob, error)
	// Read returns a knob's present value; an error that wraps [ErrUnavailable] means: perhaps later.
	Read(ctx context.Context, knob string) (Value, error)
	// Write makes one attempt. It must accept whatever Read has returned. A nil error proves nothing: the caller reads back.
	Write(ctx context.Context, knob string, v Value) error
	// Order returns the settings in the order in which they can be written without one standing in another's way.
	// now holds the present values of the knobs that are set, and of those they affect.
	Order(now map[string]Value, settings []Setting) []Setting
}

// Resolver is implemented by drivers that have shorthands: it replaces such settings by real ones.
type Resolver interface {
	Resolve(ctx context.Context, settings []Setting) ([]Setting, error)
}

// Explainer is implemented by drivers that can tell why a knob did not go where it was sent. An empty string means no idea.
type Explainer interface {
	Explain(ctx context.Context, knob string, want, got Value) string
}

// Reporter is implemented by drivers that have facts about the hardware worth showing beside the knobs.
type Reporter interface {
	Facts(ctx context.Context) map[string]string
}
