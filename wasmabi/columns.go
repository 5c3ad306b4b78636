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
	if len(v) == 0 {
		return append(b, majorTag|24, tagUint32LE, majorBytes)
	}
	b = appendHead(append(b, majorTag|24, tagUint32LE), majorBytes, uint64(len(v))*4)
	return appendRaw32(b, v)
}

func appendFloat64s(b []byte, v []float64) []byte {
	if len(v) == 0 {
		return append(b, majorTag|24, tagFloat64LE, majorBytes)
	}
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

// column reads a typed array of elements of width bytes; its bytes alias the input. Messages consist of these, and
// calls are dear in a Go guest, so the usual heads are read on the spot.
func (r *reader) column(tag byte, width, most int) []byte {
	b := r.b[r.at:]
	if len(b) < 3 || b[0] != majorTag|24 || b[1] != tag {
		return r.failColumn("expected a typed array with tag ", int(tag))
	}
	n, head := int(b[2])-majorBytes, 3
	switch {
	case n >= 0 && n < 24:
	case n == 24 && len(b) > 3 && b[3] >= 24:
		n, head = int(b[3]), 4
	case n == 25 && len(b) > 4 && b[3] > 0:
		n, head = int(b[3])<<8|int(b[4]), 5
	default:
		r.at += 2
		n, head = r.columnLength(), 0
		b = r.b[r.at:]
	}
	if n > len(b)-head {
		return r.failColumn("typed array is longer than the message by ", n-len(b)+head)
	}
	if n&(width-1) != 0 { // width is a power of two
		return r.failColumn("typed array is not a multiple of ", width)
	}
	if n > most*width {
		return r.failColumn("typed array has more elements than ", most)
	}
	r.at += head + n
	return b[head : head+n]
}

// columnLength reads a head that is longer, or wrong.
func (r *reader) columnLength() int { return int(min(r.expect(majorBytes), math.MaxInt32)) }

func (r *reader) failColumn(problem string, n int) []byte {
	r.fail(problem + decimal(uint64(n)))
	return nil
}

// uint32s reads a column into dst, whose capacity is used again.
func (r *reader) uint32s(dst []uint32, most int) []uint32 {
	raw := r.column(tagUint32LE, 4, most)
	if len(raw) == 0 {
		return dst[:0]
	}
	dst = resize(dst, len(raw)/4)
	copyRaw32(dst, raw)
	return dst
}

// float64s reads a column into dst, whose capacity is used again.
func (r *reader) float64s(dst []float64, most int) []float64 {
	raw := r.column(tagFloat64LE, 8, most)
	if len(raw) == 0 {
		return dst[:0]
	}
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
