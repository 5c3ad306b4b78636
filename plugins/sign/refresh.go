package sign

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Refresh signs anew what is to be signed often, so that nodes see that nothing is held back from them: timestamps and
// snapshots always, lists that have passed half of their time where their keys are at hand, and everything of the director.
// Roots past half of their time are staged for signing. It returns what lacks signatures.
func (r *Repository) Refresh() (left []Pending, err error) {
	err = r.exclusively(func() error {
		for _, repository := range []string{Images, Director} {
			if err := r.refreshRoot(repository); err != nil {
				return err
			}
			if err := r.renew(repository); err != nil {
				return err
			}
		}
		left, err = r.signStaged()
		return err
	})
	return left, err
}

// refreshRoot stages a root like the one before when that is past half of its time.
func (r *Repository) refreshRoot(repository string) error {
	l, err := r.open(repository, "")
	if err != nil {
		return err
	}
	if !r.pastHalf(l.documents[Root]) {
		return nil
	}
	return r.changeRoot(repository, func(*metadata.RootType) error { return nil })
}

func (r *Repository) pastHalf(d document) bool {
	return r.now().After(d.label.Issued.Add(d.expires.Sub(d.label.Issued) / 2))
}

// renew signs a repository anew by the keys of its newest root; of a director, for each node.
func (r *Repository) renew(repository string) error {
	nodes := []string{""}
	if repository == Director {
		var err error
		if nodes, err = r.nodes(); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		l, err := r.open(repository, node)
		if err != nil {
			return err
		}
		if err := r.renewOne(l); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) renewOne(l *release) error {
	if l.repository == Images && !r.stale(l) {
		return r.renewAbove(l)
	}
	if err := r.changeTargets(l, func(*list) error { return nil }); !errors.Is(err, errStaged) {
		return err
	}
	return nil
}

// stale reports whether the list has to be signed anew: it was never published, is past half of its time, or by keys
// that are not enough any more.
func (r *Repository) stale(l *release) bool {
	d, ok := l.documents[Targets]
	if !ok || r.pastHalf(d) {
		return true
	}
	good, _ := signers(l.root, &d)
	return len(good) < l.root.Roles[Targets].Threshold
}

// renewAbove signs snapshot and timestamp anew over the list as it is.
func (r *Repository) renewAbove(l *release) error {
	ring, err := openKeyring(r.keys)
	if err != nil {
		return err
	}
	d := &draft{Repository: l.repository, Node: l.node, Role: Targets, Version: l.version(Targets)}
	if d.whole, err = os.ReadFile(filepath.Join(r.folder(l.repository, l.node, Targets), d.file())); err != nil {
		return r.failed("read "+d.String(), err)
	}
	return r.releaseWith(l, d, ring)
}
