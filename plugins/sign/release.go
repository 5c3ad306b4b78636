package sign

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// release is what is published of one repository, or of a director for one node.
type release struct {
	repository, node string
	root             *metadata.RootType
	list             list
	documents        map[string]document // by role; the root is always there
}

func (l *release) version(role string) int64 { return l.documents[role].version }

// open reads what is published. A repository of which nothing but the root is published has empty targets, version 0.
func (r *Repository) open(repository, node string) (*release, error) {
	l := &release{repository: repository, node: node, documents: map[string]document{}, list: newList()}
	version, err := r.newestRoot(repository)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		return nil, &Error{Code: CodeIncomplete, What: "use the " + repository, Why: "its first root still lacks signatures", Hint: "see `edgehold trust status --folder " + r.dir + "`, then `edgehold trust sign`"}
	}
	root, err := openRole[metadata.RootType](r, l, Root, version)
	if err != nil {
		return nil, err
	}
	l.root = &root.Signed
	timestamp, err := openRole[metadata.TimestampType](r, l, Timestamp, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	snapshot, err := openRole[metadata.SnapshotType](r, l, Snapshot, timestamp.Signed.Meta["snapshot.json"].Version)
	if err != nil {
		return nil, err
	}
	targets, err := openRole[metadata.TargetsType](r, l, Targets, snapshot.Signed.Meta["targets.json"].Version)
	if err != nil {
		return nil, err
	}
	l.list = list{targets.Signed.Targets, l.documents[Targets].label.Revoked}.clone()
	return l, nil
}

func openRole[T metadata.Roles](r *Repository, l *release, role string, version int64) (*metadata.Metadata[T], error) {
	d := draft{Repository: l.repository, Node: l.node, Role: role, Version: version}
	folder := r.folder(l.repository, l.node, role)
	what := "read " + filepath.Join(folder, d.file())
	raw, err := os.ReadFile(filepath.Join(folder, d.file()))
	if errors.Is(err, fs.ErrNotExist) && role == Timestamp {
		return nil, err
	}
	if err != nil {
		return nil, r.failed(what, err)
	}
	md, own, err := read[T](what, raw, role)
	if err != nil {
		return nil, r.failed(what, err)
	}
	l.documents[role] = own
	return md, nil
}

// newestRoot returns the highest version that is published without a gap; 0 is none.
func (r *Repository) newestRoot(repository string) (version int64, err error) {
	for {
		path := filepath.Join(r.folder(repository, "", Root), fmt.Sprintf("%d.root.json", version+1))
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return version, nil
		} else if err != nil {
			return 0, r.failed("look for roots", err)
		}
		version++
	}
}

// nodes lists the nodes that a director has something for.
func (r *Repository) nodes() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.Published(), Director))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, r.failed("list the nodes", err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && validName(e.Name()) {
			all = append(all, e.Name())
		}
	}
	return all, nil
}

// draftTargets is the next version of a list.
func (r *Repository) draftTargets(l *release, next list) (*draft, error) {
	version := l.version(Targets) + 1
	return newDraft(l.repository, l.node, Targets, version, metadata.TargetsType{
		Type: Targets, SpecVersion: metadata.SPECIFICATION_VERSION, Version: version, Expires: r.expires(l.repository, Targets),
		Targets: next.targets, UnrecognizedFields: r.fields(l.repository, l.node, next.revoked),
	})
}

// signOnline signs with the keys at hand and reports whether that is enough for the role.
func (r *Repository) signOnline(d *draft, root *metadata.RootType, ring keyring) (enough bool, err error) {
	role := root.Roles[d.Role]
	for _, id := range role.KeyIDs {
		if k, ok := ring[id]; ok {
			if err := d.sign(k); err != nil {
				return false, err
			}
		}
	}
	own, _, err := d.parsed()
	if err != nil {
		return false, err
	}
	good, _ := signers(root, &own)
	return len(good) >= role.Threshold, nil
}

// releaseTargets publishes a list with a snapshot and a timestamp that name it, or stages it when keys for it are elsewhere.
func (r *Repository) releaseTargets(l *release, targets *draft) error {
	ring, err := openKeyring(r.keys)
	if err != nil {
		return err
	}
	enough, err := r.signOnline(targets, l.root, ring)
	if err != nil {
		return err
	}
	if !enough {
		if err := r.stage(targets); err != nil {
			return err
		}
		return &Error{
			Code: CodeIncomplete, What: "publish " + targets.String(), Why: "keys that must sign it are not in " + r.keys,
			Hint: "it is staged: `edgehold trust sign --export FILE`, sign on the machine that has the keys, then `edgehold trust sign --import FILE`",
			Err:  errStaged,
		}
	}
	return r.releaseWith(l, targets, ring)
}

// errStaged says that a change is kept until its signatures are there.
var errStaged = errors.New("staged")

// releaseWith publishes a signed list: targets, then snapshot, then timestamp, so that a reader sees the release before or
// this one.
func (r *Repository) releaseWith(l *release, targets *draft, ring keyring) error {
	snapshot, err := r.draftAbove(l, Snapshot, targets)
	if err != nil {
		return err
	}
	if err := r.signFully(snapshot, l.root, ring); err != nil {
		return err
	}
	timestamp, err := r.draftAbove(l, Timestamp, snapshot)
	if err != nil {
		return err
	}
	if err := r.signFully(timestamp, l.root, ring); err != nil {
		return err
	}
	for _, d := range []*draft{targets, snapshot, timestamp} {
		if err := r.publish(d); err != nil {
			return err
		}
	}
	return r.prune(l)
}

func (r *Repository) signFully(d *draft, root *metadata.RootType, ring keyring) error {
	enough, err := r.signOnline(d, root, ring)
	if err == nil && !enough {
		err = &Error{
			Code: CodeIncomplete, What: "sign " + d.String(), Why: fmt.Sprintf("%d keys of %s are needed, and too few of them are in %s", root.Roles[d.Role].Threshold, namesOf(root, d.Role), r.keys),
			Hint: "name the folder that has them with --keys; snapshots and timestamps are signed where they are published",
		}
	}
	return err
}

func namesOf(root *metadata.RootType, role string) string {
	var ids []string
	for _, id := range root.Roles[role].KeyIDs {
		ids = append(ids, ShortID(id))
	}
	return strings.Join(ids, ", ")
}

// ShortID is the beginning of a key's identity, enough for people.
func ShortID(id string) string { return id[:min(len(id), 8)] }

// draftAbove is the document that names another one: a snapshot its targets, a timestamp its snapshot.
func (r *Repository) draftAbove(l *release, role string, named *draft) (*draft, error) {
	raw, err := named.bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	meta := map[string]*metadata.MetaFiles{named.Role + ".json": {
		Version: named.Version, Length: int64(len(raw)), Hashes: metadata.Hashes{"sha256": sum[:]},
	}}
	version, expires, fields := l.version(role)+1, r.expires(l.repository, role), r.fields(l.repository, l.node, nil)
	if role == Snapshot {
		return newDraft(l.repository, l.node, role, version, metadata.SnapshotType{
			Type: role, SpecVersion: metadata.SPECIFICATION_VERSION, Version: version, Expires: expires, Meta: meta, UnrecognizedFields: fields,
		})
	}
	return newDraft(l.repository, l.node, role, version, metadata.TimestampType{
		Type: role, SpecVersion: metadata.SPECIFICATION_VERSION, Version: version, Expires: expires, Meta: meta, UnrecognizedFields: fields,
	})
}

// keptReleases is how many versions of lists and snapshots stay published, for readers that are in the middle of them.
const keptReleases = 8

// prune removes lists and snapshots that are long superseded.
func (r *Repository) prune(l *release) error {
	folder := r.folder(l.repository, l.node, Targets)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return r.failed("clear away old releases", err)
	}
	versions := map[string][]int64{}
	for _, e := range entries {
		number, rest, _ := strings.Cut(e.Name(), ".")
		if v, err := strconv.ParseInt(number, 10, 64); err == nil && (rest == Targets+".json" || rest == Snapshot+".json") {
			versions[rest] = append(versions[rest], v)
		}
	}
	for rest, all := range maps.All(versions) {
		slices.Sort(all)
		for _, v := range all[:max(0, len(all)-keptReleases)] {
			if err := os.Remove(filepath.Join(folder, fmt.Sprintf("%d.%s", v, rest))); err != nil {
				return r.failed("clear away old releases", err)
			}
		}
	}
	return nil
}
