package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// InitOptions say what a new repository is like. The zero value has one root key.
type InitOptions struct {
	Keys      string      // folder for private keys; it should not be the repository's
	RootKeys  int         // how many root keys to make here, 1 if there are no others
	Root      []PublicKey // root keys that were made elsewhere
	Threshold int         // of root signatures, 1 by default
	Validity  Validity    // DefaultValidity by default
	Now       func() time.Time
}

// Init makes a repository: keys for every role, and the first roots of images and director. When the root keys at hand are
// enough both are published, with empty lists; otherwise they wait for [Repository.Sign] or [Repository.Import].
func Init(dir string, o InitOptions) (*Repository, []Pending, error) {
	if o.RootKeys == 0 && len(o.Root) == 0 {
		o.RootKeys = 1
	}
	o.Threshold = max(o.Threshold, 1)
	if o.Validity == (Validity{}) {
		o.Validity = DefaultValidity
	}
	r := &Repository{dir: dir, keys: o.Keys, now: o.Now, settings: settings{o.Validity}}
	if err := r.checkNew(o); err != nil {
		return nil, nil, err
	}
	roles, err := makeKeys(o)
	if err != nil {
		return nil, nil, err
	}
	raw, err := json.MarshalIndent(r.settings, "", "  ")
	if err != nil {
		return nil, nil, err
	}
	if err := r.write(filepath.Join(dir, settingsFile), append(raw, '\n')); err != nil {
		return nil, nil, err
	}
	var left []Pending
	err = r.exclusively(func() error {
		for _, repository := range []string{Images, Director} {
			if err := r.stageFirstRoot(repository, roles[repository], o.Threshold); err != nil {
				return err
			}
		}
		left, err = r.signStaged()
		return err
	})
	return r, left, err
}

func (r *Repository) checkNew(o InitOptions) error {
	what := "make a trust folder in " + r.dir
	switch _, err := os.Stat(filepath.Join(r.dir, settingsFile)); {
	case err == nil:
		return &Error{Code: CodeRepository, What: what, Why: "there is one already", Hint: "name another folder, or go on with this one"}
	case !errors.Is(err, fs.ErrNotExist):
		return r.failed(what, err)
	case o.Threshold > o.RootKeys+len(o.Root) || o.RootKeys < 0 || o.RootKeys+len(o.Root) > maxKeys:
		return &Error{Code: CodeThreshold, What: what, Why: fmt.Sprintf("%d of %d root keys can't be asked for", o.Threshold, o.RootKeys+len(o.Root)), Hint: "make more root keys, or lower the threshold"}
	}
	return o.Validity.check()
}

// makeKeys makes a key for each role. Keys of the director sign all that it says, as all of it is made online.
func makeKeys(o InitOptions) (map[string]map[string][]PublicKey, error) {
	make1 := func(name string) (PublicKey, error) {
		k, err := NewKey(name)
		if err != nil {
			return PublicKey{}, err
		}
		return k.Public(), k.Save(o.Keys)
	}
	roots := slices.Clone(o.Root)
	for i := range o.RootKeys {
		k, err := make1(fmt.Sprintf("root-%d", i+1))
		if err != nil {
			return nil, err
		}
		roots = append(roots, k)
	}
	named := map[string]PublicKey{}
	for _, name := range []string{Targets, Snapshot, Timestamp, Director} {
		k, err := make1(name)
		if err != nil {
			return nil, err
		}
		named[name] = k
	}
	online := []PublicKey{named[Director]}
	return map[string]map[string][]PublicKey{
		Images:   {Root: roots, Targets: {named[Targets]}, Snapshot: {named[Snapshot]}, Timestamp: {named[Timestamp]}},
		Director: {Root: roots, Targets: online, Snapshot: online, Timestamp: online},
	}, nil
}

func (r *Repository) stageFirstRoot(repository string, roles map[string][]PublicKey, threshold int) error {
	root := metadata.Root(r.expires(repository, Root)).Signed
	root.UnrecognizedFields = r.fields(repository, "", nil)
	for role, keys := range roles {
		for _, k := range keys {
			if err := root.AddKey(k.tuf(), role); err != nil {
				return err
			}
		}
	}
	root.Roles[Root].Threshold = threshold
	return r.stageRoot(repository, root)
}

func (r *Repository) stageRoot(repository string, root metadata.RootType) error {
	d, err := newDraft(repository, "", Root, root.Version, root)
	if err != nil {
		return err
	}
	if _, _, err := d.parsed(); err != nil {
		return err
	}
	return r.stage(d)
}

// writePin brings pin.json up to date once both repositories have a root.
func (r *Repository) writePin() error {
	var roots [2][]byte
	for i, repository := range []string{Images, Director} {
		version, err := r.newestRoot(repository)
		if err != nil {
			return err
		}
		if version == 0 {
			return nil
		}
		if roots[i], err = os.ReadFile(filepath.Join(r.folder(repository, "", Root), fmt.Sprintf("%d.root.json", version))); err != nil {
			return r.failed("write the pin", err)
		}
	}
	raw, err := Pin{Images: roots[0], Director: roots[1]}.Bytes()
	if err != nil {
		return err
	}
	return r.write(r.PinPath(), raw)
}
