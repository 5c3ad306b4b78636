package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Roles of a repository.
const (
	Root      = metadata.ROOT
	Targets   = metadata.TARGETS
	Snapshot  = metadata.SNAPSHOT
	Timestamp = metadata.TIMESTAMP
)

// Roles lists all roles, the most trusted first.
var Roles = []string{Root, Targets, Snapshot, Timestamp}

// Repositories.
const (
	Images   = "images"
	Director = "director"
)

// label is what we add to the signed part of each document, as its field "edgehold". It keeps documents of one
// repository or node from being shown as those of another, and tells the time to nodes that have no clock.
type label struct {
	Repository string            `json:"repository"`
	Node       string            `json:"node,omitempty"`    // of a director, but in its root
	Issued     time.Time         `json:"issued"`            // when it was signed
	Revoked    map[string]string `json:"revoked,omitempty"` // in the images' targets: reasons by digest
}

const labelField = "edgehold"

// description is what custom says of a target.
type description struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kind    string `json:"kind,omitempty"`
	Parcel  []byte `json:"parcel,omitempty"`  // in the images' targets: what package parcel makes of it, for devices that know no TUF
	Rollout string `json:"rollout,omitempty"` // in a director's targets; JSON in a string, for canonical JSON has no fractions
}

// document is what the roles have in common.
type document struct {
	role       string
	version    int64
	expires    time.Time
	label      label
	payload    []byte // what is signed
	signatures []metadata.Signature
}

// read parses a document of a role and refuses what is not whole. It judges form, not trust.
func read[T metadata.Roles](what string, raw []byte, role string) (_ *metadata.Metadata[T], _ document, err error) {
	defer func() { // go-tuf's parser runs before any signature is checked, and has panicked on holes (RATIONALE.md)
		if r := recover(); r != nil {
			err = &Error{Code: CodeMalformed, What: what, Why: fmt.Sprintf("its parser gave up: %v", r), Hint: "the source is damaged or lies"}
		}
	}()
	malformed := func(why string, err error) error {
		return &Error{Code: CodeMalformed, What: what, Why: why, Hint: "the source is damaged or lies", Err: err}
	}
	if err := checkShape(raw); err != nil {
		return nil, document{}, malformed(err.Error(), err)
	}
	md, err := new(metadata.Metadata[T]).FromBytes(raw)
	if err != nil {
		return nil, document{}, malformed(err.Error(), err)
	}
	d, err := describe(md)
	if err != nil {
		return nil, d, malformed(err.Error(), err)
	}
	if d.role != role || d.version < 1 || d.expires.IsZero() || d.label.Issued.IsZero() || d.label.Issued.After(d.expires) {
		return nil, d, malformed(fmt.Sprintf("it is no complete %s", role), nil)
	}
	return md, d, nil
}

// maxDepth is how deep values are nested in each other. A root with its keys has 5 levels.
const maxDepth = 12

// checkShape bounds what the parsers behind it do more than once for each signature, and refuses null, which stands for a
// hole wherever our documents could have it.
func checkShape(raw []byte) error {
	var outer struct {
		Signatures []json.RawMessage `json:"signatures"`
	}
	if err := json.Unmarshal(raw, &outer); err != nil {
		return err
	}
	if len(outer.Signatures) > maxSignatures {
		return fmt.Errorf("it has %d signatures, %d are allowed", len(outer.Signatures), maxSignatures)
	}
	tokens, depth := json.NewDecoder(bytes.NewReader(raw)), 0
	for {
		token, err := tokens.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case token == nil:
			return fmt.Errorf("it has a hole at byte %d", tokens.InputOffset())
		case token == json.Delim('{'), token == json.Delim('['):
			depth++
		case token == json.Delim('}'), token == json.Delim(']'):
			depth--
		}
		if depth > maxDepth {
			return fmt.Errorf("its values are nested %d deep", depth)
		}
	}
}

// describe takes the common part out of a document and refuses holes in the rest.
func describe(md any) (d document, err error) {
	switch m := md.(type) {
	case *metadata.Metadata[metadata.RootType]:
		s := m.Signed
		d = document{role: s.Type, version: s.Version, expires: s.Expires, signatures: m.Signatures}
		err = errors.Join(d.open(s, s.UnrecognizedFields), checkRoot(&s))
	case *metadata.Metadata[metadata.TimestampType]:
		s := m.Signed
		d = document{role: s.Type, version: s.Version, expires: s.Expires, signatures: m.Signatures}
		err = errors.Join(d.open(s, s.UnrecognizedFields), checkMeta(s.Meta, Snapshot))
	case *metadata.Metadata[metadata.SnapshotType]:
		s := m.Signed
		d = document{role: s.Type, version: s.Version, expires: s.Expires, signatures: m.Signatures}
		err = errors.Join(d.open(s, s.UnrecognizedFields), checkMeta(s.Meta, Targets))
	case *metadata.Metadata[metadata.TargetsType]:
		s := m.Signed
		d = document{role: s.Type, version: s.Version, expires: s.Expires, signatures: m.Signatures}
		err = errors.Join(d.open(s, s.UnrecognizedFields), checkTargets(s.Targets, s.Delegations))
	}
	return d, err
}

func (d *document) open(signed any, fields map[string]any) error {
	own, err := json.Marshal(fields[labelField])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(own, &d.label); err != nil {
		return fmt.Errorf("its field %s: %w", labelField, err)
	}
	if len(d.label.Revoked) > 0 && (d.role != Targets || d.label.Repository != Images) {
		return errors.New("only the targets of the images revoke")
	}
	d.payload, err = cjson.EncodeCanonical(signed)
	return err
}

// checkRoot refuses keys that are not Ed25519, and roles that nobody could fill.
func checkRoot(s *metadata.RootType) error {
	if len(s.Keys) > maxKeys {
		return fmt.Errorf("it has %d keys, %d are allowed", len(s.Keys), maxKeys)
	}
	for id, k := range s.Keys {
		if k == nil {
			return fmt.Errorf("key %q is empty", id)
		}
		if own, err := k.ID(); err != nil || own != id {
			return fmt.Errorf("key %q has another identity than it says", id)
		}
		if _, err := publicKey(k); err != nil {
			return fmt.Errorf("key %q: %w", id, err)
		}
	}
	for _, name := range Roles {
		r := s.Roles[name]
		if r == nil || r.Threshold < 1 || r.Threshold > len(r.KeyIDs) || len(r.KeyIDs) > maxKeys {
			return fmt.Errorf("role %s has no keys, or more than it may, or too few for its threshold", name)
		}
		for _, id := range r.KeyIDs {
			if s.Keys[id] == nil {
				return fmt.Errorf("role %s names key %q, which is not there", name, id)
			}
		}
	}
	return nil
}

func publicKey(k *metadata.Key) (ed25519.PublicKey, error) {
	if k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {
		return nil, fmt.Errorf("its type is %q, only ed25519 is used here", k.Type)
	}
	raw, err := hex.DecodeString(k.Value.PublicKey)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("it is no ed25519 key")
	}
	return raw, nil
}

// checkMeta wants one entry, whole: what a timestamp says of the snapshot, and a snapshot of the targets.
func checkMeta(meta map[string]*metadata.MetaFiles, role string) error {
	m := meta[role+".json"]
	if m == nil || len(meta) != 1 || m.Version < 1 || m.Length < 1 || len(m.Hashes) != 1 || len(m.Hashes["sha256"]) != 32 {
		return fmt.Errorf("it does not say, by version, length and sha256, which %s it belongs to", role)
	}
	return nil
}

func checkTargets(targets map[string]*metadata.TargetFiles, delegations *metadata.Delegations) error {
	if delegations != nil {
		return errors.New("it delegates, which is not used here")
	}
	digests := map[string]bool{}
	for path, t := range targets {
		if t == nil || t.Custom == nil || t.Length < 1 || t.Length > MaxModuleBytes || len(t.Hashes) != 1 || len(t.Hashes["sha256"]) != 32 {
			return fmt.Errorf("target %q is not described by length, sha256 and name", path)
		}
		if c, err := custom(t); err != nil || path != targetPath(c.Name, c.Version) || !validName(c.Name) || !validName(c.Version) {
			return fmt.Errorf("target %q is not called after its name and version", path)
		} else if c.Rollout != "" && !json.Valid([]byte(c.Rollout)) {
			return fmt.Errorf("target %q says how it is rolled out in no JSON", path)
		}
		if digests[digestOf(t)] {
			return fmt.Errorf("target %q has the same bytes as another one", path)
		}
		digests[digestOf(t)] = true
	}
	return nil
}

func custom(t *metadata.TargetFiles) (c description, err error) {
	return c, json.Unmarshal(*t.Custom, &c)
}

func targetPath(name, version string) string { return name + "/" + version + ".wasm" }

func digestOf(t *metadata.TargetFiles) string {
	return digestPrefix + hex.EncodeToString(t.Hashes["sha256"])
}
