package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/plugins/sign"
)

// Installer brings in what is assigned.
type Installer interface {
	// Installed reports which digest of a policy was installed last because it was assigned.
	Installed(ctx context.Context, policy string) (digest string, err error)
	// Install brings an assigned module in, the same way as an upload by a person, and notes it.
	Install(ctx context.Context, a sign.Assignment, raw []byte, how *api.RolloutStart) error
}

// Delivery is where metadata and modules come from. Nothing of it is believed.
type Delivery interface {
	sign.Source
	// Module fetches what was assigned. It checks nothing that the caller does not.
	Module(ctx context.Context, a sign.Assignment) ([]byte, error)
}

// FollowerConfig says what a follower asks, and for whom.
type FollowerConfig struct {
	Source    Delivery
	Name      string // of the source, for people
	Installer Installer
	Interval  time.Duration
	Now       func() time.Time
	Logger    *slog.Logger
}

// Follower asks a source for newer metadata from time to time, and installs what the director assigns to this node. Each
// assignment is installed once: if the node, or a person, goes back to another version, that stands until the director
// assigns something else.
type Follower struct {
	FollowerConfig
	client  *sign.Client
	follows bool // the director, not only the list of modules

	asking sync.Mutex // one round at a time

	mu       sync.Mutex
	tried    time.Time
	next     time.Time
	failed   error
	failures int                // of the source, rounds in a row
	refused  map[string]refusal // by digest
}

// refusal is why an assignment was not installed, and when it is tried again.
type refusal struct {
	err   error
	times int
	again time.Time
}

const (
	roundPatience = 5 * time.Minute // for all that one round fetches and installs
	longestPause  = time.Hour
)

// NewFollower returns a follower for a judge that has a pin.
func NewFollower(j *Judge, c FollowerConfig) *Follower {
	return &Follower{FollowerConfig: c, client: j.client, follows: j.config.Node != ""}
}

// Run asks until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	for {
		f.round(ctx, false)
		timer := time.NewTimer(f.pause())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// pause is how long to wait for the next round: the interval, doubled for each failure in a row, give or take a fifth, so
// that a fleet does not ask all at once.
func (f *Follower) pause() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	pause := backoff(f.Interval, f.failures)
	f.next = f.Now().Add(pause)
	return pause
}

func backoff(first time.Duration, failures int) time.Duration {
	pause := first << min(failures, 10)
	if pause <= 0 || pause > longestPause {
		pause = max(longestPause, first)
	}
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

// round asks once and installs what is new. Its error is also kept for the status. Whoever insists has no pause kept.
func (f *Follower) round(ctx context.Context, insist bool) error {
	f.asking.Lock()
	defer f.asking.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, roundPatience)
	defer cancel()
	asked := f.update(bounded)
	err := asked
	if f.follows && sign.Code(err) != sign.CodeUnreachable && sign.Code(err) != sign.CodeExpired {
		err = errors.Join(err, f.installAll(bounded, insist))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.note(err, asked != nil && sign.Code(asked) != sign.CodeExpired && sign.Code(asked) != sign.CodeUnassigned)
	return err
}

func (f *Follower) update(ctx context.Context) error {
	var director sign.Source
	if f.follows {
		director = sign.Under(f.Source, sign.DirectorFolder)
	}
	return f.client.Update(ctx, sign.Under(f.Source, sign.ImagesFolder), director)
}

// note keeps how a round went. faulty says that the source is to be asked less often; a module that is refused has a pause of
// its own.
func (f *Follower) note(err error, faulty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && (f.failed == nil || f.failed.Error() != err.Error()) {
		f.Logger.Warn("trust is not up to date", "code", fault.Code(err), "error", err)
	}
	f.tried, f.failed = f.Now(), err
	f.failures++
	if !faulty {
		f.failures = 0
	}
}

// installAll installs what is assigned and was not installed yet. One that fails does not keep the others from coming in.
func (f *Follower) installAll(ctx context.Context, insist bool) error {
	all, err := f.client.Assigned()
	if sign.Code(err) == sign.CodeUnassigned {
		return nil // update said so
	}
	if err != nil {
		return err
	}
	f.keepRefusals(all)
	var errs []error
	for _, a := range all {
		if err := f.installOne(ctx, a, insist); err != nil {
			errs = append(errs, fmt.Errorf("install %s@%s: %w", a.Name, a.Version, err))
		}
	}
	return errors.Join(errs...)
}

func (f *Follower) installOne(ctx context.Context, a sign.Assignment, insist bool) error {
	before, err := f.Installer.Installed(ctx, a.Name)
	if err != nil || before == a.Digest {
		return err
	}
	if r, ok := f.refusal(a.Digest); ok && !insist && f.Now().Before(r.again) {
		return r.err
	}
	err = f.fetchAndInstall(ctx, a)
	f.remember(a.Digest, err)
	return err
}

func (f *Follower) fetchAndInstall(ctx context.Context, a sign.Assignment) error {
	how, err := rolloutOf(a)
	if err != nil {
		return err
	}
	raw, err := f.Source.Module(ctx, a)
	if err != nil {
		return err
	}
	if err := sign.CheckModule("fetch "+a.Name+"@"+a.Version, raw, a.Digest, a.Length); err != nil {
		return err
	}
	return f.Installer.Install(ctx, a, raw, how)
}

// rolloutOf is how the director wants a version brought in; nil is at once.
func rolloutOf(a sign.Assignment) (*api.RolloutStart, error) {
	if len(a.Rollout) == 0 || string(a.Rollout) == "null" {
		return nil, nil
	}
	how := new(api.RolloutStart)
	if err := json.Unmarshal(a.Rollout, &how.Spec); err != nil {
		return nil, &fault.Error{Code: "trust.bad-rollout", What: "read how " + a.Name + "@" + a.Version + " is to be rolled out", Why: err.Error(), Hint: "assign it again", Err: err}
	}
	how.Supersede = true // what is assigned now counts
	return how, nil
}

func (f *Follower) refusal(digest string) (refusal, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.refused[digest]
	return r, ok
}

func (f *Follower) remember(digest string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.refused, digest)
		return
	}
	if f.refused == nil {
		f.refused = map[string]refusal{}
	}
	r := f.refused[digest]
	f.refused[digest] = refusal{err, r.times + 1, f.Now().Add(backoff(f.Interval, r.times))}
}

// keepRefusals forgets those of modules that are not assigned any more.
func (f *Follower) keepRefusals(all []sign.Assignment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := map[string]refusal{}
	for _, a := range all {
		if r, ok := f.refused[a.Digest]; ok {
			kept[a.Digest] = r
		}
	}
	f.refused = kept
}
