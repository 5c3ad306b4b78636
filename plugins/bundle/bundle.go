package bundle

import (
	"encoding/json"
	"fmt"
	"path"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxBytes bounds a bundle file.
const MaxBytes = MaxModuleBytes + maxTrustBytes

// Bundle is a module with what vouches for it.
type Bundle struct {
	Module []byte
	// Trust is metadata by its name in a published tree ("images/timestamp.json"); empty for an unsigned module.
	Trust map[string][]byte
}

// blobPath is where an OCI image layout has a blob.
func blobPath(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// index lists what a layout holds, by tag.
type index struct {
	entries []ocispec.Descriptor
	files   map[string][]byte
}

func (x *index) add(i Image, tag string) {
	d := i.Manifest.Descriptor
	d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	x.entries = append(x.entries, d)
	for _, b := range append(i.Blobs, i.Manifest) {
		x.files[blobPath(b.Descriptor.Digest)] = b.Content
	}
}

// layout returns the files of the image layout.
func (b *Bundle) layout() (map[string][]byte, error) {
	if len(b.Module) == 0 || len(b.Module) > MaxModuleBytes {
		return nil, tooLarge("write the bundle", fmt.Sprintf("its module has %d bytes", len(b.Module)))
	}
	x := index{files: map[string][]byte{}}
	artefact, err := Artefact(b.Module)
	if err != nil {
		return nil, err
	}
	x.add(artefact, "module")
	for folder, files := range Folders(b.Trust) {
		trust, err := Trust(folder, files)
		if err != nil {
			return nil, err
		}
		if _, _, err := ParseTrust(trust.Manifest.Content); err != nil { // what can't be read again is not written
			return nil, err
		}
		x.add(trust, TrustTag(folder))
	}
	return x.files, x.close()
}

func (x *index) close() error {
	sortByTag(x.entries)
	raw, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: x.entries})
	if err != nil {
		return fmt.Errorf("write the index: %w", err)
	}
	x.files[ocispec.ImageIndexFile] = raw
	x.files[ocispec.ImageLayoutFile] = []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`)
	return nil
}

// Folders splits metadata by the folders of its names.
func Folders(files map[string][]byte) map[string]map[string][]byte {
	all := map[string]map[string][]byte{}
	for name, content := range files {
		folder, base := path.Split(name)
		folder = path.Clean(folder)
		if folder == "." {
			folder = ""
		}
		if all[folder] == nil {
			all[folder] = map[string][]byte{}
		}
		all[folder][base] = content
	}
	return all
}
