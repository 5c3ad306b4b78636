package sign_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/plugins/store"
)

// world is an operator, a node, and whoever sits between them.
type world struct {
	t      *testing.T
	now    time.Time     // on the operator's machine
	clock  time.Time     // on the node
	uptime time.Duration // of the node
	dir    string        // of the operator
	repo   *sign.Repository
	state  string // of the node
	node   *sign.Client
}

const nodeName = "node-7"

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newWorld has one module listed, assigned to the node, and a node that has heard of neither.
func newWorld(t *testing.T, o sign.InitOptions) *world {
	w := &world{t: t, now: start, clock: start, dir: t.TempDir(), state: t.TempDir()}
	o.Keys, o.Now = w.keys(), func() time.Time { return w.now }
	repo, left, err := sign.Init(w.dir, o)
	w.must(err)
	if len(left) > 0 {
		t.Fatalf("the first roots lack signatures: %v", left)
	}
	w.repo = repo
	w.add("boost", "1.0.0")
	w.must(w.repo.Assign(nodeName, []sign.Wanted{{Name: "boost", Version: "1.0.0"}}))
	w.restart(sign.Options{})
	return w
}

func (w *world) keys() string { return filepath.Join(w.dir, "private") }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// restart opens the node's client again, as its next process would.
func (w *world) restart(o sign.Options) {
	w.t.Helper()
	w.uptime = 0
	pin, err := os.ReadFile(w.repo.PinPath())
	w.must(err)
	w.restartWith(pin, o)
}

func (w *world) restartWith(pin []byte, o sign.Options) {
	w.t.Helper()
	o.Node = nodeName
	o.Now, o.Uptime = func() time.Time { return w.clock }, func() time.Duration { return w.uptime }
	var err error
	w.node, err = sign.Open(w.state, pin, o)
	w.must(err)
}

// pass lets time pass everywhere.
func (w *world) pass(d time.Duration) {
	w.now, w.clock, w.uptime = w.now.Add(d), w.clock.Add(d), w.uptime+d
}

func module(name, version string) []byte { return []byte("module " + name + " " + version) }

func digest(name, version string) string { return store.Digest(module(name, version)) }

func (w *world) add(name, version string) {
	w.t.Helper()
	_, err := w.repo.Add(sign.Module{Name: name, Version: version, Kind: "policy", Bytes: module(name, version)})
	w.must(err)
}

// published copies what a node would be served now.
func (w *world) published() sign.Files {
	w.t.Helper()
	return files(w.t, w.repo.Published())
}

// files reads a folder.
func files(t testing.TB, dir string) sign.Files {
	t.Helper()
	all := sign.Files{}
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, path)
		all[path] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (w *world) update(from sign.Source) error {
	return w.node.Update(context.Background(), sign.Under(from, sign.ImagesFolder), sign.Under(from, sign.DirectorFolder))
}

func (w *world) accept(from sign.Source) {
	w.t.Helper()
	w.must(w.update(from))
}

// verify is the code of the node's verdict on a module, empty for yes.
func (w *world) verify(name, version string) string {
	raw := module(name, version)
	_, err := w.node.Verify(store.Digest(raw), int64(len(raw)))
	return code(err)
}

// code is err's code; an error without one is shown whole.
func code(err error) string {
	if err == nil {
		return ""
	}
	if c := sign.Code(err); c != "" {
		return c
	}
	return err.Error()
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// with is files with others in place of some.
func with(files sign.Files, others sign.Files, names ...string) sign.Files {
	mixed := maps.Clone(files)
	for _, name := range names {
		if content, ok := others[name]; ok {
			mixed[name] = content
		} else {
			delete(mixed, name)
		}
	}
	return mixed
}

// newest is the name of the newest file of a role.
func newest(files sign.Files, folder, role string) (name string) {
	best := -1
	for candidate := range files {
		rest, ok := strings.CutPrefix(candidate, folder+"/")
		number, suffix, _ := strings.Cut(rest, ".")
		if !ok || suffix != role+".json" {
			continue
		}
		version := 0
		for _, r := range number {
			version = version*10 + int(r-'0')
		}
		if version > best {
			best, name = version, candidate
		}
	}
	return name
}

// failing is a source that can't be reached.
type failing struct{ err error }

func (f failing) Metadata(context.Context, string, int64) ([]byte, error) { return nil, f.err }

var errStall = errors.New("connection reset")
