package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const reading = "read the bundle"

// Is reports whether a file that begins with head is a bundle, or a tar at least, and no module.
func Is(head []byte) bool { // the magic of POSIX tar, XCU pax "ustar Interchange Format"
	return len(head) >= 262 && string(head[257:262]) == "ustar" && !bytes.HasPrefix(head, []byte("\x00asm"))
}

// Read reads a bundle file: everything in it is bounded, has to be what its digest says, and stays in memory. Nothing is
// unpacked, so names can't lead anywhere. Images that are neither module nor trust metadata are left out.
func Read(r io.Reader) (*Bundle, error) {
	files, err := readFiles(r)
	if err != nil {
		return nil, err
	}
	var x ocispec.Index
	if err := json.Unmarshal(files[ocispec.ImageIndexFile], &x); err != nil || x.SchemaVersion != 2 {
		return nil, badForm(reading, "its index.json is missing or no image index")
	}
	if len(x.Manifests) > maxTrustFiles {
		return nil, tooLarge(reading, fmt.Sprintf("its index names %d images", len(x.Manifests)))
	}
	u := unpacking{files: files, bundle: Bundle{Trust: map[string][]byte{}}}
	for _, d := range x.Manifests {
		if err := u.take(d); err != nil {
			return nil, err
		}
	}
	if u.bundle.Module == nil {
		return nil, badForm(reading, "there is no module in it")
	}
	return &u.bundle, nil
}

// unpacking is a bundle that is being read.
type unpacking struct {
	files      map[string][]byte
	bundle     Bundle
	trustBytes int64 // of all metadata, by what the descriptors say
}

// allowed are the names that a layout can have.
var allowed = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

const maxFiles = 3 * maxTrustFiles

func readFiles(r io.Reader) (map[string][]byte, error) {
	t := tar.NewReader(io.LimitReader(r, MaxBytes))
	files := map[string][]byte{}
	left := int64(MaxBytes)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, badForm(reading, "it is no whole tar: "+err.Error())
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if files[h.Name] != nil || h.Typeflag != tar.TypeReg || !allowed.MatchString(h.Name) || len(files) >= maxFiles {
			return nil, badForm(reading, fmt.Sprintf("its entry %q is there twice, or has no place in an image layout", clip(h.Name)))
		}
		content, err := readAll(t, reading, left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(content))
		files[h.Name] = content
	}
}

// take takes an image of the index.
func (u *unpacking) take(d ocispec.Descriptor) error {
	raw, err := blob(u.files, d)
	if err != nil {
		return err
	}
	var kind struct {
		ArtifactType string                     `json:"artifactType"`
		Config       struct{ MediaType string } `json:"config"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return badForm(reading, "a manifest is no JSON: "+err.Error())
	}
	switch kind.ArtifactType {
	case ArtifactTypeTrust:
		return u.takeTrust(raw)
	case "", MediaTypeModule, MediaTypeConfig:
		return u.takeModule(raw)
	}
	return nil
}

func (u *unpacking) takeModule(manifest []byte) error {
	if u.bundle.Module != nil {
		return badForm(reading, "there are two modules in it")
	}
	l, err := ParseArtefact(manifest)
	if err != nil {
		return err
	}
	content, err := blob(u.files, l.Descriptor)
	if err != nil {
		return err
	}
	u.bundle.Module, err = l.Module(content)
	return err
}

func (u *unpacking) takeTrust(manifest []byte) error {
	folder, parts, err := ParseTrust(manifest)
	if err != nil {
		return err
	}
	for base, d := range parts {
		name := path.Join(folder, base)
		if u.bundle.Trust[name] != nil {
			return badForm(reading, fmt.Sprintf("%s is there twice", name))
		}
		if u.trustBytes += d.Size; u.trustBytes > MaxBytes { // many names for one blob would have it read as many times
			return tooLarge(reading, fmt.Sprintf("its trust metadata has more than %d bytes", int64(MaxBytes)))
		}
		if u.bundle.Trust[name], err = blob(u.files, d); err != nil {
			return err
		}
	}
	return nil
}

// blob returns the content of a descriptor, checked.
func blob(files map[string][]byte, d ocispec.Descriptor) ([]byte, error) {
	if err := checkDescriptor(reading, d, MaxBytes); err != nil {
		return nil, err
	}
	content, ok := files[blobPath(d.Digest)]
	if !ok {
		return nil, &Error{Code: CodeMissing, What: reading, Why: "it lacks " + d.Digest.String(), Hint: "copy the file again; it may have been cut"}
	}
	if int64(len(content)) != d.Size || digest.FromBytes(content) != d.Digest {
		return nil, &Error{Code: CodeMismatch, What: reading, Why: "its part " + d.Digest.String() + " has other bytes than it should have",
			Hint: "the file is damaged or was tampered with: fetch it again from a source that you trust"}
	}
	return content, nil
}
