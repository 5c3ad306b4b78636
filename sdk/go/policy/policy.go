package policy

// Policy decides. Its methods are called in the order that the package's documentation gives, never concurrently.
type Policy interface {
	// Initialize resolves what the policy needs by name. A name that is not there is reported by the Setup itself, so
	// Initialize returns only errors of its own.
	Initialize(*Setup) error
	// Analyze says whether a plan is needed, with [Act] or [Stay].
	Analyze(*Observation) Verdict
	// Plan fills the plan. It sees the same observation as Analyze.
	Plan(*Observation, *Plan) error
}

// Stateful is a policy that remembers. Both methods are optional together.
type Stateful interface {
	// Save puts what the next episode needs.
	Save(*State)
	// Load gets it back, after Initialize. It is not called when nothing has been saved yet.
	Load(*State)
}

// Migrator is a [Stateful] policy that understands the state of older versions of itself, those that policy.yaml
// lists under migrates_from.
type Migrator interface {
	// Migrate rewrites a state of schema from into today's. It runs after Initialize, once, in an instance of its own,
	// when the host replaces the old version; on an error the old version stays.
	Migrate(from uint32, s *State) error
}

var registered = NewInstance(nil)

// Register names the policy of this module. Call it once, in an init function: the host freezes the module after its
// initialisation and starts every episode from there.
func Register(p Policy) { registered.policy = p }
