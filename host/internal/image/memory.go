package image

// Memory is the linear memory of one instance. It has the methods wazero asks of an experimental.LinearMemory. It is
// not safe for use by two goroutines at once.
type Memory struct {
	region  region
	bytes   []byte
	start   uint64
	limit   uint64
	refused bool
}

// Bytes returns the memory as it is now. The slice is invalid after the next growth, Reset or Free, so nobody keeps it.
func (m *Memory) Bytes() []byte { return m.bytes }

// Grew reports whether the memory is larger than its image: a reset cannot shrink it.
func (m *Memory) Grew() bool { return uint64(len(m.bytes)) > m.start }

// Refused reports whether a growth beyond the limit was asked for since the last Reset.
func (m *Memory) Refused() bool { return m.refused }

// Reset makes the memory read as the image again.
func (m *Memory) Reset() error {
	m.refused = false
	return m.region.reset()
}

// Reallocate changes the memory's length and returns it, or nil when size is beyond the limit.
func (m *Memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	m.bytes = m.region.resize(size)
	return m.bytes
}

// Free gives the storage back; the memory is unusable afterwards. It may be called twice.
func (m *Memory) Free() {
	if m.region == nil {
		return
	}
	// The mapping is ours and whole, so the kernel has no reason to refuse; there is nobody to tell if it does.
	_ = m.region.free()
	m.region, m.bytes = nil, nil
}
