package sign

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// list is what a targets document says: modules by path, and of the images those that were withdrawn, by digest.
type list struct {
	targets map[string]*metadata.TargetFiles
	revoked map[string]string
}

func newList() list { return list{map[string]*metadata.TargetFiles{}, map[string]string{}} }

func (l list) clone() list {
	c := newList()
	maps.Copy(c.targets, l.targets)
	maps.Copy(c.revoked, l.revoked)
	return c
}

// changeTargets publishes a changed list, or stages it. What is staged already is gone on from.
func (r *Repository) changeTargets(l *release, change func(*list) error) error {
	next := l.list.clone()
	staged, err := r.Pending()
	if err != nil {
		return err
	}
	for _, p := range staged {
		if m, ok := p.md.(*metadata.Metadata[metadata.TargetsType]); ok && p.Repository == l.repository && p.Node == l.node {
			next = list{m.Signed.Targets, p.document.label.Revoked}.clone()
		}
	}
	if err := change(&next); err != nil {
		return err
	}
	d, err := r.draftTargets(l, next)
	if err != nil {
		return err
	}
	if err := r.releaseTargets(l, d); err != nil {
		return err
	}
	return r.unstage(d)
}

// Module is an artefact to be vouched for. Who adds it has read name, version and kind out of its own manifest.
type Module struct {
	Name, Version, Kind string
	Bytes               []byte
	// Devices is a pattern of the devices that may run it, as in path.Match. Empty: all of them for a workload, none for others.
	Devices string
}

// Target is a module on a list.
type Target struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Kind    string          `json:"kind,omitempty"`
	Digest  string          `json:"digest"`
	Length  int64           `json:"length"`
	Rollout json.RawMessage `json:"rollout,omitempty"`
	// Seal is the statement for devices, signed with a targets key; see package parcel. It is missing when none was at hand.
	Seal []byte `json:"-"`
}

func targetOf(t *metadata.TargetFiles) (Target, error) {
	d, err := custom(t)
	return Target{d.Name, d.Version, d.Kind, digestOf(t), t.Length, json.RawMessage(d.Rollout), d.Parcel}, err
}

func (t Target) file() (*metadata.TargetFiles, error) {
	own, err := json.Marshal(description{t.Name, t.Version, t.Kind, t.Seal, string(t.Rollout)})
	if err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(t.Digest, digestPrefix))
	if err != nil {
		return nil, err
	}
	return &metadata.TargetFiles{Length: t.Length, Hashes: metadata.Hashes{"sha256": sum}, Custom: (*json.RawMessage)(&own)}, nil
}

// Add has the image repository vouch for a module, and publishes its bytes. Adding it again changes nothing; an error with
// [CodeIncomplete] says that the change is staged.
func (r *Repository) Add(m Module) (Target, error) {
	t := Target{Name: m.Name, Version: m.Version, Kind: m.Kind, Digest: store.Digest(m.Bytes), Length: int64(len(m.Bytes))}
	if m.Devices == "" && m.Kind == wasmabi.KindWorkload {
		m.Devices = "*"
	}
	what := fmt.Sprintf("add %s@%s", m.Name, m.Version)
	for kind, name := range map[string]string{"policy": m.Name, "version": m.Version} {
		if !validName(name) {
			return t, badName(what, kind, name)
		}
	}
	if t.Length < 1 || t.Length > MaxModuleBytes {
		return t, &Error{Code: CodeTooLarge, What: what, Why: fmt.Sprintf("%d bytes are more than a module may have, or none", t.Length), Hint: "make it smaller"}
	}
	return t, r.exclusively(func() error {
		l, err := r.open(Images, "")
		if err != nil {
			return err
		}
		if t.Seal, err = r.seal(l, m); err != nil {
			return err
		}
		file, err := moduleFile(t.Digest)
		if err != nil {
			return err
		}
		if err := r.write(filepath.Join(r.Published(), ModulesFolder, file), m.Bytes); err != nil {
			return err
		}
		if known, ok := l.list.targets[targetPath(t.Name, t.Version)]; ok && digestOf(known) == t.Digest && sealedFor(known, m.Devices) {
			return nil
		}
		return r.changeTargets(l, func(next *list) error { return next.add(what, t) })
	})
}

func (l *list) add(what string, t Target) error {
	if reason, ok := l.revoked[t.Digest]; ok {
		return &Error{Code: CodeRevoked, What: what, Why: "this module was withdrawn: " + reason, Hint: "mend it and raise its version"}
	}
	path := targetPath(t.Name, t.Version)
	for at, known := range l.targets {
		switch same := digestOf(known) == t.Digest; {
		case at == path && !same:
			return &Error{Code: CodeTaken, What: what, Why: "another module has this version: " + digestOf(known), Hint: "raise the version: a version means one module for ever"}
		case at != path && same:
			return &Error{Code: CodeTaken, What: what, Why: "the same module is listed as " + strings.TrimSuffix(at, ".wasm"), Hint: "it has one name already"}
		}
	}
	file, err := t.file()
	l.targets[path] = file
	return err
}

// find returns the listed module of a name and version.
func (l *list) find(what, name, version string) (Target, error) {
	file, ok := l.targets[targetPath(name, version)]
	if ok {
		return targetOf(file)
	}
	var known []string
	for _, path := range slices.Sorted(maps.Keys(l.targets)) {
		if v, ok := strings.CutPrefix(path, name+"/"); ok {
			known = append(known, strings.TrimSuffix(v, ".wasm"))
		}
	}
	why := fmt.Sprintf("the image repository lists no policy %q", name)
	if len(known) > 0 {
		why = fmt.Sprintf("of %s it lists %s", name, strings.Join(known, ", "))
	}
	return Target{}, &Error{Code: CodeUnknownTarget, What: what, Why: why, Hint: "add it with `edgehold trust add`, or see `edgehold trust status --folder FOLDER`"}
}

// Wanted is one version of a policy that a node shall run, and how it is to be brought in.
type Wanted struct {
	Name, Version string
	Rollout       json.RawMessage // nil activates at once
}

// Assign has the director tell a node to run these versions, in place of other versions of the same policies.
func (r *Repository) Assign(node string, wanted []Wanted) error {
	what := "assign to node " + node
	if !validName(node) {
		return badName(what, "node", node)
	}
	return r.exclusively(func() error {
		images, err := r.open(Images, "")
		if err != nil {
			return err
		}
		l, err := r.open(Director, node)
		if err != nil {
			return err
		}
		return r.changeTargets(l, func(next *list) error {
			for _, w := range wanted {
				t, err := images.list.find(what, w.Name, w.Version)
				if err != nil {
					return err
				}
				t.Rollout, t.Seal = w.Rollout, nil
				next.drop(w.Name)
				if next.targets[targetPath(t.Name, t.Version)], err = t.file(); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Unassign has the director say nothing more of these policies to a node.
func (r *Repository) Unassign(node string, names []string) error {
	what := "take back from node " + node
	return r.exclusively(func() error {
		l, err := r.open(Director, node)
		if err != nil {
			return err
		}
		return r.changeTargets(l, func(next *list) error {
			for _, name := range names {
				if !next.drop(name) {
					return &Error{Code: CodeUnknownTarget, What: what, Why: fmt.Sprintf("it has no version of %q", name), Hint: "see `edgehold trust status --folder FOLDER`"}
				}
			}
			return nil
		})
	})
}

// drop removes every version of a policy.
func (l *list) drop(name string) (found bool) {
	maps.DeleteFunc(l.targets, func(path string, _ *metadata.TargetFiles) bool {
		match := strings.HasPrefix(path, name+"/")
		found = found || match
		return match
	})
	return found
}

// maxReason bounds what a withdrawal says, in bytes.
const maxReason = 200

// Revoke withdraws a version: the image repository says so and why, and the director stops naming it. It returns the nodes
// that were assigned it.
func (r *Repository) Revoke(name, version, reason string) (nodes []string, err error) {
	what := fmt.Sprintf("withdraw %s@%s", name, version)
	if reason == "" || len(reason) > maxReason {
		return nil, &Error{Code: CodeBadName, What: what, Why: "its reason is empty or too long", Hint: "say in a few words why"}
	}
	err = r.exclusively(func() error {
		images, err := r.open(Images, "")
		if err != nil {
			return err
		}
		t, err := images.list.find(what, name, version)
		if err != nil {
			return err
		}
		if nodes, err = r.dropFromNodes(t); err != nil {
			return err
		}
		return r.changeTargets(images, func(next *list) error {
			delete(next.targets, targetPath(name, version))
			next.revoked[t.Digest] = reason
			return nil
		})
	})
	return nodes, err
}

func (r *Repository) dropFromNodes(t Target) (had []string, err error) {
	nodes, err := r.nodes()
	if err != nil {
		return nil, err
	}
	for _, node := range nodes {
		l, err := r.open(Director, node)
		if err != nil {
			return had, err
		}
		if l.list.targets[targetPath(t.Name, t.Version)] == nil {
			continue
		}
		had = append(had, node)
		err = r.changeTargets(l, func(next *list) error {
			next.drop(t.Name)
			return nil
		})
		if err != nil {
			return had, err
		}
	}
	return had, nil
}
