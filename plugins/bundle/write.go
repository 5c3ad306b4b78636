package bundle

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Write writes a bundle file. The same bundle gives the same bytes.
func Write(w io.Writer, b *Bundle) error {
	files, err := b.layout()
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	names := append([]string{ocispec.ImageLayoutFile, ocispec.ImageIndexFile}, slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool {
		return name == ocispec.ImageLayoutFile || name == ocispec.ImageIndexFile
	})...)
	for _, name := range names {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		if _, err := t.Write(files[name]); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}
