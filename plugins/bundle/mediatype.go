package bundle

import ocispec "github.com/opencontainers/image-spec/specs-go/v1"

// Media types of what is written.
const (
	MediaTypeConfig = "application/vnd.wasm.config.v0+json"
	MediaTypeModule = "application/wasm"

	ArtifactTypeTrust = "application/vnd.edgehold.trust.v1"
	MediaTypeTrust    = "application/vnd.edgehold.trust.metadata.v1+json"

	ArtifactTypeDelta = "application/vnd.edgehold.delta.v1"
	MediaTypeDelta    = "application/vnd.edgehold.delta.v1+zstd" // what `zstd --patch-from` makes
)

// Annotations of our own. They help to choose and to look at; nothing is believed because of one.
const (
	AnnotationKind   = "edgehold.kind"
	AnnotationLayer  = "edgehold.layer"
	AnnotationABI    = "edgehold.abi"
	AnnotationDigest = "edgehold.digest" // of the module
	AnnotationFolder = "edgehold.trust.folder"
	AnnotationBase   = "edgehold.delta.base"   // digest of the module that is needed
	AnnotationResult = "edgehold.delta.result" // digest of the module that it gives
	AnnotationBytes  = "edgehold.delta.bytes"  // length of the delta
)

// Media types that are accepted besides.
const (
	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeOldModule      = "application/vnd.wasm.content.layer.v1+wasm"
	mediaTypeOlderModule    = "application/vnd.module.wasm.content.layer.v1+wasm"
	mediaTypeDockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// ManifestTypes are the media types of manifests that [ParseArtefact] reads.
var ManifestTypes = []string{ocispec.MediaTypeImageManifest, mediaTypeDockerManifest}

// form is how a layer holds the module.
type form int

const (
	plain form = iota
	tarGzip
)

// forms are the layers in use. The last two are the "compat" form of Istio and Envoy: an image with one file.
var forms = map[string]form{
	MediaTypeModule: plain, mediaTypeOldModule: plain, mediaTypeOlderModule: plain,
	ocispec.MediaTypeImageLayerGzip: tarGzip, mediaTypeDockerLayer: tarGzip,
}

// Bounds of what is read.
const (
	MaxModuleBytes   = 4 << 20 // what a node takes
	MaxManifestBytes = 1 << 20
	maxLayerBytes    = MaxModuleBytes + 64<<10 // of a layer that wraps a module
	maxTrustFiles    = 512
	maxTrustBytes    = 1 << 20 // in a bundle, together and with what holds it together
	maxMetadataBytes = 1 << 20 // of one file
)
