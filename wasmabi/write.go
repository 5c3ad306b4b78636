package wasmabi

import (
	"math"
)

// CBOR major types, shifted into place.
const (
	majorUint  = 0 << 5
	majorInt   = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorTag   = 6 << 5
	majorOther = 7 << 5
)

const (
	simpleFalse = majorOther | 20
	simpleTrue  = majorOther | 21
	float16Head = majorOther | 25
	float32Head = majorOther | 26
	float64Head = majorOther | 27
)

// appendHead writes a head in its shortest form.
func appendHead(b []byte, major byte, v uint64) []byte {
	switch {
	case v < 24:
		return append(b, major|byte(v))
	case v < 1<<8:
		return append(b, major|24, byte(v))
	case v < 1<<16:
		return append(b, major|25, byte(v>>8), byte(v))
	case v < 1<<32:
		return appendBig32(append(b, major|26), uint32(v))
	}
	return appendBig64(append(b, major|27), v)
}

func appendUint(b []byte, v uint64) []byte { return appendHead(b, majorUint, v) }

func appendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, majorInt, uint64(-1-v))
	}
	return appendHead(b, majorUint, uint64(v))
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, simpleTrue)
	}
	return append(b, simpleFalse)
}

// appendFloat writes the shortest of the three floats that keeps the value (RFC 8949 section 4.2.1).
func appendFloat(b []byte, v float64) []byte {
	f := float32(v)
	if float64(f) != v {
		return appendBig64(append(b, float64Head), math.Float64bits(v))
	}
	if h, ok := half(f); ok {
		return appendBig16(append(b, float16Head), h)
	}
	return appendBig32(append(b, float32Head), math.Float32bits(f))
}

// fields writes a map whose fields are left out when empty. A map has fewer than 24 fields, so its head is one byte
// and can be set at the end. The caller writes keys in encoded order: shorter first, then bytewise.
type fields struct {
	b    []byte
	head int
}

func openFields(b []byte) fields { return fields{append(b, majorMap), len(b)} }

func (f *fields) close() []byte { return f.b }

func (f *fields) key(key string) {
	f.b[f.head]++
	f.b = appendText(f.b, key)
}

func (f *fields) text(key, v string) {
	if v != "" {
		f.key(key)
		f.b = appendText(f.b, v)
	}
}

func (f *fields) bytes(key string, v []byte) {
	if len(v) > 0 {
		f.key(key)
		f.b = appendBytes(f.b, v)
	}
}

func (f *fields) uint(key string, v uint64) {
	if v != 0 {
		f.key(key)
		f.b = appendUint(f.b, v)
	}
}

func (f *fields) int(key string, v int64) {
	if v != 0 {
		f.key(key)
		f.b = appendInt(f.b, v)
	}
}

func (f *fields) bool(key string, v bool) {
	if v {
		f.key(key)
		f.b = appendBool(f.b, v)
	}
}

func (f *fields) float(key string, v float64) {
	if v == v {
		f.key(key)
		f.b = appendFloat(f.b, v)
	}
}

func (f *fields) texts(key string, v []string) {
	appendList(f, key, v, func(b []byte, s *string) []byte { return appendText(b, *s) })
}

func (f *fields) uints(key string, v []uint32) {
	if len(v) > 0 {
		f.key(key)
		f.b = appendUint32s(f.b, v)
	}
}

func (f *fields) floats(key string, v []float64) {
	if len(v) > 0 {
		f.key(key)
		f.b = appendFloat64s(f.b, v)
	}
}

func appendList[T any](f *fields, key string, v []T, each func([]byte, *T) []byte) {
	if len(v) == 0 {
		return
	}
	f.key(key)
	f.b = appendHead(f.b, majorArray, uint64(len(v)))
	for i := range v {
		f.b = each(f.b, &v[i])
	}
}
