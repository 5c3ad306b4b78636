package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func put(t *testing.T, s *Store, content string) string {
	t.Helper()
	digest, err := s.Put(t.Context(), []byte(content))
	must(t, err)
	return digest
}

func TestWhatIsPutComesBack(t *testing.T) {
	dir := t.TempDir()
	digest := put(t, open(t, dir, Options{Suffix: ".wasm"}), "module")
	s := open(t, dir, Options{Suffix: ".wasm"})
	if got, err := s.Read(digest); err != nil || string(got) != "module" {
		t.Errorf("got %q, %v", got, err)
	}
	if !s.Has(digest) || s.Has(Digest(nil)) {
		t.Error("Has is wrong")
	}
	all, err := s.List()
	must(t, err)
	if diff := cmp.Diff(all, []Entry{{digest, 6}}); diff != "" {
		t.Error(diff)
	}
	if path, err := s.Path(digest); err != nil || filepath.Base(path) != "sha256-"+digest[7:]+".wasm" {
		t.Errorf("path %s, %v: that is where existing installations have it", path, err)
	}
}

func TestDamageIsNoticedAndMended(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	digest := put(t, s, "module")
	path, err := s.Path(digest)
	must(t, err)
	must(t, os.WriteFile(path, []byte("modulf"), 0o600))
	if _, err := s.Read(digest); !errors.Is(err, ErrDamaged) || code(err) != "store.damaged" {
		t.Errorf("got %v", err)
	}
	put(t, s, "module")
	_, err = s.Read(digest)
	must(t, err)
}

func TestBadDigests(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, bad := range []string{"", "sha256:", "sha256:00", "sha512:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("A", 64),
		"sha256:../" + strings.Repeat("0", 61), Digest(nil) + "0"} {
		if _, err := s.Read(bad); !errors.Is(err, ErrBadDigest) {
			t.Errorf("Read(%q): %v", bad, err)
		}
		if _, err := s.Partial(t.Context(), bad, 1); !errors.Is(err, ErrBadDigest) {
			t.Errorf("Partial(%q): %v", bad, err)
		}
	}
	if _, err := s.Read(Digest(nil)); !errors.Is(err, ErrNotFound) || code(err) != "store.not-found" {
		t.Errorf("unknown: %v", err)
	}
}

func TestQuota(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxBytes: 10})
	digest := put(t, s, "123456")
	if _, err := s.Put(t.Context(), []byte("12345")); !errors.Is(err, ErrQuota) || code(err) != "store.quota" {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Partial(t.Context(), Digest([]byte("12345")), 5); !errors.Is(err, ErrQuota) {
		t.Errorf("download: %v", err)
	}
	put(t, s, "123456") // is there already
	put(t, s, "1234")
	removed, err := s.Collect(t.Context(), names(digest))
	must(t, err)
	if len(removed) != 1 {
		t.Errorf("removed %v", removed)
	}
	put(t, s, "12")
}

func names(digests ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return digests, nil }
}

func TestCollectKeepsRootsAndPins(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	active, standby, pinned, old := put(t, s, "a"), put(t, s, "b"), put(t, s, "c"), put(t, s, "d")
	release := s.Pin(pinned)
	removed, err := s.Collect(t.Context(), names(active, standby))
	must(t, err)
	if diff := cmp.Diff(removed, []string{old}); diff != "" {
		t.Error(diff)
	}
	release()
	release() // is harmless
	removed, err = s.Collect(t.Context(), names(active, standby))
	must(t, err)
	if diff := cmp.Diff(removed, []string{pinned}); diff != "" {
		t.Error(diff)
	}
}

func TestCollectRemovesNothingWhenRootsAreUnknown(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	digest := put(t, s, "a")
	damage := errors.New("the database is damaged")
	removed, err := s.Collect(t.Context(), func(context.Context) ([]string, error) { return nil, damage })
	if !errors.Is(err, damage) || removed != nil || !s.Has(digest) {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// Activators put, name and activate while a collector runs; what is active must always be there.
func TestCollectRacesWithActivation(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var mu sync.Mutex // the caller's: of what is active
	active := map[int]string{}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for who := range 4 {
		wg.Go(func() {
			for n := range 100 {
				content := fmt.Sprintf("%d-%d", who, n)
				release := s.Pin(Digest([]byte(content)))
				digest, err := s.Put(ctx, []byte(content))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				active[who] = digest
				mu.Unlock()
				release()
				if _, err := s.Read(digest); err != nil {
					t.Errorf("what runs is gone: %v", err)
				}
			}
		})
	}
	var collector sync.WaitGroup
	collector.Go(func() {
		for ctx.Err() == nil {
			_, err := s.Collect(ctx, func(context.Context) (all []string, _ error) {
				mu.Lock()
				defer mu.Unlock()
				for _, digest := range active {
					all = append(all, digest)
				}
				return all, nil
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	stop()
	collector.Wait()
}

func TestDownloadsResume(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("module "), 1000)
	digest := Digest(content)
	for n := 0; n < len(content); n += 2500 { // as many processes, each of which breaks off
		s := open(t, dir, Options{})
		p, err := s.Partial(t.Context(), digest, int64(len(content)))
		must(t, err)
		if p.Offset() != int64(n) {
			t.Fatalf("resumes at %d, want %d", p.Offset(), n)
		}
		_, err = p.Write(content[n:min(n+2500, len(content))])
		must(t, err)
		if n+2500 < len(content) {
			must(t, p.Close())
			continue
		}
		must(t, p.Commit())
	}
	s := open(t, dir, Options{})
	got, err := s.Read(digest)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}
}

func TestLyingDownloads(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	digest := Digest([]byte("right"))
	for _, tt := range []struct{ name, content string }{{"other content", "wrong"}, {"less", "righ"}, {"nothing", ""}} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := s.Partial(t.Context(), digest, 5)
			must(t, err)
			_, err = p.Write([]byte(tt.content))
			must(t, err)
			if err := p.Commit(); !errors.Is(err, ErrMismatch) || code(err) != "store.mismatch" {
				t.Errorf("got %v", err)
			}
			if s.Has(digest) {
				t.Error("it was stored")
			}
		})
	}
	p, err := s.Partial(t.Context(), digest, 5)
	must(t, err)
	if p.Offset() != 0 {
		t.Errorf("goes on at %d with what is known to be wrong", p.Offset())
	}
	if _, err := p.Write([]byte("rightly")); !errors.Is(err, ErrMismatch) {
		t.Errorf("more than announced: %v", err)
	}
	must(t, p.Discard())
}

func TestOneWriterForADownload(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	digest := Digest([]byte("12"))
	first, err := s.Partial(t.Context(), digest, 2)
	must(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Partial(ended, digest, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("a second writer: %v", err)
	}
	got := make(chan *Partial)
	go func() {
		p, err := s.Partial(context.Background(), digest, 2)
		if err != nil {
			t.Error(err)
		}
		got <- p
	}()
	_, err = first.Write([]byte("1"))
	must(t, err)
	must(t, first.Close())
	second := <-got
	if second.Offset() != 1 {
		t.Errorf("offset %d", second.Offset())
	}
	must(t, second.Restart())
	_, err = second.Write([]byte("12"))
	must(t, err)
	must(t, second.Commit())
}

func TestDownloadsThatNobodyGoesOnWith(t *testing.T) {
	now := time.Now()
	s := open(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	for n := range 2 * maxPartials {
		content := fmt.Sprintf("%04d", n)
		p, err := s.Partial(t.Context(), Digest([]byte(content)), 4)
		must(t, err)
		_, err = p.Write([]byte("00"))
		must(t, err)
		must(t, p.Close())
	}
	if n := len(glob(t, s, partialPrefix+"*")); n != maxPartials {
		t.Errorf("%d wait, want %d at most", n, maxPartials)
	}
	now = now.Add(maxPartialAge + time.Hour)
	_, err := s.Collect(t.Context(), names())
	must(t, err)
	if all := glob(t, s, partialPrefix+"*"); len(all) != 0 {
		t.Errorf("left: %v", all)
	}
}

func glob(t *testing.T, s *Store, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(s.Dir(), pattern))
	must(t, err)
	return all
}

// Downloads that were broken off keep nothing whole out.
func TestDownloadsMakeRoom(t *testing.T) {
	s, err := Open(t.TempDir(), Options{MaxBytes: 100})
	must(t, err)
	half := make([]byte, 90)
	p, err := s.Partial(t.Context(), Digest(half), int64(len(half)))
	must(t, err)
	_, err = p.Write(half[:60])
	must(t, err)
	if s.HasRoom(50) {
		t.Error("there is room although a download is going on")
	}
	must(t, p.Close())
	_, err = s.Put(t.Context(), make([]byte, 50))
	must(t, err)
}
