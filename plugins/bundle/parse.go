package bundle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layer is where an image has its module.
type Layer struct {
	Descriptor  ocispec.Descriptor
	Annotations map[string]string // of the manifest
	form        form
}

// IsModule reports whether the layer's bytes are the module's, so that its digest is the module's.
func (l Layer) IsModule() bool { return l.form == plain }

// Module takes the module out of the layer's content, which has been checked against its digest.
func (l Layer) Module(content []byte) ([]byte, error) {
	if l.form == plain {
		return content, nil
	}
	return fromTarGzip(content)
}

// ParseArtefact finds the module's layer in a manifest. It takes the CNCF layout, the older media types, and the compat form,
// an image with one file in a tar; always exactly one layer.
func ParseArtefact(raw []byte) (Layer, error) {
	const what = "read the artefact's manifest"
	m, err := parseManifest(what, raw)
	if err != nil {
		return Layer{}, err
	}
	if m.ArtifactType == ArtifactTypeTrust || m.ArtifactType == ArtifactTypeDelta {
		return Layer{}, badForm(what, "it is "+m.ArtifactType+", and no module")
	}
	if len(m.Layers) != 1 {
		return Layer{}, badForm(what, fmt.Sprintf("it has %d layers, and a Wasm artefact has one", len(m.Layers)))
	}
	l := Layer{Descriptor: m.Layers[0], Annotations: m.Annotations}
	var known bool
	if l.form, known = forms[l.Descriptor.MediaType]; !known {
		return Layer{}, badForm(what, fmt.Sprintf("its layer is %q, and no Wasm module", clip(l.Descriptor.MediaType)))
	}
	limit := int64(MaxModuleBytes)
	if l.form != plain {
		limit = maxLayerBytes
	}
	return l, checkDescriptor(what, l.Descriptor, limit)
}

// ParseDelta finds the delta's layer in a manifest.
func ParseDelta(raw []byte) (ocispec.Descriptor, error) {
	const what = "read the delta's manifest"
	m, err := parseManifest(what, raw)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if m.ArtifactType != ArtifactTypeDelta || len(m.Layers) != 1 || m.Layers[0].MediaType != MediaTypeDelta {
		return ocispec.Descriptor{}, badForm(what, "it is no delta")
	}
	return m.Layers[0], checkDescriptor(what, m.Layers[0], MaxModuleBytes)
}

// ParseTrust lists the metadata files of a manifest by name, and tells their folder.
func ParseTrust(raw []byte) (folder string, files map[string]ocispec.Descriptor, err error) {
	const what = "read the manifest of the trust metadata"
	m, err := parseManifest(what, raw)
	if err != nil {
		return "", nil, err
	}
	if m.ArtifactType != ArtifactTypeTrust {
		return "", nil, badForm(what, "it is no trust metadata")
	}
	if len(m.Layers) > maxTrustFiles {
		return "", nil, tooLarge(what, fmt.Sprintf("it names %d files", len(m.Layers)))
	}
	files = make(map[string]ocispec.Descriptor, len(m.Layers))
	for _, l := range m.Layers {
		name := l.Annotations[ocispec.AnnotationTitle]
		if _, twice := files[name]; twice || !validName(name) || l.MediaType != MediaTypeTrust {
			return "", nil, badForm(what, fmt.Sprintf("its part %q is no metadata file, or there twice", clip(name)))
		}
		if err := checkDescriptor(what, l, maxMetadataBytes); err != nil {
			return "", nil, err
		}
		files[name] = l
	}
	folder = m.Annotations[AnnotationFolder]
	if folder != "" && !validPath(folder) {
		return "", nil, badForm(what, fmt.Sprintf("its folder is %q", clip(folder)))
	}
	return folder, files, nil
}

func parseManifest(what string, raw []byte) (m ocispec.Manifest, err error) {
	if len(raw) > MaxManifestBytes {
		return m, tooLarge(what, fmt.Sprintf("it has %d bytes", len(raw)))
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, badForm(what, "it is no JSON: "+err.Error())
	}
	if m.SchemaVersion != 2 || m.MediaType != "" && !slices.Contains(ManifestTypes, m.MediaType) {
		return m, badForm(what, fmt.Sprintf("it is no image manifest but %q", clip(m.MediaType)))
	}
	return m, nil
}

// checkDescriptor refuses, before anything is fetched, what would be refused afterwards.
func checkDescriptor(what string, d ocispec.Descriptor, limit int64) error {
	if err := d.Digest.Validate(); err != nil || d.Digest.Algorithm() != "sha256" {
		return badForm(what, fmt.Sprintf("%q is no SHA-256 digest", clip(string(d.Digest))))
	}
	if d.Size <= 0 {
		return badForm(what, fmt.Sprintf("its part has %d bytes", d.Size))
	}
	if d.Size > limit {
		return tooLarge(what, fmt.Sprintf("its part has %d bytes, %d are taken", d.Size, limit))
	}
	return nil
}

const maxNameBytes = 100

// validName reports whether a metadata file may be called so.
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

func validPath(path string) bool {
	parts := strings.Split(path, "/")
	for _, p := range parts {
		if !validName(p) {
			return false
		}
	}
	return len(parts) <= 4
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
