package agents

import (
	"context"
	"errors"
	"time"
)

// Policy begins episodes. It is called by one goroutine at a time for each loop,
// and by several loops at once if it was bound to several assets.
type Policy interface {
	Begin(ctx context.Context, in Input) (Episode, error)
}

// Episode is one pass of a policy over one observation: Analyze, then Plan if
// the verdict asks for it, then End, always, also after an error.
type Episode interface {
	Analyze(ctx context.Context) (Verdict, error)
	Plan(ctx context.Context) (Plan, error)
	// End gives the episode's resources back and says what it leaves behind.
	End(ctx context.Context) (Trace, error)
}

// Migrator is a Policy that can turn the context of another schema into one of
// its own. It is asked when a version with another schema is swapped in.
type Migrator interface {
	Migrate(ctx context.Context, from uint32, state []byte) ([]byte, error)
}

// ErrNoMigration is what Migrate returns (wrapped or not) for a schema that it
// does not know: the version then starts with what it once left itself, which is
// what a rollback wants. Any other error stops the swap.
var ErrNoMigration = errors.New("no migration from that schema")

// Input is all that an episode depends on, besides the policy itself.
type Input struct {
	Key         Key
	Version     string
	Seq         uint64    // counts the loop's episodes from 1
	Time        time.Time // the wall clock as the episode shall see it
	Seed        uint64
	Trigger     Trigger
	Observation Observation
	Context     []byte // what the last episode left; empty at first
	Schema      uint32 // of Context
}

// Trace is what an episode leaves behind.
type Trace struct {
	Context []byte // for the next episode
	Fuel    uint64
	Record  []byte // the recorded episode; opaque here, replayed elsewhere
}
