package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const partialPrefix = ".part-sha256-"

// Bounds of the downloads that wait to be resumed.
const (
	maxPartials   = 16
	maxPartialAge = 7 * 24 * time.Hour
)

// Partial is a download that can be broken off and gone on with, by another process even. It is one caller's at a
// time.
type Partial struct {
	store  *Store
	digest string
	bytes  int64 // in whole
	file   *os.File
	offset int64
	free   func()
}

// Partial opens the download of a digest that has the given length in whole, and waits for whoever has it open. Start at
// its Offset. What was written before is not trusted: Commit reads all of it again.
func (s *Store) Partial(ctx context.Context, digest string, bytes int64) (*Partial, error) {
	if err := CheckDigest(digest); err != nil {
		return nil, err
	}
	free, err := s.take(ctx, digest)
	if err != nil {
		return nil, err
	}
	p := &Partial{store: s, digest: digest, bytes: bytes, free: free}
	if err := p.open(); err != nil {
		free()
		return nil, explain("resume "+digest, err)
	}
	return p, nil
}

// take waits until nobody else writes the digest.
func (s *Store) take(ctx context.Context, digest string) (free func(), err error) {
	for {
		s.mu.Lock()
		busy, ok := s.writing[digest]
		if !ok {
			mine := make(chan struct{})
			s.writing[digest] = mine
			s.mu.Unlock()
			return sync.OnceFunc(func() {
				s.mu.Lock()
				delete(s.writing, digest)
				s.mu.Unlock()
				close(mine)
			}), nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *Partial) path() string {
	return filepath.Join(p.store.dir, partialPrefix+p.digest[len(digestPrefix):])
}

func (p *Partial) open() error {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropPartials(maxPartials - 1)
	have := int64(0)
	if info, err := os.Lstat(p.path()); err == nil {
		have = info.Size()
		if !info.Mode().IsRegular() || have > p.bytes {
			have = 0
			if err := os.RemoveAll(p.path()); err != nil {
				return err
			}
		}
	}
	if err := s.reserve(p.bytes - have); err != nil {
		return err
	}
	f, err := os.OpenFile(p.path(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	p.file, p.offset = f, have
	_, err = f.Seek(have, io.SeekStart)
	return err
}

// Offset is how many bytes are there.
func (p *Partial) Offset() int64 { return p.offset }

// Write appends, and refuses what goes over the length that was announced.
func (p *Partial) Write(b []byte) (int, error) {
	if p.offset+int64(len(b)) > p.bytes {
		return 0, tooLong(p.digest, p.bytes)
	}
	n, err := p.file.Write(b)
	p.offset += int64(n)
	p.store.opts.step("part written")
	return n, explain("store "+p.digest, err)
}

// Restart throws away what is there, for a source that can't go on in the middle.
func (p *Partial) Restart() error {
	p.offset = 0
	_, err := p.file.Seek(0, io.SeekStart)
	return explain("start the download of "+p.digest+" again", errors.Join(p.file.Truncate(0), err))
}

// Commit checks the whole against its digest and stores it. Content that is not what its digest says is thrown away and
// the error is [ErrMismatch]. The Partial is closed in any case.
func (p *Partial) Commit() error {
	defer func() { _ = p.Close() }()
	got, err := p.sum()
	if err != nil {
		return explain("read "+p.digest+" back", err)
	}
	if got != p.digest {
		_ = os.Remove(p.path())
		return mismatch(p.digest, got)
	}
	if err := p.file.Sync(); err != nil {
		return explain("store "+p.digest, err)
	}
	p.store.opts.step("part synced")
	s := p.store
	path, err := s.Path(p.digest)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return explain("store "+p.digest, publish(p.path(), path, s.opts.step))
}

func (p *Partial) sum() (string, error) {
	if p.offset != p.bytes {
		return fmt.Sprintf("of %d bytes in place of %d", p.offset, p.bytes), nil
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	_, err := io.Copy(h, p.file)
	return format(h.Sum(nil)), err
}

// Close puts the download down; what is there stays for the next one to go on with. Closing again does nothing.
func (p *Partial) Close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	p.free()
	return explain("put the download of "+p.digest+" down", err)
}

// Discard removes the download.
func (p *Partial) Discard() error {
	err := os.Remove(p.path())
	return errors.Join(explain("remove the download of "+p.digest, err), p.Close())
}

// dropPartials removes downloads that nobody has open: those that are old, and the oldest beyond keep.
func (s *Store) dropPartials(keep int) {
	files, _ := os.ReadDir(s.dir)
	type waiting struct {
		path string
		age  time.Duration
	}
	var all []waiting
	for _, f := range files {
		h, ok := strings.CutPrefix(f.Name(), partialPrefix)
		if _, open := s.writing[digestPrefix+h]; !ok || open {
			continue
		}
		if info, err := f.Info(); err == nil {
			all = append(all, waiting{filepath.Join(s.dir, f.Name()), s.opts.Now().Sub(info.ModTime())})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int { return int(a.age - b.age) })
	for i, w := range all {
		if i >= keep || w.age > maxPartialAge {
			_ = os.Remove(w.path)
		}
	}
}

// Take checks the whole against its digest and returns it, without storing it: for what is of use once. The Partial is
// closed in any case, and gone if it was whole.
func (p *Partial) Take() ([]byte, error) {
	defer func() { _ = p.Close() }()
	content := make([]byte, p.offset)
	if _, err := p.file.ReadAt(content, 0); err != nil && p.offset > 0 {
		return nil, explain("read "+p.digest+" back", err)
	}
	_ = os.Remove(p.path())
	if got := Digest(content); got != p.digest {
		return nil, mismatch(p.digest, got)
	}
	return content, nil
}
