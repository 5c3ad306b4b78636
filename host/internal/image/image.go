// Package image holds the memory that every instance of one module starts from, and hands out linear memories that
// begin as that image and can be put back to it. It knows nothing of WebAssembly beyond the size of a memory.
package image

import (
	"errors"
	"fmt"
)

// ErrLimit is returned when an image does not fit into the memory an instance may have.
var ErrLimit = errors.New("image is larger than the memory limit")

// Image is the immutable content of a frozen memory. Close it only after every Memory made from it was freed.
type Image struct {
	size   uint64
	source source
}

// source makes the regions that memories live in. There are two: copy-on-write mappings of one file, and plain
// copies.
type source interface {
	// open reserves limit bytes of which the first ones read as the image and the rest as zero.
	open(limit uint64) (region, error)
	close() error
}

// region is the storage of one memory.
type region interface {
	// resize returns the first size bytes; size never exceeds the limit the region was opened with. Earlier slices
	// are invalid afterwards.
	resize(size uint64) []byte
	// reset puts the first size bytes back to the image.
	reset() error
	free() error
}

// New keeps content in the cheapest way this system offers.
func New(content []byte) (*Image, error) {
	s, err := newSource(content)
	if err != nil {
		return nil, fmt.Errorf("freeze %d bytes of memory: %w", len(content), err)
	}
	return &Image{size: uint64(len(content)), source: s}, nil
}

// NewCopied keeps content as an ordinary slice and copies it for every memory: what New falls back to where there are no
// copy-on-write mappings.
func NewCopied(content []byte) *Image {
	return &Image{size: uint64(len(content)), source: newCopies(content)}
}

// Size returns the image's length in bytes.
func (i *Image) Size() uint64 { return i.size }

// Close gives the image up.
func (i *Image) Close() error { return i.source.close() }

// Memory returns a new memory that starts as the image and may grow to limit bytes.
func (i *Image) Memory(limit uint64) (*Memory, error) {
	if i.size > limit {
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrLimit, i.size, limit)
	}
	r, err := i.source.open(limit)
	if err != nil {
		return nil, fmt.Errorf("map a memory of up to %d bytes: %w", limit, err)
	}
	return &Memory{region: r, start: i.size, limit: limit}, nil
}
