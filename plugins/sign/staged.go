package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Pending is a document that still lacks signatures.
type Pending struct {
	Repository string   `json:"repository"`
	Node       string   `json:"node,omitempty"`
	Role       string   `json:"role"`
	Version    int64    `json:"version"`
	Signed     []string `json:"signed"` // keys that have
	Demands    []Demand `json:"demands"`
	draft      *draft   // itself
	document   document // parsed
	md         any
}

// Demand is one group of keys of which some must sign. A new root has to meet two: its own, and that of the root before.
type Demand struct {
	Of   string   `json:"of"`
	Keys []string `json:"keys"`
	Need int      `json:"need"`
	Have int      `json:"have"`
}

// String names the document.
func (p Pending) String() string { return p.draft.String() }

// Met reports whether nothing is lacking.
func (p Pending) Met() bool {
	return !slices.ContainsFunc(p.Demands, func(d Demand) bool { return d.Have < d.Need })
}

func (r *Repository) stagedPath(d *draft) string {
	name := d.Repository + "." + d.Role + ".json"
	if d.Node != "" {
		name = d.Repository + "@" + d.Node + "." + d.Role + ".json"
	}
	return filepath.Join(r.dir, stagedFolder, name)
}

// stage keeps a document until it has its signatures; one of the same role that waits already is replaced.
func (r *Repository) stage(d *draft) error {
	raw, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return r.write(r.stagedPath(d), raw)
}

func (r *Repository) unstage(d *draft) error {
	if err := os.Remove(r.stagedPath(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r.failed("clear away "+d.String(), err)
	}
	return nil
}

// Pending lists what lacks signatures.
func (r *Repository) Pending() ([]Pending, error) {
	entries, err := os.ReadDir(filepath.Join(r.dir, stagedFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, r.failed("list what waits for signatures", err)
	}
	var all []Pending
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(r.dir, stagedFolder, e.Name()))
		if err != nil {
			return nil, r.failed("read "+e.Name(), err)
		}
		d := new(draft)
		if err := json.Unmarshal(raw, d); err != nil {
			return nil, r.failed("read "+e.Name(), err)
		}
		p, err := r.pending(d)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (r *Repository) pending(d *draft) (Pending, error) {
	p := Pending{Repository: d.Repository, Node: d.Node, Role: d.Role, Version: d.Version, draft: d}
	for _, s := range d.Signatures {
		p.Signed = append(p.Signed, s.KeyID)
	}
	var err error
	if p.document, p.md, err = d.parsed(); err != nil {
		return p, r.failed("read "+d.String(), err)
	}
	if d.Role == Root {
		p.Demands = append(p.Demands, demand("the new root", &p.md.(*metadata.Metadata[metadata.RootType]).Signed, &p.document))
		if d.Version == 1 {
			return p, nil
		}
	}
	l, err := r.open(d.Repository, d.Node)
	if err != nil {
		return p, err
	}
	p.Demands = append(p.Demands, demand(fmt.Sprintf("root %d", l.root.Version), l.root, &p.document))
	return p, nil
}

func demand(of string, root *metadata.RootType, d *document) Demand {
	good, _ := signers(root, d)
	return Demand{Of: of, Keys: root.Roles[d.role].KeyIDs, Need: root.Roles[d.role].Threshold, Have: len(good)}
}

// Sign adds the signatures of the keys at hand to everything that waits, and publishes what has enough of them. It returns
// what still lacks some.
func (r *Repository) Sign() (left []Pending, err error) {
	err = r.exclusively(func() error {
		left, err = r.signStaged()
		return err
	})
	return left, err
}

func (r *Repository) signStaged() ([]Pending, error) {
	staged, err := r.Pending()
	if err != nil {
		return nil, err
	}
	ring, err := openKeyring(r.keys)
	if err != nil {
		return nil, err
	}
	for _, p := range staged {
		for _, demand := range p.Demands {
			for _, id := range demand.Keys {
				if k, ok := ring[id]; ok {
					if err := p.draft.sign(k); err != nil {
						return nil, err
					}
				}
			}
		}
		if err := r.stage(p.draft); err != nil {
			return nil, err
		}
	}
	return r.settle()
}

// settle publishes what has its signatures, roots first, as the rest is signed by the keys that they name.
func (r *Repository) settle() (left []Pending, err error) {
	for _, roots := range []bool{true, false} {
		staged, err := r.Pending()
		if err != nil {
			return nil, err
		}
		for _, p := range staged {
			if (p.Role == Root) != roots || !p.Met() {
				continue
			}
			if err := r.finish(p); err != nil {
				return nil, err
			}
		}
	}
	return r.Pending()
}

func (r *Repository) finish(p Pending) error {
	if p.Role != Root {
		l, err := r.open(p.Repository, p.Node)
		if err != nil {
			return err
		}
		ring, err := openKeyring(r.keys)
		if err != nil {
			return err
		}
		if p.Version != l.version(Targets)+1 {
			return errors.Join(r.unstage(p.draft), &Error{Code: CodeRepository, What: "publish " + p.String(), Why: "another version was published meanwhile", Hint: "make the change again"})
		}
		return errors.Join(r.releaseWith(l, p.draft, ring), r.unstage(p.draft))
	}
	if err := r.publish(p.draft); err != nil {
		return err
	}
	if err := r.unstage(p.draft); err != nil {
		return err
	}
	if err := r.writePin(); err != nil {
		return err
	}
	return r.renew(p.Repository)
}
