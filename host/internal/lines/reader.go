package lines

import (
	"bytes"
	"encoding/binary"
)

// reader reads little-endian data. After a failure it reads zeros.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) ok() bool  { return !r.failed }
func (r *reader) left() int { return len(r.b) }

func (r *reader) bytes(n uint64) []byte {
	if r.failed || n > uint64(len(r.b)) {
		r.failed, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) sub(n uint32) reader   { return r.sub64(uint64(n)) }
func (r *reader) sub64(n uint64) reader { return reader{b: r.bytes(n), failed: r.failed} }

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// unsigned reads a LEB128. Bits beyond 64 are lost.
func (r *reader) unsigned() (v uint64) {
	for shift := 0; r.ok(); shift += 7 {
		b := r.byte()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b < 0x80 {
			break
		}
	}
	return v
}

func (r *reader) signed() (v int64) {
	for shift := 0; r.ok(); {
		b := r.byte()
		if shift < 64 {
			v |= int64(b&0x7f) << shift
		}
		shift += 7
		if b < 0x80 {
			if b&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			break
		}
	}
	return v
}

// text reads up to a zero.
func (r *reader) text() []byte {
	end := bytes.IndexByte(r.b, 0)
	if r.failed || end < 0 {
		r.failed, r.b = true, nil
		return nil
	}
	b := r.b[:end]
	r.b = r.b[end+1:]
	return b
}
