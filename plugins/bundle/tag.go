package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const maxTagBytes = 128

// TrustTag is the tag under which a registry has the metadata of a folder: "trust", "trust.images",
// "trust.director.node-7". A folder that has characters which a tag can't have gets a tag made of its digest; the
// image itself says which folder it is of.
func TrustTag(folder string) string {
	if folder == "" {
		return "trust"
	}
	tag := "trust." + strings.ReplaceAll(folder, "/", ".")
	if len(tag) <= maxTagBytes && !strings.ContainsRune(tag, '+') {
		return tag
	}
	sum := sha256.Sum256([]byte(folder))
	return "trust.x-" + hex.EncodeToString(sum[:16])
}

// VersionTag is the tag of a version. Tags can't have the "+" of build metadata.
func VersionTag(version string) string { return strings.ReplaceAll(version, "+", "_") }

func sortByTag(all []ocispec.Descriptor) {
	slices.SortFunc(all, func(a, b ocispec.Descriptor) int {
		return strings.Compare(a.Annotations[ocispec.AnnotationRefName], b.Annotations[ocispec.AnnotationRefName])
	})
}
