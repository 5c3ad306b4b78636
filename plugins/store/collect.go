package store

import (
	"context"
	"os"
	"sync"
)

// Pin keeps a digest, stored or to be stored, out of Collect's hands until release is called: for the time between
// storing it and naming it among the roots.
func (s *Store) Pin(digest string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[digest]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pins[digest]--; s.pins[digest] == 0 {
			delete(s.pins, digest)
		}
	})
}

// Collect removes what roots does not name, and downloads that nobody has gone on with for a week. It returns the digests
// that went.
//
// Nothing that runs can go, if its caller keeps three rules. Roots names everything that may still be started: what runs,
// what a rollback goes back to, what is being prepared. Whoever adds a root does it where roots can't be running, or has
// the digest pinned from before it is stored until the root is durable. And roots fails when it can't know, after damage
// for instance: then nothing is removed. Roots is called once, while nothing can be stored, and must not call the store.
func (s *Store) Collect(ctx context.Context, roots func(ctx context.Context) ([]string, error)) (removed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	named, err := roots(ctx)
	if err != nil {
		return nil, err
	}
	kept := make(map[string]bool, len(named))
	for _, digest := range named {
		kept[digest] = true
	}
	s.dropPartials(maxPartials)
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if kept[e.Digest] || s.pins[e.Digest] > 0 || ctx.Err() != nil {
			continue
		}
		if err := os.Remove(s.file(e.Digest)); err != nil {
			return removed, explain("remove "+e.Digest, err)
		}
		s.opts.step("removed")
		removed = append(removed, e.Digest)
	}
	return removed, ctx.Err()
}
