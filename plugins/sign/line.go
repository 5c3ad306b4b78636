package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// set is the metadata of one repository that a client believes, byte for byte. All but the root may be missing.
type set struct {
	Root      []byte `json:"root,omitempty"`
	Timestamp []byte `json:"timestamp,omitempty"`
	Snapshot  []byte `json:"snapshot,omitempty"`
	Targets   []byte `json:"targets,omitempty"`
}

// line is what a client knows of one repository, parsed. It does not change once it is made.
type line struct {
	repository, node string
	set              set
	root             *metadata.RootType
	documents        []document                       // whichever are believed, root first
	targets          map[string]*metadata.TargetFiles // by digest; nil until there is a list
	signedBy         []string                         // keys that signed the targets
}

// checkLabel refuses documents of other repositories and nodes.
func (l *line) checkLabel(what string, d *document) error {
	node := l.node
	if d.role == Root {
		node = ""
	}
	switch {
	case d.label.Repository != l.repository:
		return &Error{Code: CodeWrongRepository, What: what, Why: fmt.Sprintf("it belongs to the repository %q", d.label.Repository), Hint: "the source is set up wrongly, or lies"}
	case d.label.Node != node:
		return &Error{Code: CodeWrongNode, What: what, Why: fmt.Sprintf("it is for node %q", d.label.Node), Hint: "the source is set up wrongly, or lies; this node is " + l.node}
	}
	return nil
}

// walk is one pass through TUF's client workflow. go-tuf judges signatures, versions and hashes; expiry is judged when a
// module is, not here (RATIONALE.md), so its reference time is the beginning of time.
type walk struct {
	line
	trusted *trustedmetadata.TrustedMetadata
	forgets bool // what was believed before, as keys were changed
}

// begin starts from a root that is believed.
func begin(repository, node string, root []byte) (*walk, error) {
	w := &walk{line: line{repository: repository, node: node}}
	what := "begin with the root of the " + repository
	md, d, err := read[metadata.RootType](what, root, Root)
	if err != nil {
		return nil, badRoot(err)
	}
	if err := errors.Join(w.checkLabel(what, &d), checkSigned(what, &md.Signed, &d)); err != nil {
		return nil, badRoot(err)
	}
	trusted, err := trustedmetadata.New(root)
	if err != nil {
		return nil, badRoot(judged(what, err))
	}
	trusted.RefTime = time.Time{}
	w.trusted, w.root, w.set.Root = trusted, &md.Signed, root
	w.put(d)
	return w, nil
}

func badRoot(err error) error {
	return &Error{Code: CodeBadRoot, What: "read the root of trust", Why: err.Error(), Hint: "use the file that `edgehold trust init` or `edgehold trust pin` wrote", Err: err}
}

// roots follows the chain of roots as far as the source has it.
func (w *walk) roots(ctx context.Context, s Source) error {
	for range maxRotations {
		next := w.root.Version + 1
		what := fmt.Sprintf("take in root %d of the %s", next, w.repository)
		raw, err := fetch(ctx, s, what, fmt.Sprintf("%d.root.json", next), maxRootBytes)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.nextRoot(what, raw); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) nextRoot(what string, raw []byte) error {
	md, d, err := read[metadata.RootType](what, raw, Root)
	if err != nil {
		return err
	}
	if err := w.checkLabel(what, &d); err != nil {
		return err
	}
	if err := checkSigned(what, w.root, &d); err != nil { // by the keys of the root before
		return err
	}
	if err := checkSigned(what, &md.Signed, &d); err != nil { // and by its own
		return err
	}
	if _, err := w.trusted.UpdateRoot(raw); err != nil {
		return judged(what, err)
	}
	w.forgets = w.forgets || keysChanged(w.root, &md.Signed)
	w.root, w.set.Root = &md.Signed, raw
	w.put(d)
	return nil
}

// keysChanged reports whether the keys that sign timestamps or snapshots differ between two roots. TUF (5.3.11) has
// the client then forget both, so that a thief of keys can't have set the version numbers out of everybody's reach.
func keysChanged(before, after *metadata.RootType) bool {
	for _, role := range []string{Timestamp, Snapshot} {
		a, b := slices.Sorted(slices.Values(before.Roles[role].KeyIDs)), slices.Sorted(slices.Values(after.Roles[role].KeyIDs))
		if !slices.Equal(a, b) {
			return true
		}
	}
	return false
}

// errSame says that the source has what the client has.
var errSame = errors.New("the same as before")

func (w *walk) timestamp(what string, raw []byte) error {
	_, d, err := read[metadata.TimestampType](what, raw, Timestamp)
	if err != nil {
		return err
	}
	if err := errors.Join(w.checkLabel(what, &d), checkSigned(what, w.root, &d)); err != nil {
		return err
	}
	_, err = w.trusted.UpdateTimestamp(raw)
	if errors.Is(err, &metadata.ErrEqualVersionNumber{}) {
		return errSame
	}
	if err != nil {
		return judged(what, err)
	}
	w.set.Timestamp = raw
	w.put(d)
	return nil
}

// snapshot takes a snapshot in. One that the timestamp does not name is an error, yet counts from then on for what may
// not go back.
func (w *walk) snapshot(what string, raw []byte, believed bool) error {
	md, d, err := read[metadata.SnapshotType](what, raw, Snapshot)
	if err != nil {
		return err
	}
	if err := errors.Join(w.checkLabel(what, &d), checkSigned(what, w.root, &d)); err != nil {
		return err
	}
	named := w.trusted.Timestamp.Signed.Meta["snapshot.json"].Version
	_, err = w.trusted.UpdateSnapshot(raw, believed)
	if err != nil {
		if md.Signed.Version != named && errors.Is(err, &metadata.ErrBadVersionNumber{}) {
			return &Error{Code: CodeMixed, What: what, Why: fmt.Sprintf("it is version %d, the timestamp names %d", md.Signed.Version, named), Hint: "the source is being published at this moment, or it lies", Err: err}
		}
		return judged(what, err)
	}
	w.set.Snapshot = raw
	w.put(d)
	return nil
}

func (w *walk) judgeTargets(what string, raw []byte) error {
	md, d, err := read[metadata.TargetsType](what, raw, Targets)
	if err != nil {
		return err
	}
	if err := errors.Join(w.checkLabel(what, &d), checkSigned(what, w.root, &d)); err != nil {
		return err
	}
	if named := w.trusted.Snapshot.Signed.Meta["targets.json"].Version; named != d.version {
		return &Error{Code: CodeMixed, What: what, Why: fmt.Sprintf("it is version %d, the snapshot names %d", d.version, named), Hint: "the source is being published at this moment, or it lies"}
	}
	if _, err := w.trusted.UpdateTargets(raw); err != nil {
		return judged(what, err)
	}
	w.set.Targets, w.targets = raw, make(map[string]*metadata.TargetFiles, len(md.Signed.Targets))
	for _, t := range md.Signed.Targets {
		w.targets[digestOf(t)] = t
	}
	w.signedBy, _ = signers(w.root, &d)
	w.put(d)
	return nil
}

// put keeps what is believed of a document; what was signed is of no use any more.
func (w *walk) put(d document) {
	d.payload, d.signatures = nil, nil
	i := slices.IndexFunc(w.documents, func(o document) bool { return o.role == d.role })
	if i < 0 {
		w.documents = append(w.documents, d)
		return
	}
	w.documents[i] = d
}

// follow takes in what was believed before, as far as the root still vouches for it, and over it what the source has
// that is newer, from the timestamp down. Without a source it only remembers.
func (w *walk) follow(ctx context.Context, s Source, before set) error {
	if w.forgets || before.Timestamp == nil || w.timestamp("remember the timestamp", before.Timestamp) != nil {
		before = set{}
	}
	if s != nil {
		if err := w.followTimestamp(ctx, s); err != nil {
			return err
		}
	}
	if before.Snapshot != nil {
		_ = w.snapshot("remember the snapshot", before.Snapshot, true)
	}
	if s != nil {
		if err := w.followSnapshot(ctx, s); err != nil {
			return err
		}
	}
	if before.Targets != nil && w.set.Snapshot != nil {
		_ = w.judgeTargets("remember the targets", before.Targets)
	}
	if s == nil {
		return nil
	}
	return w.followTargets(ctx, s)
}

func (w *walk) followTimestamp(ctx context.Context, s Source) error {
	what := "take in the timestamp of the " + w.repository
	raw, err := fetch(ctx, s, what, w.folder()+"timestamp.json", maxTimestampBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return w.nothing(err)
	}
	if err != nil {
		return err
	}
	if err := w.timestamp(what, raw); !errors.Is(err, errSame) {
		return err
	}
	return nil
}

// folder is where a source has what is not a root.
func (w *walk) folder() string {
	if w.node == "" {
		return ""
	}
	return w.node + "/"
}

func (w *walk) nothing(err error) error {
	if w.repository == Director {
		return &Error{Code: CodeUnassigned, What: "ask the director", Why: "it has nothing for the node " + w.node, Hint: "assign it something with `edgehold trust assign " + w.node + " POLICY@VERSION`, or correct trust.director.node", Err: err}
	}
	return &Error{Code: CodeNoMetadata, What: "take in the timestamp of the images", Why: "the source has none", Hint: "publish the repository there, or correct the source", Err: err}
}

func (w *walk) followSnapshot(ctx context.Context, s Source) error {
	if w.set.Snapshot != nil {
		return nil
	}
	what := "take in the snapshot of the " + w.repository
	named := w.trusted.Timestamp.Signed.Meta["snapshot.json"]
	raw, err := fetch(ctx, s, what, fmt.Sprintf("%s%d.snapshot.json", w.folder(), named.Version), min(maxSnapshotBytes, named.Length))
	if err != nil {
		return lacking(what, err)
	}
	return w.snapshot(what, raw, false)
}

func (w *walk) followTargets(ctx context.Context, s Source) error {
	if w.set.Targets != nil {
		return nil
	}
	what := "take in the targets of the " + w.repository
	named := w.trusted.Snapshot.Signed.Meta["targets.json"]
	raw, err := fetch(ctx, s, what, fmt.Sprintf("%s%d.targets.json", w.folder(), named.Version), min(maxTargetsBytes, named.Length))
	if err != nil {
		return lacking(what, err)
	}
	return w.judgeTargets(what, raw)
}

func lacking(what string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Code: CodeMixed, What: what, Why: "the source names a file that it does not have", Hint: "the source is being published at this moment, or it lies", Err: err}
	}
	return err
}

// fetch reads a file and refuses more than limit bytes.
func fetch(ctx context.Context, s Source, what, name string, limit int64) ([]byte, error) {
	raw, err := s.Metadata(ctx, name, limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, &Error{Code: CodeUnreachable, What: what, Why: err.Error(), Hint: "see that the source can be reached; this node keeps what it has", Err: err}
	case int64(len(raw)) > limit:
		return nil, &Error{Code: CodeTooLarge, What: what, Why: fmt.Sprintf("%s has more than %d bytes", name, limit), Hint: "the source is damaged or lies"}
	}
	return bytes.Clone(raw), nil
}
