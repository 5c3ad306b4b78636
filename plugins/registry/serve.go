package registry

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
)

// Serve is a read-only registry of a folder in the form of an OCI image layout: what lies in it is in every repository. It
// asks nobody who they are.
func Serve(dir string) http.Handler {
	f := &served{folder{filepath.Clean(dir)}}
	return readOnly(map[string]handler{"manifests": f.manifest, "blobs": f.blob, "referrers": f.referrers, "tags": f.tags})
}

type served struct{ folder folder }

func (s *served) manifest(ctx context.Context, _, target string) (reply, error) {
	d, raw, err := s.folder.manifest(ctx, target)
	return replyOf(bundle.Blob{Descriptor: d, Content: raw}), err
}

func (s *served) blob(_ context.Context, _, target string) (reply, error) {
	if !digestForm.MatchString(target) {
		return reply{}, fs.ErrNotExist
	}
	raw, err := s.folder.read(blobPath(digest.Digest(target)), bundle.MaxBytes)
	return reply{"application/octet-stream", target, raw}, err
}

func (s *served) referrers(ctx context.Context, _, target string) (reply, error) {
	all, err := s.folder.referrers(ctx, ocispec.Descriptor{Digest: digest.Digest(target)}, bundle.ArtifactTypeDelta)
	if err != nil {
		return reply{}, err
	}
	return referrerList(append([]ocispec.Descriptor{}, all...))
}

func (s *served) tags(ctx context.Context, name, target string) (reply, error) {
	all, err := s.folder.tags(ctx)
	if err != nil || target != "list" {
		return reply{}, errors.Join(err, fs.ErrNotExist)
	}
	return tagList(name, append([]string{}, all...))
}
