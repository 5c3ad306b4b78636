package image

import "slices"

// copies is the source that works everywhere: each memory is a slice of its own, a reset is a copy.
type copies struct{ content []byte }

func newCopies(content []byte) *copies { return &copies{slices.Clone(content)} }

func (c *copies) open(uint64) (region, error) { return &copied{image: c.content}, nil }

func (c *copies) close() error {
	c.content = nil
	return nil
}

type copied struct {
	image []byte
	bytes []byte
}

func (c *copied) resize(size uint64) []byte {
	old := c.bytes
	c.bytes = make([]byte, size)
	if old == nil {
		old = c.image
	}
	copy(c.bytes, old)
	return c.bytes
}

func (c *copied) reset() error {
	n := copy(c.bytes, c.image)
	clear(c.bytes[n:])
	return nil
}

func (c *copied) free() error {
	c.image, c.bytes = nil, nil
	return nil
}
