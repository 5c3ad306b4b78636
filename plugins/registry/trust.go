package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/edgehold/edgehold/plugins/bundle"
)

// Source hands out trust metadata that was pushed with [Client.PushMetadata]. It implements sign.Source: names are those
// of a published tree, absence is [fs.ErrNotExist], and nothing that it returns is to be believed.
type Source struct {
	client    *Client
	reference Reference
}

// Source returns the metadata in the repository or folder of a reference, whose tag does not matter.
func (c *Client) Source(r Reference) *Source { return &Source{c, r.WithTag("")} }

// Metadata fetches one file, of limit bytes at most. Mirrors are asked first. That one lacks a file says that it does not
// exist only if nobody was unreachable.
func (s *Source) Metadata(ctx context.Context, name string, limit int64) ([]byte, error) {
	what := "fetch " + clip(name) + " from " + s.reference.String()
	places, err := s.client.sources(s.reference)
	if err != nil {
		return nil, err
	}
	var last error
	for _, p := range places {
		var content []byte
		if content, last = metadata(ctx, p, name, limit); last == nil {
			return content, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, explain(what, last)
}

func metadata(ctx context.Context, p place, name string, limit int64) ([]byte, error) {
	folder, base := split(name)
	files, err := trustFiles(ctx, p, folder)
	if err != nil {
		return nil, err
	}
	d, ok := files[base]
	if !ok {
		return nil, &fs.PathError{Op: "fetch", Path: name, Err: fs.ErrNotExist}
	}
	if d.Size > limit {
		return nil, lied(clip(name), fmt.Sprintf("it has %d bytes, %d are taken", d.Size, limit))
	}
	return fetch(ctx, p, d)
}

func split(name string) (folder, base string) {
	folder, base = path.Split(name)
	return path.Clean("/" + folder)[1:], base
}

// trustFiles lists the metadata files of a folder.
func trustFiles(ctx context.Context, p place, folder string) (map[string]ocispec.Descriptor, error) {
	tag := bundle.TrustTag(folder)
	if !tagForm.MatchString(tag) {
		return nil, &fs.PathError{Op: "fetch", Path: folder, Err: fs.ErrNotExist}
	}
	_, raw, err := p.manifest(ctx, tag)
	if err != nil {
		return nil, err
	}
	of, files, err := bundle.ParseTrust(raw)
	if err == nil && of != folder {
		return nil, &fs.PathError{Op: "fetch", Path: folder, Err: fs.ErrNotExist}
	}
	return files, err
}

// fetch downloads a small blob whose length has been judged.
func fetch(ctx context.Context, p place, d ocispec.Descriptor) ([]byte, error) {
	body, _, err := p.blob(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	content, err := io.ReadAll(io.LimitReader(body, d.Size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) != d.Size || digest.FromBytes(content) != d.Digest {
		return nil, lied(d.Digest.String(), "it has other bytes")
	}
	return content, nil
}

// PushMetadata stores trust metadata under a reference, whose tag does not matter: an image for each folder of the
// published tree, so that a node fetches its own alone. Files that are there already and not named stay; each folder
// changes at once.
func (c *Client) PushMetadata(ctx context.Context, r Reference, files map[string][]byte) error {
	what := "push the trust metadata to " + r.WithTag("").String()
	p, err := c.at(r)
	if err != nil {
		return err
	}
	folders := bundle.Folders(files)
	for _, folder := range slices.Sorted(maps.Keys(folders)) { // a director's roots before its nodes
		if err := putTrust(ctx, p, folder, folders[folder]); err != nil {
			return explain(what, err)
		}
	}
	return nil
}

func putTrust(ctx context.Context, p place, folder string, files map[string][]byte) error {
	before, err := trustFiles(ctx, p, folder)
	if err != nil && !errors.Is(err, errdef.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := map[string][]byte{}
	for name, d := range before {
		if files[name] != nil {
			continue
		}
		if all[name], err = fetch(ctx, p, d); err != nil {
			return err
		}
	}
	for name, content := range files {
		all[name] = bytes.Clone(content)
	}
	prune(all)
	i, err := bundle.Trust(folder, all)
	if err != nil {
		return err
	}
	if _, _, err := bundle.ParseTrust(i.Manifest.Content); err != nil { // what can't be read again is not written
		return err
	}
	return p.put(ctx, i, bundle.TrustTag(folder))
}

// keptVersions is how many versions of a role stay. A node reads the newest, or the one before while a push is under way;
// of roots it needs every one.
const keptVersions = 8

// prune forgets versions of roles that nobody asks for any more: each refreshing adds one.
func prune(files map[string][]byte) {
	versions := map[string][]int{}
	for name := range files {
		number, role, _ := strings.Cut(name, ".")
		if n, err := strconv.Atoi(number); err == nil && role != "root.json" {
			versions[role] = append(versions[role], n)
		}
	}
	for role, all := range versions {
		slices.Sort(all)
		for _, n := range all[:max(0, len(all)-keptVersions)] {
			delete(files, strconv.Itoa(n)+"."+role)
		}
	}
}
