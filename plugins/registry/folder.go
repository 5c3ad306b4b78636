package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/store"
)

// folder is an OCI image layout on a disk, one that people carry around perhaps. RATIONALE.md says why it is not
// oras-go's.
type folder struct{ dir string }

const maxIndexBytes = 4 << 20

func (f *folder) name() string { return f.dir }

// read reads a regular file of the layout. It follows no link out of the folder and does not wait for pipes.
func (f *folder) read(name string, limit int64) (raw []byte, err error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = lied(name, fmt.Sprintf("it has more than %d bytes", limit))
	}
	return raw, err
}

func (f *folder) open(name string) (*os.File, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return store.OpenRegular(root, name)
}

func blobPath(d digest.Digest) string { return path.Join("blobs", "sha256", d.Encoded()) }

// index reads index.json. A folder that has none, or is not there, is empty.
func (f *folder) index() (x ocispec.Index, err error) {
	raw, err := f.read(ocispec.ImageIndexFile, maxIndexBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &x)
	}
	if err == nil && x.SchemaVersion != 2 {
		err = errors.New("its index.json is no image index")
	}
	return x, err
}

func (f *folder) find(match func(ocispec.Descriptor) bool) (ocispec.Descriptor, error) {
	x, err := f.index()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, d := range x.Manifests {
		if match(d) && digestForm.MatchString(d.Digest.String()) && d.Size > 0 && d.Size <= bundle.MaxManifestBytes {
			return d, nil
		}
	}
	return ocispec.Descriptor{}, fs.ErrNotExist
}

func (f *folder) manifest(_ context.Context, target string) (ocispec.Descriptor, []byte, error) {
	d, err := f.find(func(d ocispec.Descriptor) bool {
		return target == d.Digest.String() || target == d.Annotations[ocispec.AnnotationRefName]
	})
	if err != nil {
		return d, nil, err
	}
	raw, err := f.read(blobPath(d.Digest), d.Size)
	if err == nil && (int64(len(raw)) != d.Size || digest.FromBytes(raw) != d.Digest) {
		err = lied(d.Digest.String(), "the file has other bytes")
	}
	return d, raw, err
}

func (f *folder) blob(_ context.Context, d ocispec.Descriptor, offset int64) (io.ReadCloser, int64, error) {
	file, err := f.open(blobPath(d.Digest))
	if err != nil {
		return nil, 0, err
	}
	_, err = file.Seek(offset, io.SeekStart)
	return file, offset, err
}

func (f *folder) referrers(ctx context.Context, to ocispec.Descriptor, artifactType string) (all []ocispec.Descriptor, err error) {
	x, err := f.index()
	if err != nil {
		return nil, err
	}
	for _, d := range x.Manifests {
		if d.ArtifactType != artifactType || len(all) >= maxReferrers {
			continue
		}
		_, raw, err := f.manifest(ctx, d.Digest.String())
		if err != nil {
			return nil, err
		}
		var m ocispec.Manifest
		if json.Unmarshal(raw, &m) == nil && m.Subject != nil && m.Subject.Digest == to.Digest {
			d.Annotations = m.Annotations
			all = append(all, d)
		}
	}
	return all, nil
}

func (f *folder) tags(context.Context) (all []string, err error) {
	x, err := f.index()
	if err != nil {
		return nil, err
	}
	for _, d := range x.Manifests {
		if tag := d.Annotations[ocispec.AnnotationRefName]; tagForm.MatchString(tag) {
			all = append(all, tag)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// put writes the blobs first and the index last, each atomically, so that a reader finds whole images only.
func (f *folder) put(_ context.Context, i bundle.Image, tag string) (err error) {
	if err := os.MkdirAll(filepath.Join(f.dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, b := range append(slices.Clone(i.Blobs), i.Manifest) {
		if err := f.write(blobPath(b.Descriptor.Digest), b.Content); err != nil {
			return err
		}
	}
	if err := f.write(ocispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"`+ocispec.ImageLayoutVersion+`"}`)); err != nil {
		return err
	}
	x, err := f.index()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(withImage(x, i.Manifest.Descriptor, tag), "", "\t")
	if err != nil {
		return err
	}
	return f.write(ocispec.ImageIndexFile, raw)
}

func (f *folder) write(name string, content []byte) error {
	file := filepath.Join(f.dir, name)
	if have, err := f.read(name, int64(len(content))); err == nil && string(have) == string(content) {
		return nil
	}
	return store.ReplaceFile(file, content, 0o644) // others pull from it
}

// withImage is the index with an image, whose tag no other image has any more.
func withImage(x ocispec.Index, d ocispec.Descriptor, tag string) ocispec.Index {
	same := func(other ocispec.Descriptor) bool { return other.Digest == d.Digest }
	if tag == "" && slices.ContainsFunc(x.Manifests, same) {
		return x
	}
	d.Annotations = nil
	if tag != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	}
	kept := slices.DeleteFunc(x.Manifests, func(other ocispec.Descriptor) bool {
		name := other.Annotations[ocispec.AnnotationRefName]
		return name == "" && same(other) || name != "" && name == tag
	})
	x.Manifests = append(kept, d)
	return x
}

// lock keeps two writers from each other. The kernel gives it up when the process ends, however it ends.
func (f *folder) lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(f.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, err
	}
	store.Sweep(f.dir)
	store.Sweep(filepath.Join(f.dir, "blobs", "sha256"))
	return func() { _ = file.Close() }, nil
}
