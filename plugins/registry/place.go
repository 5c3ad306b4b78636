package registry

import (
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/plugins/bundle"
)

// place is where artefacts are: a registry's repository or a folder. What is absent is errdef.ErrNotFound or
// fs.ErrNotExist.
type place interface {
	// manifest returns a manifest by tag or digest, no longer than bundle.MaxManifestBytes and checked against a digest.
	manifest(ctx context.Context, target string) (ocispec.Descriptor, []byte, error)
	// blob opens a blob at an offset, or at its beginning where that can't be had: it says where. Nothing is checked.
	blob(ctx context.Context, d ocispec.Descriptor, offset int64) (content io.ReadCloser, start int64, err error)
	// referrers lists the images of a type that refer to one.
	referrers(ctx context.Context, d ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error)
	// tags lists the tags, sorted.
	tags(ctx context.Context) ([]string, error)
	// put stores an image, under a tag unless that is empty.
	put(ctx context.Context, i bundle.Image, tag string) error
	// name is for messages.
	name() string
}
