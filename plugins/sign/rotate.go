package sign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// changeRoot stages the next root of a repository, going on from one that is staged already.
func (r *Repository) changeRoot(repository string, change func(*metadata.RootType) error) error {
	root, err := r.nextRoot(repository)
	if err != nil {
		return err
	}
	if err := change(root); err != nil {
		return err
	}
	root.Expires, root.UnrecognizedFields = r.expires(repository, Root), r.fields(repository, "", nil)
	return r.stageRoot(repository, *root)
}

func (r *Repository) nextRoot(repository string) (*metadata.RootType, error) {
	staged, err := r.Pending()
	if err != nil {
		return nil, err
	}
	for _, p := range staged {
		if m, ok := p.md.(*metadata.Metadata[metadata.RootType]); ok && p.Repository == repository {
			return &m.Signed, nil
		}
	}
	l, err := r.open(repository, "")
	if err != nil {
		return nil, err
	}
	next := *l.root
	next.Version++
	return &next, nil
}

// changeRoots stages a change of some repositories' roots and publishes what the keys at hand suffice for.
func (r *Repository) changeRoots(repositories []string, change func(string, *metadata.RootType) error) (left []Pending, err error) {
	err = r.exclusively(func() error {
		for _, repository := range repositories {
			if err := r.changeRoot(repository, func(root *metadata.RootType) error { return change(repository, root) }); err != nil {
				return err
			}
		}
		left, err = r.signStaged()
		return err
	})
	return left, err
}

func (r *Repository) checkRole(what, repository, role string) error {
	if !slices.Contains([]string{Images, Director}, repository) || !slices.Contains(Roles, role) {
		return &Error{Code: CodeBadName, What: what, Why: fmt.Sprintf("there is no role %q in %q", role, repository), Hint: "roles are root, targets, snapshot and timestamp, of images or director"}
	}
	return nil
}

// AddKey gives a role one more key.
func (r *Repository) AddKey(repository, role string, k PublicKey) (left []Pending, err error) {
	what := fmt.Sprintf("add key %s to %s of the %s", k.Name, role, repository)
	if err := r.checkRole(what, repository, role); err != nil {
		return nil, err
	}
	return r.changeRoots([]string{repository}, func(_ string, root *metadata.RootType) error {
		return root.AddKey(k.tuf(), role)
	})
}

// SetThreshold changes how many keys of a role must sign.
func (r *Repository) SetThreshold(repository, role string, threshold int) (left []Pending, err error) {
	what := fmt.Sprintf("set the threshold of %s of the %s to %d", role, repository, threshold)
	if err := r.checkRole(what, repository, role); err != nil {
		return nil, err
	}
	return r.changeRoots([]string{repository}, func(_ string, root *metadata.RootType) error {
		if keys := len(root.Roles[role].KeyIDs); threshold < 1 || threshold > keys {
			return &Error{Code: CodeThreshold, What: what, Why: fmt.Sprintf("the role has %d keys", keys), Hint: "add keys first"}
		}
		root.Roles[role].Threshold = threshold
		return nil
	})
}

// RevokeKey takes a key out of every role that it has. A role must keep enough keys for its threshold.
func (r *Repository) RevokeKey(keyID string) (left []Pending, err error) {
	what := "revoke key " + ShortID(keyID)
	holders, err := r.holders(what, keyID)
	if err != nil {
		return nil, err
	}
	return r.changeRoots(holders.repositories(), func(repository string, root *metadata.RootType) error {
		for _, role := range holders[repository] {
			if left := len(root.Roles[role].KeyIDs) - 1; left < root.Roles[role].Threshold {
				return &Error{Code: CodeThreshold, What: what, Why: fmt.Sprintf("%s of the %s would have %d keys and needs %d signatures", role, repository, left, root.Roles[role].Threshold), Hint: "replace it with `edgehold trust key rotate`, or add another key first"}
			}
			if err := root.RevokeKey(keyID, role); err != nil {
				return err
			}
		}
		return nil
	})
}

// RotateKey replaces a key by a new one in every role that it has.
func (r *Repository) RotateKey(keyID string, next PublicKey) (left []Pending, err error) {
	what := "replace key " + ShortID(keyID)
	holders, err := r.holders(what, keyID)
	if err != nil {
		return nil, err
	}
	return r.changeRoots(holders.repositories(), func(repository string, root *metadata.RootType) error {
		for _, role := range holders[repository] {
			if err := root.AddKey(next.tuf(), role); err != nil {
				return err
			}
			if err := root.RevokeKey(keyID, role); err != nil {
				return err
			}
		}
		return nil
	})
}

// holding is the roles of a key, by repository.
type holding map[string][]string

func (h holding) repositories() []string {
	return slices.DeleteFunc([]string{Images, Director}, func(name string) bool { return h[name] == nil })
}

func (r *Repository) holders(what, keyID string) (holding, error) {
	found := holding{}
	for _, repository := range []string{Images, Director} {
		root, err := r.nextRoot(repository)
		if err != nil {
			return nil, err
		}
		for _, role := range Roles {
			if slices.Contains(root.Roles[role].KeyIDs, keyID) {
				found[repository] = append(found[repository], role)
			}
		}
	}
	if len(found) == 0 {
		return nil, &Error{Code: CodeKey, What: what, Why: "no role has this key", Hint: "see `edgehold trust key list`"}
	}
	return found, nil
}

// FindKey returns the identity of the key that a word means: its identity, the beginning of that, or its name.
func (r *Repository) FindKey(word string) (id string, err error) {
	what := fmt.Sprintf("find key %q", word)
	all, err := r.Keys()
	if err != nil {
		return "", err
	}
	const least = 4
	for _, k := range all {
		if k.ID != word && k.Name != word && !(len(word) >= least && strings.HasPrefix(k.ID, word)) || id == k.ID {
			continue
		}
		if id != "" {
			return "", &Error{Code: CodeKey, What: what, Why: "it means several keys", Hint: "write more of its identity"}
		}
		id = k.ID
	}
	if id == "" {
		return "", &Error{Code: CodeKey, What: what, Why: "no role has it", Hint: "see `edgehold trust key list`"}
	}
	return id, nil
}
