package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/edgehold/edgehold/plugins/store"
)

// Source hands out metadata files. Names are slash-separated and use letters, digits and "._-" alone: an image repository
// has "timestamp.json", "7.snapshot.json", "3.targets.json", "2.root.json"; a director has its roots beside a folder for
// each node ("node-7/timestamp.json", "node-7/4.targets.json").
//
// Metadata returns [fs.ErrNotExist] for a file that is not there, and any other error for a source that can't tell. It
// need not keep to limit, in bytes, but should read no more than one byte beyond it. Nothing that it returns is believed.
type Source interface {
	Metadata(ctx context.Context, name string, limit int64) ([]byte, error)
}

// The folders of a published tree: what a node reads.
const (
	ImagesFolder   = "images"
	DirectorFolder = "director"
	ModulesFolder  = "modules"
)

// Under is the part of a source below a folder.
func Under(s Source, folder string) Source { return below{s, folder} }

type below struct {
	Source
	folder string
}

func (b below) Metadata(ctx context.Context, name string, limit int64) ([]byte, error) {
	return b.Source.Metadata(ctx, path.Join(b.folder, name), limit)
}

// Files is a source in memory, by name: what a bundle carries.
type Files map[string][]byte

// Metadata implements [Source].
func (f Files) Metadata(_ context.Context, name string, _ int64) ([]byte, error) {
	content, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return content, nil
}

// Folder is the plain folder that a [Repository] publishes, as a source of metadata and of modules.
type Folder string

// Metadata implements [Source].
func (f Folder) Metadata(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !validPath(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return readBelow(string(f), name, limit)
}

// Module returns the module of a digest. It has been checked against digest and length.
func (f Folder) Module(ctx context.Context, digest string, length int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	what := "read module " + digest
	name, err := moduleFile(digest)
	if err != nil {
		return nil, err
	}
	raw, err := readBelow(string(f), path.Join(ModulesFolder, name), length)
	if err != nil {
		return nil, &Error{Code: CodeUnreachable, What: what, Why: err.Error(), Hint: "publish the folder again, with its modules", Err: err}
	}
	return raw, CheckModule(what, raw, digest, length)
}

// CheckModule refuses bytes that are not those of a digest and length.
func CheckModule(what string, raw []byte, digest string, length int64) error {
	switch got := store.Digest(raw); {
	case int64(len(raw)) != length:
		return &Error{Code: CodeDigestMismatch, What: what, Why: fmt.Sprintf("it has %d bytes, %d were signed", len(raw), length), Hint: "the source is damaged or lies: fetch it from another"}
	case got != digest:
		return &Error{Code: CodeDigestMismatch, What: what, Why: "its bytes have the digest " + got, Hint: "the source is damaged or lies: fetch it from another"}
	}
	return nil
}

const digestPrefix = "sha256:"

func moduleFile(digest string) (string, error) {
	if store.CheckDigest(digest) != nil {
		return "", &Error{Code: CodeBadName, What: fmt.Sprintf("find module %q", digest), Why: "that is no digest", Hint: "digests look like sha256:0f3a..."}
	}
	return "sha256-" + strings.TrimPrefix(digest, digestPrefix) + ".wasm", nil
}

// readBelow reads a regular file below a folder, at most limit bytes and one more. It follows no link out of the folder
// and does not wait for pipes.
func readBelow(dir, name string, limit int64) (content []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil { // says nothing of the file: the folder may be on a disk that is not there today
		return nil, fmt.Errorf("open folder: %v", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := store.OpenRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var b bytes.Buffer
	_, err = io.Copy(&b, io.LimitReader(f, limit+1))
	return b.Bytes(), err
}

const maxPathBytes = 200

// validPath reports whether a name may be asked of a source.
func validPath(name string) bool {
	if len(name) > maxPathBytes || !fs.ValidPath(name) {
		return false
	}
	for _, part := range strings.Split(name, "/") {
		if !validName(part) {
			return false
		}
	}
	return true
}

const maxNameBytes = 100

// CheckNode refuses what can't be a node's name.
func CheckNode(name string) error {
	if !validName(name) {
		return badName("name a node", "node", name)
	}
	return nil
}

// validName reports whether a policy, a version or a node may be called so.
func validName(name string) bool {
	if name == "" || len(name) > maxNameBytes || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.+", r)) {
			return false
		}
	}
	return true
}
