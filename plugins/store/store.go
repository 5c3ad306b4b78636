package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options tune a Store. The zero value is useful.
type Options struct {
	// MaxBytes bounds what the folder may hold, partial downloads included; 0 is no bound.
	MaxBytes int64
	// Suffix ends the names of the files, ".wasm" for example, for people who look.
	Suffix string
	// Now tells how old a partial download is; nil is the clock.
	Now func() time.Time

	step func(what string) // tests stop the process here
}

// Store is a folder of content-addressed files.
type Store struct {
	dir  string
	opts Options

	mu      sync.Mutex               // publishing against collecting
	pins    map[string]int           // digests that Collect leaves alone
	writing map[string]chan struct{} // partial downloads in somebody's hands; closed when they are put down
}

// Open opens the store in dir, which it makes if needed, and removes what a crash left half written. It needs no space.
func Open(dir string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.step == nil {
		o.step = func(string) {}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, explain("open the store in "+dir, err)
	}
	Sweep(dir)
	return &Store{dir: dir, opts: o, pins: map[string]int{}, writing: map[string]chan struct{}{}}, nil
}

// Dir returns the folder.
func (s *Store) Dir() string { return s.dir }

const filePrefix = "sha256-"

// Path is where the content of a digest is, or would be.
func (s *Store) Path(digest string) (string, error) {
	if err := CheckDigest(digest); err != nil {
		return "", err
	}
	return s.file(digest), nil
}

func (s *Store) file(digest string) string {
	return filepath.Join(s.dir, filePrefix+strings.TrimPrefix(digest, digestPrefix)+s.opts.Suffix)
}

// Put stores content and returns its digest. When it has returned, the content survives a crash. Content that is there
// already is not written again, unless the disk has damaged it.
func (s *Store) Put(ctx context.Context, content []byte) (digest string, err error) {
	digest = Digest(content)
	path, err := s.Path(digest)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, err := os.ReadFile(path); err == nil && bytes.Equal(kept, content) {
		return digest, nil
	}
	if err := s.reserve(int64(len(content))); err != nil {
		return "", err
	}
	return digest, explain("store "+digest, replace(path, content, 0o600, s.opts.step))
}

// Read returns the content of a digest, having checked that the disk gave back what it was given: otherwise the error
// is [ErrDamaged], or [ErrNotFound].
func (s *Store) Read(digest string) ([]byte, error) {
	path, err := s.Path(digest)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, explain("read "+digest, err)
	}
	if Digest(content) != digest {
		return nil, &Error{Code: "store.damaged", What: "read " + digest, Why: "its content has changed on the disk",
			Hint: "fetch it again and check the disk", Err: ErrDamaged}
	}
	return content, nil
}

// Has reports whether something is stored under a digest. Only [Store.Read] tells whether it is undamaged.
func (s *Store) Has(digest string) bool {
	path, err := s.Path(digest)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Entry is one artefact.
type Entry struct {
	Digest string
	Bytes  int64
}

// List returns what is stored, without reading it.
func (s *Store) List() ([]Entry, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, explain("list the store", err)
	}
	var all []Entry
	for _, f := range files {
		if digest, ok := s.digestOf(f.Name()); ok {
			if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
				all = append(all, Entry{digest, info.Size()})
			}
		}
	}
	return all, nil
}

func (s *Store) digestOf(name string) (string, bool) {
	h, ok := strings.CutPrefix(name, filePrefix)
	h, suffixed := strings.CutSuffix(h, s.opts.Suffix)
	return digestPrefix + h, ok && suffixed
}

// HasRoom reports whether content of so many bytes would be within the quota.
func (s *Store) HasRoom(bytes int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reserve(bytes) == nil
}

// reserve refuses content that would go over the quota. Downloads that nobody has open go first: they may never be whole.
func (s *Store) reserve(bytes int64) error {
	if s.opts.MaxBytes <= 0 {
		return nil
	}
	used, err := s.used()
	if err == nil && used+bytes > s.opts.MaxBytes {
		s.dropPartials(0)
		used, err = s.used()
	}
	if err != nil {
		return err
	}
	if used+bytes > s.opts.MaxBytes {
		return &Error{Code: "store.quota", What: fmt.Sprintf("store %d bytes", bytes),
			Why:  fmt.Sprintf("%d of the %d bytes that the store may have are used", used, s.opts.MaxBytes),
			Hint: "delete versions or policies that are not needed, or raise the quota", Err: ErrQuota}
	}
	return nil
}

func (s *Store) used() (sum int64, err error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, explain("measure the store", err)
	}
	for _, f := range files {
		_, whole := s.digestOf(f.Name())
		if !whole && !strings.HasPrefix(f.Name(), partialPrefix) {
			continue
		}
		if info, err := f.Info(); err == nil {
			sum += info.Size()
		}
	}
	return sum, nil
}
