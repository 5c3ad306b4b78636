package node

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
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/wasmabi"
)

// installer is what a follower needs of the node's policies.
type installer interface {
	// installed reports which digest of a policy was installed last because it was assigned.
	installed(ctx context.Context, policy string) (digest string, err error)
	// install brings an assigned module in, the same way as an upload by a person, and notes it.
	install(ctx context.Context, a sign.Assignment, raw []byte, how *api.RolloutStart) error
}

// follower asks a source for newer metadata from time to time, and installs what the director assigns to this node. Each
// assignment is installed once: if the node, or a person, goes back to another version, that stands until the director
// assigns something else.
type follower struct {
	client   *sign.Client
	source   delivery
	follows  bool // the director, not only the list of modules
	policies installer
	interval time.Duration
	now      func() time.Time
	log      *slog.Logger

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

// run asks until ctx ends.
func (f *follower) run(ctx context.Context) error {
	for {
		f.round(ctx)
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
func (f *follower) pause() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	pause := backoff(f.interval, f.failures)
	f.next = f.now().Add(pause)
	return pause
}

func backoff(first time.Duration, failures int) time.Duration {
	pause := first << min(failures, 10)
	if pause <= 0 || pause > longestPause {
		pause = max(longestPause, first)
	}
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

// round asks once and installs what is new. Its error is also kept for the status.
func (f *follower) round(ctx context.Context) error {
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
		err = errors.Join(err, f.installAll(bounded))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.note(err, asked != nil && sign.Code(asked) != sign.CodeExpired && sign.Code(asked) != sign.CodeUnassigned)
	return err
}

func (f *follower) update(ctx context.Context) error {
	var director sign.Source
	if f.follows {
		director = sign.Under(f.source, sign.DirectorFolder)
	}
	return f.client.Update(ctx, sign.Under(f.source, sign.ImagesFolder), director)
}

// note keeps how a round went. faulty says that the source is to be asked less often; a module that is refused has a pause of
// its own.
func (f *follower) note(err error, faulty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && (f.failed == nil || f.failed.Error() != err.Error()) {
		f.log.Warn("trust is not up to date", "code", codeIn(err), "error", err)
	}
	f.tried, f.failed = f.now(), err
	f.failures++
	if !faulty {
		f.failures = 0
	}
}

func codeIn(err error) string {
	if coded := (interface{ ErrorCode() string })(nil); errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}

// installAll installs what is assigned and was not installed yet. One that fails does not keep the others from coming in.
func (f *follower) installAll(ctx context.Context) error {
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
		if err := f.installOne(ctx, a); err != nil {
			errs = append(errs, fmt.Errorf("install %s@%s: %w", a.Name, a.Version, err))
		}
	}
	return errors.Join(errs...)
}

func (f *follower) installOne(ctx context.Context, a sign.Assignment) error {
	before, err := f.policies.installed(ctx, a.Name)
	if err != nil || before == a.Digest {
		return err
	}
	if r, ok := f.refusal(a.Digest); ok && f.now().Before(r.again) {
		return r.err
	}
	err = f.fetchAndInstall(ctx, a)
	f.remember(a.Digest, err)
	return err
}

func (f *follower) fetchAndInstall(ctx context.Context, a sign.Assignment) error {
	how, err := rolloutOf(a)
	if err != nil {
		return err
	}
	raw, err := f.source.Module(ctx, a)
	if err != nil {
		return err
	}
	if err := sign.CheckModule("fetch "+a.Name+"@"+a.Version, raw, a.Digest, a.Length); err != nil {
		return err
	}
	return f.policies.install(ctx, a, raw, how)
}

// rolloutOf is how the director wants a version brought in; nil is at once.
func rolloutOf(a sign.Assignment) (*api.RolloutStart, error) {
	if len(a.Rollout) == 0 || string(a.Rollout) == "null" {
		return nil, nil
	}
	how := new(api.RolloutStart)
	if err := json.Unmarshal(a.Rollout, &how.Spec); err != nil {
		return nil, &Error{Code: "trust.bad-rollout", What: "read how " + a.Name + "@" + a.Version + " is to be rolled out", Why: err.Error(), Hint: "assign it again", Err: err}
	}
	how.Supersede = true // what is assigned now counts
	return how, nil
}

func (f *follower) refusal(digest string) (refusal, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.refused[digest]
	return r, ok
}

func (f *follower) remember(digest string, err error) {
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
	f.refused[digest] = refusal{err, r.times + 1, f.now().Add(backoff(f.interval, r.times))}
}

// keepRefusals forgets those of modules that are not assigned any more.
func (f *follower) keepRefusals(all []sign.Assignment) {
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

// assignedKey is the setting that says which digest of a policy was installed because it was assigned.
func assignedKey(policy string) string { return "assigned/" + policy }

// installed implements installer.
func (p *policies) installed(ctx context.Context, policy string) (string, error) {
	digest, _, err := p.db.Setting(ctx, assignedKey(policy))
	return digest, err
}

// install implements installer.
func (p *policies) install(ctx context.Context, a sign.Assignment, raw []byte, how *api.RolloutStart) error {
	if m, err := wasmabi.ReadManifest(raw); err == nil && m.Kind == wasmabi.KindAdapter {
		how = nil // there is nothing to compare
	}
	if _, err := p.Upload(ctx, raw, api.UploadOptions{Rollout: how}, api.DirectorActor); err != nil {
		return err
	}
	return p.db.SetSetting(ctx, assignedKey(a.Name), a.Digest)
}
