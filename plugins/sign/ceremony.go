package sign

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Ceremony is what is carried to a machine that holds keys, and, with the signatures in it, back.
type Ceremony struct {
	Documents []*draft `json:"documents"`
}

const maxCeremonyBytes = 16 << 20

// Export is everything that lacks signatures, to be signed elsewhere.
func (r *Repository) Export() (*Ceremony, error) {
	all, err := r.Pending()
	if err != nil {
		return nil, err
	}
	c := new(Ceremony)
	for _, p := range all {
		c.Documents = append(c.Documents, p.draft)
	}
	return c, nil
}

// Bytes is the file to be carried.
func (c *Ceremony) Bytes() ([]byte, error) { return json.MarshalIndent(c, "", "  ") }

// ParseCeremony reads such a file.
func ParseCeremony(raw []byte) (*Ceremony, error) {
	bad := func(why string) error {
		return &Error{Code: CodeMalformed, What: "read what is to be signed", Why: why, Hint: "use a file of `edgehold trust sign --export`"}
	}
	if len(raw) > maxCeremonyBytes {
		return nil, bad("it is longer than 16 MiB")
	}
	c := new(Ceremony)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, bad(err.Error())
	}
	for _, d := range c.Documents {
		if d == nil {
			return nil, bad("it has a hole")
		}
		own, _, err := d.parsed()
		if err != nil {
			return nil, err
		}
		if own.version != d.Version || own.label.Repository != d.Repository || own.label.Node != d.Node {
			return nil, bad(d.String() + " is not what it is called")
		}
	}
	return c, nil
}

// Summary says in lines what a signer is about to sign, from the signed bytes themselves.
func (c *Ceremony) Summary() ([]string, error) {
	var all []string
	for _, d := range c.Documents {
		own, md, err := d.parsed()
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintf("%s, good until %s", d, day(own.expires)))
		switch m := md.(type) {
		case *metadata.Metadata[metadata.RootType]:
			for _, role := range Roles {
				all = append(all, fmt.Sprintf("  %s: %d of %s", role, m.Signed.Roles[role].Threshold, namesOf(&m.Signed, role)))
			}
		case *metadata.Metadata[metadata.TargetsType]:
			for _, path := range slices.Sorted(maps.Keys(m.Signed.Targets)) {
				all = append(all, fmt.Sprintf("  %s %s", path, digestOf(m.Signed.Targets[path])))
			}
		}
	}
	return all, nil
}

// Sign adds the signatures of a key to all documents; it is the repository that judges which of them count.
func (c *Ceremony) Sign(k PrivateKey) error {
	for _, d := range c.Documents {
		if err := d.sign(k); err != nil {
			return fmt.Errorf("sign %s: %w", d, err)
		}
	}
	return nil
}

// Import takes over the signatures of a ceremony and publishes what has enough of them. It returns what still lacks some.
func (r *Repository) Import(c *Ceremony) (left []Pending, err error) {
	err = r.exclusively(func() error {
		staged, err := r.Pending()
		if err != nil {
			return err
		}
		for _, p := range staged {
			if err := r.importInto(p, c); err != nil {
				return err
			}
		}
		left, err = r.settle()
		return err
	})
	return left, err
}

func (r *Repository) importInto(p Pending, c *Ceremony) error {
	keys, err := r.keysFor(p)
	if err != nil {
		return err
	}
	for _, d := range c.Documents {
		if d.String() != p.String() {
			continue
		}
		for _, s := range d.Signatures {
			key, ok := keys[s.KeyID]
			if !ok {
				continue
			}
			public, err := publicKey(key)
			if err != nil {
				return err
			}
			if err := p.draft.accept(s, public); err != nil {
				return err
			}
		}
	}
	return r.stage(p.draft)
}

// keysFor is every key whose signature on a document could count.
func (r *Repository) keysFor(p Pending) (map[string]*metadata.Key, error) {
	all := map[string]*metadata.Key{}
	if m, ok := p.md.(*metadata.Metadata[metadata.RootType]); ok {
		maps.Copy(all, m.Signed.Keys)
		if p.Version == 1 {
			return all, nil
		}
	}
	l, err := r.open(p.Repository, p.Node)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, l.root.Keys)
	return all, nil
}
