package scaffold

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a project has to be left alone before it counts as saved: an editor writes in several steps.
	settle = 150 * time.Millisecond
	// maxFolders bounds what is watched: the kernel has a bound too, for all programs together.
	maxFolders = 1000
)

// notWatched are folders that compilers and package managers write, and that hold no sources of the author's.
var notWatched = []string{"node_modules", "target", "vendor"}

// Watch calls changed whenever sources of the project in dir have been written and left alone for a moment, until ctx ends.
// changed runs in Watch's goroutine: what is written meanwhile makes one more call.
func Watch(ctx context.Context, dir string, changed func()) error {
	attempt := "watch the project in " + dir
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return &Error{attempt, "scaffold.watch", err.Error(), "raise fs.inotify.max_user_instances, or end another program that watches files", err}
	}
	defer w.Close()
	if err := watchFolders(w, dir, attempt); err != nil {
		return err
	}
	follow(ctx, w.Events, w.Errors, func(name string) {
		_ = watchFolders(w, name, attempt) // a new folder; a file, or what is gone again, adds nothing
	}, changed)
	return nil
}

// follow calls created with what is new, and changed when what may change a build has been left alone for a moment.
func follow(ctx context.Context, events <-chan fsnotify.Event, lost <-chan error, created func(name string), changed func()) {
	timer := time.NewTimer(settle)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if !relevant(e) {
				continue
			}
			if e.Has(fsnotify.Create) {
				created(e.Name)
			}
			timer.Reset(settle)
		case err := <-lost:
			if err != nil { // the queue ran over: something changed, whatever it was
				timer.Reset(settle)
			}
		case <-timer.C:
			changed()
		}
	}
}

// relevant reports whether an event may change what is built.
func relevant(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	switch {
	case e.Op == fsnotify.Chmod, strings.HasPrefix(name, "."), strings.HasSuffix(name, "~"), strings.HasSuffix(name, ".wasm"):
		return false
	}
	return !slices.Contains(notWatched, name)
}

// watchFolders watches dir and what is below it.
func watchFolders(w *fsnotify.Watcher, dir, attempt string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		name := entry.Name()
		if path != dir && (strings.HasPrefix(name, ".") || slices.Contains(notWatched, name)) {
			return fs.SkipDir
		}
		if len(w.WatchList()) >= maxFolders {
			return &Error{attempt, "scaffold.too-many-folders", "it has more than 1000 folders", "keep what is not source code elsewhere", nil}
		}
		return w.Add(path)
	})
	if err != nil {
		return &Error{attempt, "scaffold.watch", err.Error(), "see that the folder exists and may be read", err}
	}
	return nil
}
