package sign

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// KeyStatus is one key of a role.
type KeyStatus struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"` // where a file of the keys' folder knows it
	Repository string `json:"repository"`
	Role       string `json:"role"`
	Threshold  int    `json:"threshold"` // of the role
	AtHand     bool   `json:"at_hand"`   // its private part is in the keys' folder
}

// Keys lists the keys of the newest roots, those that are not signed yet included.
func (r *Repository) Keys() ([]KeyStatus, error) {
	names, ring, err := r.knownKeys()
	if err != nil {
		return nil, err
	}
	var all []KeyStatus
	for _, repository := range []string{Images, Director} {
		root, err := r.nextRoot(repository)
		if err != nil {
			return nil, err
		}
		for _, role := range Roles {
			for _, id := range root.Roles[role].KeyIDs {
				_, atHand := ring[id]
				all = append(all, KeyStatus{id, names[id], repository, role, root.Roles[role].Threshold, atHand})
			}
		}
	}
	return all, nil
}

// knownKeys reads the names of public keys, and the private ones.
func (r *Repository) knownKeys() (names map[string]string, ring keyring, err error) {
	names = map[string]string{}
	if ring, err = openKeyring(r.keys); err != nil {
		return nil, nil, err
	}
	for id, k := range ring {
		names[id] = k.Name
	}
	for _, dir := range []string{r.keys, filepath.Join(r.dir, namesFolder)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), PublicSuffix) {
				continue
			}
			if k, err := LoadPublicKey(filepath.Join(dir, e.Name())); err == nil {
				names[k.ID()] = k.Name
			}
		}
	}
	return names, ring, nil
}

// namesFolder keeps public keys, so that people see names.
const namesFolder = "keys"

// NameKey remembers the name of a key whose private part is elsewhere.
func (r *Repository) NameKey(k PublicKey) error {
	dir := filepath.Join(r.dir, namesFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r.failed("remember key "+k.Name, err)
	}
	path := filepath.Join(dir, ShortID(k.ID())+PublicSuffix)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return k.Save(path)
}

// Overview is a repository as people see it.
type Overview struct {
	Documents   []DocumentStatus    `json:"documents"`
	Modules     []Target            `json:"modules"`
	Revoked     map[string]string   `json:"revoked"` // reasons by digest
	Assignments map[string][]Target `json:"assignments"`
	Pending     []Pending           `json:"pending"`
}

// DocumentStatus is one published document.
type DocumentStatus struct {
	Repository string    `json:"repository"`
	Node       string    `json:"node,omitempty"`
	Role       string    `json:"role"`
	Version    int64     `json:"version"`
	Issued     time.Time `json:"issued"`
	Expires    time.Time `json:"expires"`
	Expired    bool      `json:"expired"`
	SignedBy   []string  `json:"signed_by"`
}

// Overview reads everything.
func (r *Repository) Overview() (o Overview, err error) {
	if o.Pending, err = r.Pending(); err != nil {
		return o, err
	}
	images, err := r.open(Images, "")
	if Code(err) == CodeIncomplete {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	o.Documents, o.Modules, o.Revoked, o.Assignments = r.statusOf(images), targetsOf(images), images.list.revoked, map[string][]Target{}
	nodes, err := r.nodes()
	if err != nil {
		return o, err
	}
	for i, node := range append([]string{""}, nodes...) {
		l, err := r.open(Director, node)
		if Code(err) == CodeIncomplete {
			continue
		}
		if err != nil {
			return o, err
		}
		if node != "" {
			o.Assignments[node] = targetsOf(l)
		}
		o.Documents = append(o.Documents, r.statusOf(l)[min(i, 1):]...) // the root of all nodes once
	}
	return o, nil
}

func (r *Repository) statusOf(l *release) []DocumentStatus {
	var all []DocumentStatus
	for _, role := range Roles {
		d, ok := l.documents[role]
		if !ok {
			continue
		}
		by, _ := signers(l.root, &d)
		all = append(all, DocumentStatus{l.repository, d.label.Node, role, d.version, d.label.Issued, d.expires, r.now().After(d.expires), by})
	}
	return all
}

func targetsOf(l *release) []Target {
	all := []Target{}
	for _, file := range maps.All(l.list.targets) {
		if t, err := targetOf(file); err == nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b Target) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version)) })
	return all
}
