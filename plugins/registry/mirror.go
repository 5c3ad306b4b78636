package registry

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
)

// Edition is a version of a module that a mirror hands out.
type Edition struct{ Version, Digest string }

// Shelf is where a mirror takes what it hands out.
type Shelf interface {
	// Editions lists the versions of what a repository's last part names, the newest first; fs.ErrNotExist if there are none.
	Editions(ctx context.Context, name string) ([]Edition, error)
	// Module returns the module of a digest that Editions has named.
	Module(digest string) ([]byte, error)
	// Trust returns the trust metadata that this node goes by, named as in a published tree; nil if there is none.
	Trust(ctx context.Context) (map[string][]byte, error)
}

// Mirror is a read-only registry (OCI distribution specification 1.1, "Pull", "Listing tags", "Listing referrers") made of
// what a node has: its modules under the last part of the repository's name, with their versions as tags, and the deltas
// between them. The images are made again of the modules and equal those that [Client.Push] made, digests included.
//
// It asks nobody who they are. Whoever pulls from it judges what comes by digest and signature, as with any registry.
func Mirror(s Shelf) http.Handler {
	m := &mirror{shelf: s, catalogue: newCatalogue(s)}
	return readOnly(map[string]handler{"manifests": m.manifest, "blobs": m.blob, "referrers": m.referrers, "tags": m.tags})
}

type mirror struct {
	shelf     Shelf
	catalogue *catalogue
}

func (m *mirror) manifest(ctx context.Context, name, target string) (reply, error) {
	if tag := strings.HasPrefix(target, "trust"); tag {
		return m.trust(ctx, func(i bundle.Image, tag string) (reply, bool) { return replyOf(i.Manifest), tag == target })
	}
	all, err := m.catalogue.images(ctx, name)
	if err != nil {
		return reply{}, err
	}
	for _, i := range all {
		if i.tag == target || i.Manifest.Descriptor.Digest.String() == target {
			return replyOf(i.Manifest), nil
		}
	}
	if d, ok := m.catalogue.delta(func(i bundle.Image) bool { return i.Manifest.Descriptor.Digest.String() == target }); ok {
		return replyOf(d.Manifest), nil
	}
	return m.trust(ctx, func(i bundle.Image, _ string) (reply, bool) {
		return replyOf(i.Manifest), i.Manifest.Descriptor.Digest.String() == target
	})
}

func (m *mirror) blob(ctx context.Context, name, target string) (reply, error) {
	all, err := m.catalogue.images(ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return reply{}, err
	}
	for _, i := range all {
		if i.module == target {
			content, err := m.shelf.Module(target)
			return reply{"application/octet-stream", target, content}, err
		}
		if c := i.Blobs[0]; c.Descriptor.Digest.String() == target { // the configuration
			return replyOf(c), nil
		}
	}
	has := func(i bundle.Image) (reply, bool) {
		for _, b := range i.Blobs {
			if b.Descriptor.Digest.String() == target {
				return reply{"application/octet-stream", target, b.Content}, true
			}
		}
		return reply{}, false
	}
	if d, ok := m.catalogue.delta(func(i bundle.Image) bool { _, ok := has(i); return ok }); ok {
		a, _ := has(d)
		return a, nil
	}
	return m.trust(ctx, func(i bundle.Image, _ string) (reply, bool) { return has(i) })
}

func (m *mirror) tags(ctx context.Context, name, target string) (reply, error) {
	all, err := m.catalogue.images(ctx, name)
	if err != nil || target != "list" {
		return reply{}, errors.Join(err, fs.ErrNotExist)
	}
	tags := []string{}
	for _, i := range all {
		tags = append(tags, i.tag)
	}
	slices.Sort(tags)
	return tagList(name, tags)
}

func (m *mirror) referrers(ctx context.Context, name, target string) (reply, error) {
	all, err := m.catalogue.deltas(ctx, name, target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return reply{}, err
	}
	found := []ocispec.Descriptor{}
	for _, d := range all {
		found = append(found, d.Manifest.Descriptor)
	}
	return referrerList(found)
}

// trust finds something in the images of the trust metadata, which are small and made anew each time.
func (m *mirror) trust(ctx context.Context, find func(i bundle.Image, tag string) (reply, bool)) (reply, error) {
	files, err := m.shelf.Trust(ctx)
	if err != nil {
		return reply{}, err
	}
	for folder, names := range bundle.Folders(files) {
		i, err := bundle.Trust(folder, names)
		if err != nil {
			return reply{}, err
		}
		if a, ok := find(i, bundle.TrustTag(folder)); ok {
			return a, nil
		}
	}
	return reply{}, fs.ErrNotExist
}
