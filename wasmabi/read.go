package wasmabi

import (
	"math"
	"unicode/utf8"
	"unsafe"
)

// maxDepth bounds nesting in values that are skipped.
const maxDepth = 8

// reader walks one message. The first failure sticks and moves it to the end, so that a decoder reads on without
// checking each step and asks once, in finish.
type reader struct {
	b       []byte
	at      int
	message string
	err     *MalformedError
	alias   bool // texts and bytes share b's memory
}

func (r *reader) fail(problem string) {
	if r.err == nil {
		r.err = &MalformedError{Message: r.message, Offset: r.at, Problem: problem}
	}
	r.at = len(r.b)
}

// finish reports the first failure, or bytes that are left over.
func (r *reader) finish() error {
	if r.err == nil && r.at < len(r.b) {
		r.fail("bytes after the end of the message")
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// head reads any head and refuses one that could be shorter.
func (r *reader) head() (major byte, v uint64) {
	if r.at >= len(r.b) {
		r.fail("message ends too early")
		return majorOther, 0
	}
	first := r.b[r.at]
	major, info := first&0xe0, first&0x1f
	if info < 24 {
		r.at++
		return major, uint64(info)
	}
	return major, r.longHead(info)
}

func (r *reader) longHead(info byte) uint64 {
	if info > 27 {
		r.fail("indefinite length or reserved head")
		return 0
	}
	size := 1 << (info - 24)
	rest := r.b[r.at+1:]
	if len(rest) < size {
		r.fail("message ends too early")
		return 0
	}
	var v, least uint64
	switch info {
	case 24:
		v, least = uint64(rest[0]), 24
	case 25:
		v, least = uint64(big16(rest)), 1<<8
	case 26:
		v, least = uint64(big32(rest)), 1<<16
	default:
		v, least = big64(rest), 1<<32
	}
	if v < least {
		r.fail("number is not in its shortest form")
		return 0
	}
	r.at += 1 + size
	return v
}

func (r *reader) expect(major byte) uint64 {
	at := r.at
	got, v := r.head()
	if got != major && r.err == nil {
		r.at = at
		r.fail("expected " + majorName(major) + ", found " + majorName(got))
		return 0
	}
	return v
}

func majorName(major byte) string {
	switch major {
	case majorUint:
		return "an unsigned integer"
	case majorInt:
		return "a negative integer"
	case majorBytes:
		return "bytes"
	case majorText:
		return "text"
	case majorArray:
		return "an array"
	case majorMap:
		return "a map"
	case majorTag:
		return "a tag"
	}
	return "a simple value or float"
}

func (r *reader) uint64() uint64 {
	if r.at < len(r.b) && r.b[r.at] < 24 {
		r.at++
		return uint64(r.b[r.at-1])
	}
	return r.expect(majorUint)
}

func (r *reader) uint32() uint32 {
	v := r.uint64()
	if v > math.MaxUint32 {
		r.fail("number does not fit 32 bits")
		return 0
	}
	return uint32(v)
}

func (r *reader) int64() int64 {
	major, v := r.head()
	if major != majorUint && major != majorInt {
		r.fail("expected an integer, found " + majorName(major))
		return 0
	}
	if v > math.MaxInt64 {
		r.fail("number does not fit 64 bits")
		return 0
	}
	if major == majorInt {
		return -1 - int64(v)
	}
	return int64(v)
}

func (r *reader) bool() bool {
	if r.at < len(r.b) && r.b[r.at]&^1 == simpleFalse {
		r.at++
		return r.b[r.at-1] == simpleTrue
	}
	r.fail("expected true or false")
	return false
}

// float reads a float of any width and refuses one that could be shorter, and NaN.
func (r *reader) float() float64 {
	rest := r.b[r.at:]
	var v float64
	size, short := 0, false
	switch {
	case len(rest) >= 3 && rest[0] == float16Head:
		v, size = unhalf(big16(rest[1:])), 3
	case len(rest) >= 5 && rest[0] == float32Head:
		f := math.Float32frombits(big32(rest[1:]))
		_, short = half(f)
		v, size = float64(f), 5
	case len(rest) >= 9 && rest[0] == float64Head:
		v, size = math.Float64frombits(big64(rest[1:])), 9
		short = float64(float32(v)) == v
	default:
		r.fail("expected a float")
		return 0
	}
	switch {
	case v != v:
		r.fail("a field that is NaN must be left out")
		return 0
	case short:
		r.fail("float is not in its shortest form")
		return 0
	}
	r.at += size
	return v
}

// raw reads the content of a text or byte string; it aliases the input.
func (r *reader) raw(major byte, most int) []byte {
	n := r.length(major)
	if n > uint64(len(r.b)-r.at) {
		r.fail("string is longer than the message")
		return nil
	}
	if n > uint64(most) {
		r.fail("string is longer than " + decimal(uint64(most)) + " bytes")
		return nil
	}
	raw := r.b[r.at : r.at+int(n)]
	if major == majorText && !utf8.Valid(raw) {
		r.fail("text is not UTF-8")
		return nil
	}
	r.at += int(n)
	return raw
}

// length is expect for strings, most of which are short; calls are dear in a Go guest.
func (r *reader) length(major byte) uint64 {
	if r.at < len(r.b) {
		if n := r.b[r.at] - major; n < 24 {
			r.at++
			return uint64(n)
		}
	}
	return r.expect(major)
}

func (r *reader) text(most int) string {
	raw := r.raw(majorText, most)
	if r.alias {
		return unsafe.String(unsafe.SliceData(raw), len(raw))
	}
	return string(raw)
}

// textInto reads a text into dst and allocates only when it differs from what is there.
func (r *reader) textInto(dst *string, most int) {
	if raw := r.raw(majorText, most); *dst != string(raw) {
		*dst = string(raw)
	}
}

func (r *reader) bytes(most int) []byte {
	raw := r.raw(majorBytes, most)
	if len(raw) == 0 {
		return nil
	}
	if r.alias {
		return raw
	}
	return append([]byte(nil), raw...)
}

// array reads the head of an array of exactly n elements.
func (r *reader) array(n uint64) {
	if got := r.expect(majorArray); got != n && r.err == nil {
		r.fail("array has " + decimal(got) + " elements instead of " + decimal(n))
	}
}

// keys walks a map and refuses keys that are out of order or repeated.
type keys struct {
	r    *reader
	left uint64
	key  string
}

func (r *reader) keys() keys {
	n := r.expect(majorMap)
	if n > uint64(len(r.b)-r.at)/2 {
		r.fail("map is longer than the message")
		n = 0
	}
	return keys{r: r, left: n}
}

func (k *keys) next() bool {
	if k.left == 0 || k.r.err != nil {
		return false
	}
	first := k.key == ""
	k.left--
	raw := k.r.raw(majorText, maxKey)
	if k.r.err != nil {
		return false
	}
	key := unsafe.String(unsafe.SliceData(raw), len(raw))
	if !first && !keyLess(k.key, key) || key == "" {
		k.r.fail("map keys are empty, repeated or out of order")
		return false
	}
	k.key = key
	return true
}

// keyLess is the bytewise order of the encoded keys: a shorter text has a smaller head.
func keyLess(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// skip passes over one value of any kind.
func (r *reader) skip(depth int) {
	if depth == maxDepth {
		r.fail("value is nested too deeply")
		return
	}
	if r.at < len(r.b) && r.b[r.at] >= float16Head && r.b[r.at] <= float64Head {
		r.skipFloat()
		return
	}
	major, n := r.head()
	switch major {
	case majorBytes, majorText:
		if n > uint64(len(r.b)-r.at) {
			r.fail("string is longer than the message")
			return
		}
		r.at += int(n)
	case majorArray:
		for ; n > 0 && r.err == nil; n-- {
			r.skip(depth + 1)
		}
	case majorMap:
		for ; n > 0 && r.err == nil; n-- {
			r.skip(depth + 1)
			r.skip(depth + 1)
		}
	case majorTag:
		r.skip(depth + 1)
	}
}

func (r *reader) skipFloat() {
	size := 1 + 2<<(r.b[r.at]-float16Head)
	if len(r.b)-r.at < size {
		r.fail("message ends too early")
		return
	}
	r.at += size
}

// list reads an array into dst, whose capacity is used again.
func list[T any](r *reader, dst []T, most int, each func(*reader, *T)) []T {
	n := r.expect(majorArray)
	if n > uint64(most) {
		r.fail("more than " + decimal(uint64(most)) + " elements")
		return dst[:0]
	}
	if n > uint64(len(r.b)-r.at) {
		r.fail("array is longer than the message")
		return dst[:0]
	}
	dst = resize(dst, int(n))
	for i := range dst {
		each(r, &dst[i])
	}
	return dst
}

func (r *reader) texts(dst []string, most, mostBytes int) []string {
	return list(r, dst, most, func(r *reader, s *string) { *s = r.text(mostBytes) })
}
