package sign

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// draft is a document that is being signed. It can lie on disk, and be carried to machines that hold keys.
type draft struct {
	Repository string          `json:"repository"`
	Node       string          `json:"node,omitempty"`
	Role       string          `json:"role"`
	Version    int64           `json:"version"`
	Signed     json.RawMessage `json:"signed"`
	Signatures []Signature     `json:"signatures,omitempty"`

	whole []byte // as it was published, for one that was read back
}

// Signature is one key's signature of one document.
type Signature struct {
	KeyID     string `json:"keyid"`
	Signature string `json:"sig"` // hexadecimal
}

// String names the document.
func (d *draft) String() string {
	of := d.Repository
	if d.Node != "" {
		of += " for " + d.Node
	}
	return fmt.Sprintf("%s %d of the %s", d.Role, d.Version, of)
}

// newDraft takes over the signed part of a document of go-tuf's.
func newDraft[T metadata.Roles](repository, node, role string, version int64, signed T) (*draft, error) {
	raw, err := json.Marshal(signed)
	return &draft{Repository: repository, Node: node, Role: role, Version: version, Signed: raw}, err
}

// payload is what is signed: the canonical form.
func (d *draft) payload() ([]byte, error) { return cjson.EncodeCanonical(d.Signed) }

// sign adds a key's signature, unless it is there.
func (d *draft) sign(k PrivateKey) error {
	id := k.Public().ID()
	if d.has(id) {
		return nil
	}
	payload, err := d.payload()
	if err != nil {
		return err
	}
	d.Signatures = append(d.Signatures, Signature{id, hex.EncodeToString(ed25519.Sign(k.key, payload))})
	return nil
}

func (d *draft) has(keyID string) bool {
	return slices.ContainsFunc(d.Signatures, func(s Signature) bool { return s.KeyID == keyID })
}

// accept adds a signature that was made elsewhere, if it is good.
func (d *draft) accept(s Signature, key ed25519.PublicKey) error {
	payload, err := d.payload()
	if err != nil {
		return err
	}
	raw, err := hex.DecodeString(s.Signature)
	if err != nil || !ed25519.Verify(key, payload, raw) {
		return &Error{Code: CodeWrongKey, What: "import a signature of " + d.String(), Why: "it does not fit the document", Hint: "the document was changed meanwhile: export it again"}
	}
	if !d.has(s.KeyID) {
		d.Signatures = append(d.Signatures, s)
	}
	return nil
}

// bytes is the finished document.
func (d *draft) bytes() ([]byte, error) {
	if d.whole != nil {
		return d.whole, nil
	}
	return json.Marshal(struct {
		Signatures []Signature     `json:"signatures"`
		Signed     json.RawMessage `json:"signed"`
	}{append([]Signature{}, d.Signatures...), d.Signed})
}

// file is the document's name when it is published.
func (d *draft) file() string {
	if d.Role == Timestamp {
		return "timestamp.json"
	}
	return fmt.Sprintf("%d.%s.json", d.Version, d.Role)
}

// parsed is the draft as a reader of its role will see it.
func (d *draft) parsed() (document, any, error) {
	raw, err := d.bytes()
	if err != nil {
		return document{}, nil, err
	}
	return readAny("read "+d.String(), raw, d.Role)
}

// readAny is read for a role that is known at run time alone.
func readAny(what string, raw []byte, role string) (d document, md any, err error) {
	switch role {
	case Root:
		md, d, err = wrap(read[metadata.RootType](what, raw, role))
	case Targets:
		md, d, err = wrap(read[metadata.TargetsType](what, raw, role))
	case Snapshot:
		md, d, err = wrap(read[metadata.SnapshotType](what, raw, role))
	case Timestamp:
		md, d, err = wrap(read[metadata.TimestampType](what, raw, role))
	default:
		err = &Error{Code: CodeMalformed, What: what, Why: fmt.Sprintf("there is no role %q", role), Hint: "name another file"}
	}
	return d, md, err
}

func wrap[T metadata.Roles](md *metadata.Metadata[T], d document, err error) (any, document, error) {
	return md, d, err
}

// fields are the part that we add to each document.
func (r *Repository) fields(repository, node string, revoked map[string]string) map[string]any {
	return map[string]any{labelField: label{repository, node, r.issued(), revoked}}
}

func (r *Repository) issued() time.Time { return r.now().UTC().Truncate(time.Second) }

func (r *Repository) expires(repository, role string) time.Time {
	return r.issued().Add(r.settings.Validity.of(repository, role))
}

// publish writes a document to where nodes look for it.
func (r *Repository) publish(d *draft) error {
	raw, err := d.bytes()
	if err != nil {
		return err
	}
	if limit := limitOf(d.Role); len(raw) > limit {
		return &Error{Code: CodeTooLarge, What: "publish " + d.String(), Why: fmt.Sprintf("it has %d bytes, nodes take in %d", len(raw), limit), Hint: "revoke versions that nobody needs"}
	}
	return r.write(filepath.Join(r.folder(d.Repository, d.Node, d.Role), d.file()), raw)
}

func limitOf(role string) int {
	return map[string]int{Root: maxRootBytes, Targets: maxTargetsBytes, Snapshot: maxSnapshotBytes, Timestamp: maxTimestampBytes}[role]
}
