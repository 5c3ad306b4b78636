package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/state/crashtest"
)

func TestMain(m *testing.M) { crashtest.Main(m, crashChild) }

func open(t *testing.T, dir string, o Options) (*Store, Report) {
	t.Helper()
	s, r, err := Open(dir, o)
	must(t, err)
	return s, r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *Store, k Kind, key, value string) Mark {
	t.Helper()
	m, err := s.Put(k, key, []byte(value))
	must(t, err)
	return m
}

// content is all of a kind.
func content(t *testing.T, s *Store, k Kind) map[string]string {
	t.Helper()
	all := make(map[string]string)
	must(t, s.Each(k, func(key, value []byte) error {
		if _, twice := all[string(key)]; twice {
			t.Errorf("%s comes twice", key)
		}
		all[string(key)] = string(value)
		return nil
	}))
	if len(all) != s.Len(k) {
		t.Errorf("%d records, and Len is %d", len(all), s.Len(k))
	}
	for key, want := range all {
		got, found, err := s.Get(k, key)
		must(t, err)
		if !found || string(got) != want {
			t.Errorf("Get(%s) is %q, Each said %q", key, got, want)
		}
	}
	return all
}

func expect(t *testing.T, s *Store, k Kind, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, content(t, s, k)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

func TestWhatWasPutIsThereAgain(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	put(t, s, Registration, "a", "one")
	put(t, s, Registration, "b", "two")
	put(t, s, Session, "a", "of another kind")
	put(t, s, Registration, "a", "newer")
	_, err := s.Delete(Registration, "b")
	must(t, err)
	_, err = s.Delete(Registration, "never there")
	must(t, err)
	for range 2 {
		expect(t, s, Registration, map[string]string{"a": "newer"})
		expect(t, s, Session, map[string]string{"a": "of another kind"})
		must(t, s.Close())
		s, _ = open(t, dir, Options{})
	}
	must(t, s.Close())
	if _, err := s.Put(Registration, "c", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("put into a closed store: %v", err)
	}
	if _, _, err := s.Get(Registration, "a"); !errors.Is(err, ErrClosed) {
		t.Errorf("get from a closed store: %v", err)
	}
}

func TestGetSeesWhatIsNotWrittenYet(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{SegmentBytes: 100})
	defer func() { must(t, s.Close()) }()
	want := make(map[string]string)
	for i := range 50 {
		key := fmt.Sprint("k", i%7)
		want[key] = strings.Repeat("v", i)
		m := put(t, s, Formats, key, want[key])
		if i%5 == 0 {
			must(t, s.Wait(t.Context(), m))
		}
		for key, value := range want {
			if got, found, err := s.Get(Formats, key); err != nil || !found || string(got) != value {
				t.Fatalf("after %d: Get(%s) is %q, %v, %v", i, key, got, found, err)
			}
		}
	}
	expect(t, s, Formats, want)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	defer func() { must(t, s.Close()) }()
	_, _, err := Open(dir, Options{})
	if code(err) != "lwm2m-store.locked" {
		t.Errorf("opened twice: %v", err)
	}
}

func code(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}

func TestBounds(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{MaxBytes: 1000})
	defer func() { must(t, s.Close()) }()
	if _, err := s.Put(Queued, "k", make([]byte, maxRecord+1)); code(err) != "lwm2m-store.too-large" {
		t.Errorf("a large value: %v", err)
	}
	if _, err := s.Put(Queued, strings.Repeat("k", maxKey+1), nil); code(err) != "lwm2m-store.too-large" {
		t.Errorf("a long key: %v", err)
	}
	put(t, s, Queued, "first", strings.Repeat("x", 800))
	if _, err := s.Put(Queued, "second", make([]byte, 300)); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the bound: %v", err)
	}
	_, err := s.Delete(Queued, "first")
	must(t, err)
	put(t, s, Queued, "second", strings.Repeat("x", 300))
}

func TestCompactionKeepsWhatLives(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{SegmentBytes: 4 << 10})
	want := make(map[string]string)
	for round := range 20 {
		for i := range 40 {
			key := fmt.Sprintf("device-%d", (round*7+i)%60)
			if i%9 == 3 {
				_, err := s.Delete(Registration, key)
				must(t, err)
				delete(want, key)
				continue
			}
			want[key] = fmt.Sprintf("round %d %s", round, strings.Repeat("z", i))
			put(t, s, Registration, key, want[key])
		}
		if round%3 == 0 {
			must(t, s.Compact())
			expect(t, s, Registration, want)
		}
	}
	must(t, s.Compact())
	live, files := s.Bytes()
	if files > live+100 {
		t.Errorf("%d bytes in files for %d that live", files, live)
	}
	must(t, s.Close())
	s, r := open(t, dir, Options{})
	defer func() { must(t, s.Close()) }()
	expect(t, s, Registration, want)
	if r.Records != len(want) || r.Torn != 0 || len(r.Damaged) > 0 {
		t.Errorf("report %+v", r)
	}
}

func TestCompactionWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{SegmentBytes: 8 << 10, Window: time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var run, writers sync.WaitGroup
	run.Go(func() { _ = s.Run(ctx) })
	var mu sync.Mutex
	want := make(map[string]string)
	for w := range 4 {
		writers.Go(func() {
			for i := range 400 {
				key, value := fmt.Sprintf("%d-%d", w, i%50), fmt.Sprint(i)
				if _, err := s.Put(Observation, key, []byte(value)); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[key] = value
				mu.Unlock()
			}
		})
	}
	for range 10 {
		must(t, s.Compact())
	}
	writers.Wait()
	stop()
	run.Wait()
	expect(t, s, Observation, want)
	must(t, s.Close())
	s, _ = open(t, dir, Options{})
	defer func() { must(t, s.Close()) }()
	expect(t, s, Observation, want)
}

func TestGarbageIsCompactedByItself(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{SegmentBytes: 1 << 20, Window: time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = s.Run(ctx) })
	value := make([]byte, 64<<10)
	files := int64(0)
	for n := range 6000 {
		m, err := s.Put(Queued, "one", value)
		must(t, err)
		must(t, s.Wait(t.Context(), m))
		if _, files = s.Bytes(); n >= 600 && files <= 2*minGarbage { // of 38 MB and more one record lives
			break // a compaction on a busy machine is behind for a while
		}
	}
	if files > 2*minGarbage {
		t.Errorf("%d bytes in files for one record", files)
	}
	stop()
	run.Wait()
	must(t, s.Close())
}

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, _ := open(t, dir, Options{})
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { _ = s.Run(ctx) })
		durable := func() Mark {
			s.mu.RLock()
			defer s.mu.RUnlock()
			return s.durable
		}
		var last Mark
		for i := range 20 { // new ones do not put off the flush of the old
			last = put(t, s, Formats, fmt.Sprint(i), "x")
			time.Sleep(10 * time.Millisecond)
		}
		if d := durable(); d < last-6 {
			t.Errorf("%d of %d are durable", d, last)
		}
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if d := durable(); d != last {
			t.Errorf("%d of %d are durable after the window", d, last)
		}
		put(t, s, Formats, "at the end", "x")
		stop()
		run.Wait()
		if d := durable(); d != last+1 {
			t.Errorf("%d of %d are durable after Run", d, last+1)
		}
		must(t, s.Close())
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	m := put(t, s, Formats, "k", "v")
	s.turn <- struct{}{} // somebody writes, for long
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Wait(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: %v", err)
	}
	<-s.turn
	must(t, s.Close())
}

func TestManyWaitersShareAFlush(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	defer func() { must(t, s.Close()) }()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			m, err := s.Put(Registration, fmt.Sprint(i), []byte("v"))
			if err == nil {
				err = s.Wait(t.Context(), m)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if s.Len(Registration) != 200 {
		t.Errorf("%d records", s.Len(Registration))
	}
}

func TestBucket(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	defer func() { must(t, s.Close()) }()
	b := s.Bucket(Session)
	must(t, b.Put([]byte{0, 1, 0xff}, []byte("state")))
	if v, found, err := b.Get([]byte{0, 1, 0xff}); err != nil || !found || string(v) != "state" {
		t.Errorf("got %q, %v, %v", v, found, err)
	}
	must(t, b.Delete([]byte{0, 1, 0xff}))
	if _, found, _ := b.Get([]byte{0, 1, 0xff}); found {
		t.Error("deleted, and there")
	}
}

// files returns the folder's files by name, without the lock.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := make(map[string][]byte)
	for _, e := range entries {
		if e.Name() == "lock" {
			continue
		}
		all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
	}
	return all
}

func fill(t *testing.T, dir string, content map[string][]byte) {
	t.Helper()
	for name, b := range content {
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
}

func names(m map[string][]byte) map[string]bool {
	all := make(map[string]bool)
	for name := range maps.Keys(m) {
		all[name] = true
	}
	return all
}
