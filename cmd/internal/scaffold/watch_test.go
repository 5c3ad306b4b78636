package scaffold

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A save is noticed wherever it happens, in folders that are made later too.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	changed, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- Watch(ctx, dir, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	for _, name := range []string{"policy.c", "policy.yaml", "src/lib.rs", "src/deep/more.rs", "src/deep/most.rs"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		for noticed := false; !noticed; { // it is written again until the watch has begun
			if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
			select {
			case <-changed:
				noticed = true
			case <-time.After(4 * settle):
			case err := <-ended:
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A save in several steps is one, what compilers and editors write is none, and what is new is looked at.
func TestFollow(t *testing.T) {
	for name, c := range map[string]struct {
		events []fsnotify.Event
		pause  time.Duration // after each
		want   int
		new    []string
	}{
		"one save in steps":      {[]fsnotify.Event{{Name: "a/policy.c", Op: fsnotify.Create}, {Name: "a/policy.c", Op: fsnotify.Write}}, settle - 1, 1, []string{"a/policy.c"}},
		"two saves":              {[]fsnotify.Event{{Name: "a/policy.c", Op: fsnotify.Write}, {Name: "a/policy.yaml", Op: fsnotify.Write}}, settle + 1, 2, nil},
		"a new folder":           {[]fsnotify.Event{{Name: "a/src", Op: fsnotify.Create}}, settle + 1, 1, []string{"a/src"}},
		"a module":               {[]fsnotify.Event{{Name: "a/policy.wasm", Op: fsnotify.Create}}, settle + 1, 0, nil},
		"a compiler's folder":    {[]fsnotify.Event{{Name: "a/target", Op: fsnotify.Create}}, settle + 1, 0, nil},
		"a repository":           {[]fsnotify.Event{{Name: "a/.git", Op: fsnotify.Create}}, settle + 1, 0, nil},
		"an editor's backup":     {[]fsnotify.Event{{Name: "a/policy.c~", Op: fsnotify.Write}}, settle + 1, 0, nil},
		"other rights":           {[]fsnotify.Event{{Name: "a/policy.c", Op: fsnotify.Chmod}}, settle + 1, 0, nil},
		"something is taken off": {[]fsnotify.Event{{Name: "a/policy.c", Op: fsnotify.Remove}}, settle + 1, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				events, got := make(chan fsnotify.Event), 0
				var created []string
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					follow(ctx, events, nil, func(name string) { created = append(created, name) }, func() { got++ })
				}()
				for _, e := range c.events {
					events <- e
					time.Sleep(c.pause)
				}
				time.Sleep(settle)
				cancel()
				<-ended
				if got != c.want || !slices.Equal(created, c.new) {
					t.Errorf("%d saves, want %d; new are %q, want %q", got, c.want, created, c.new)
				}
			})
		})
	}
}

// What nobody looks at is not watched: a folder of packages has more folders than a kernel watches.
func TestWatchedFolders(t *testing.T) {
	dir := t.TempDir()
	for _, below := range []string{"src/deep", "target/release", ".git/objects", "node_modules/a", "vendor/b"} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := watchFolders(w, dir, "watch"); err != nil {
		t.Fatal(err)
	}
	got := w.WatchList()
	slices.Sort(got)
	if want := []string{dir, filepath.Join(dir, "src"), filepath.Join(dir, "src/deep")}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWatchRefusals(t *testing.T) {
	wantCode(t, Watch(t.Context(), filepath.Join(t.TempDir(), "none"), func() {}), "scaffold.watch")
}
