package wasmabi

import "math"

// RFC 8746 tags of the two column types.
const (
	tagUint32LE  = 70
	tagFloat64LE = 86
)

// CanonicalNaN is the only bit pattern of NaN that a column may hold. Processors differ in the NaN they compute, and
// a recorded response has to be the same bytes everywhere.
const CanonicalNaN = 0x7ff8000000000000

func appendUint32s(b []byte, v []uint32) []byte {
	b = appendHead(append(b, majorTag|24, tagUint32LE), majorBytes, uint64(len(v))*4)
	return appendRaw32(b, v)
}

func appendFloat64s(b []byte, v []float64) []byte {
	b = appendHead(append(b, majorTag|24, tagFloat64LE), majorBytes, uint64(len(v))*8)
	at := len(b)
	b = appendRaw64(b, v)
	for i, x := range v {
		if x != x {
			putNaN(b[at+i*8:])
		}
	}
	return b
}

func putNaN(b []byte) {
	_ = b[7]
	b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = 0, 0, 0, 0, 0, 0, 0xf8, 0x7f
}

// canonical reports whether every NaN in v has the canonical bits.
func canonical(v []float64) bool {
	for _, x := range v {
		if x != x && math.Float64bits(x) != CanonicalNaN {
			return false
		}
	}
	return true
}

// column reads a typed array of elements of width bytes; its bytes alias the input.
func (r *reader) column(tag byte, width, most int) []byte {
	if len(r.b)-r.at < 2 || r.b[r.at] != majorTag|24 || r.b[r.at+1] != tag {
		r.fail("expected a typed array with tag " + decimal(uint64(tag)))
		return nil
	}
	r.at += 2
	n := r.expect(majorBytes)
	if n > uint64(len(r.b)-r.at) {
		r.fail("typed array is longer than the message")
		return nil
	}
	if n%uint64(width) != 0 {
		r.fail("typed array is not a multiple of " + decimal(uint64(width)) + " bytes")
		return nil
	}
	if n/uint64(width) > uint64(most) {
		r.fail("more than " + decimal(uint64(most)) + " elements")
		return nil
	}
	raw := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return raw
}

// uint32s reads a column into dst, whose capacity is used again.
func (r *reader) uint32s(dst []uint32, most int) []uint32 {
	raw := r.column(tagUint32LE, 4, most)
	dst = resize(dst, len(raw)/4)
	copyRaw32(dst, raw)
	return dst
}

// float64s reads a column into dst, whose capacity is used again.
func (r *reader) float64s(dst []float64, most int) []float64 {
	raw := r.column(tagFloat64LE, 8, most)
	dst = resize(dst, len(raw)/8)
	copyRaw64(dst, raw)
	if !canonical(dst) {
		r.fail("typed array holds a NaN other than 0x7ff8000000000000")
	}
	return dst
}

func resize[T any](dst []T, n int) []T {
	if cap(dst) < n {
		return make([]T, n)
	}
	return dst[:n]
}
