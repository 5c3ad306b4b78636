package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgehold/edgehold/wasmabi"
)

// Blob is content with its descriptor.
type Blob struct {
	Descriptor ocispec.Descriptor
	Content    []byte
}

// Image is a manifest with everything that it names.
type Image struct {
	Manifest Blob
	Blobs    []Blob // configuration first
}

// newBlob describes content.
func newBlob(mediaType string, content []byte, annotations map[string]string) Blob {
	return Blob{ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content)), Annotations: annotations,
	}, content}
}

// wasmConfig is the configuration of the CNCF layout.
type wasmConfig struct {
	Created      string   `json:"created"`
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	LayerDigests []string `json:"layerDigests"`
}

// Artefact is the image of a module. One module gives one image, whoever makes it and whenever: that lets a mirror make it
// again of the module alone.
func Artefact(module []byte) (Image, error) {
	layer := newBlob(MediaTypeModule, module, nil)
	annotations := map[string]string{AnnotationDigest: layer.Descriptor.Digest.String()}
	if m, err := wasmabi.ReadManifest(module); err == nil {
		annotate(annotations, m)
		layer.Descriptor.Annotations = map[string]string{ocispec.AnnotationTitle: m.Name + ".wasm"}
	}
	config, err := json.Marshal(wasmConfig{
		Created: "1970-01-01T00:00:00Z", Architecture: "wasm", OS: "wasip1", LayerDigests: []string{layer.Descriptor.Digest.String()},
	})
	if err != nil {
		return Image{}, fmt.Errorf("describe the module: %w", err)
	}
	return newImage(ocispec.Manifest{Annotations: annotations}, newBlob(MediaTypeConfig, config, nil), layer)
}

func annotate(annotations map[string]string, m *wasmabi.Manifest) {
	annotations[ocispec.AnnotationTitle] = m.Name
	annotations[ocispec.AnnotationVersion] = m.Version
	annotations[AnnotationKind] = m.Kind
	annotations[AnnotationLayer] = m.Layer
	annotations[AnnotationABI] = strconv.Itoa(int(m.ABI))
	if m.Description != "" {
		annotations[ocispec.AnnotationDescription] = m.Description
	}
}

// Delta is the image of a delta, which refers to the image whose module it makes.
func Delta(subject ocispec.Descriptor, base, result string, delta []byte) (Image, error) {
	subject.Annotations = nil
	return newImage(ocispec.Manifest{
		ArtifactType: ArtifactTypeDelta, Subject: &subject,
		Annotations: map[string]string{AnnotationBase: base, AnnotationResult: result, AnnotationBytes: strconv.Itoa(len(delta))},
	}, emptyConfig(), newBlob(MediaTypeDelta, delta, nil))
}

// Trust is the image of the metadata files of one folder of a published tree; their names are without it.
func Trust(folder string, files map[string][]byte) (Image, error) {
	var layers []Blob
	for _, name := range slices.Sorted(maps.Keys(files)) {
		layers = append(layers, newBlob(MediaTypeTrust, files[name], map[string]string{ocispec.AnnotationTitle: name}))
	}
	return newImage(ocispec.Manifest{ArtifactType: ArtifactTypeTrust, Annotations: map[string]string{AnnotationFolder: folder}}, emptyConfig(), layers...)
}

func emptyConfig() Blob {
	return newBlob(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data, nil)
}

func newImage(m ocispec.Manifest, config Blob, layers ...Blob) (Image, error) {
	m.Versioned, m.MediaType, m.Config = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest, config.Descriptor
	for _, l := range layers {
		m.Layers = append(m.Layers, l.Descriptor)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return Image{}, fmt.Errorf("write a manifest: %w", err)
	}
	manifest := newBlob(m.MediaType, raw, m.Annotations)
	manifest.Descriptor.ArtifactType = m.ArtifactType
	return Image{manifest, append([]Blob{config}, layers...)}, nil
}
