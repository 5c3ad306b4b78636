package codec

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
)

// The major types of CBOR (RFC 8949 §3.1), and the simple values that occur here.
const (
	cborUnsigned = 0
	cborNegative = 1
	cborBytes    = 2
	cborText     = 3
	cborArray    = 4
	cborMap      = 5
	cborTag      = 6
	cborSimple   = 7

	simpleFalse = 20
	simpleTrue  = 21
	simpleNull  = 22

	tagTime = 1 // seconds since 1970 (RFC 8949 §3.4.2)

	maxCBORDepth = 8 // of what is skipped
)

// cborReader walks over CBOR. The first problem sticks and moves it to the end.
type cborReader struct {
	b       []byte
	at      int
	problem string
	failed  int // where
}

func (r *cborReader) fail(problem string) {
	if r.problem == "" {
		r.problem, r.failed = problem, r.at
	}
	r.at = len(r.b)
}

// end reports bytes that are left over.
func (r *cborReader) end() {
	if r.problem == "" && r.at < len(r.b) {
		r.fail("bytes after the end")
	}
}

// head reads a head. A head longer than it had to be is taken: small devices write them so.
func (r *cborReader) head() (major byte, arg uint64, indefinite bool) {
	if r.at >= len(r.b) {
		r.fail("the payload ends too early")
		return cborSimple, 0, false
	}
	first := r.b[r.at]
	r.at++
	major, arg = first>>5, uint64(first&31)
	switch {
	case arg < 24:
		return major, arg, false
	case arg == 31 && major >= cborBytes && major != cborTag:
		return major, 0, true
	case arg > 27:
		r.fail("a head of a reserved form")
		return cborSimple, 0, false
	}
	size := 1 << (arg - 24)
	if len(r.b)-r.at < size {
		r.fail("the payload ends too early")
		return cborSimple, 0, false
	}
	arg = 0
	for _, c := range r.b[r.at : r.at+size] {
		arg = arg<<8 | uint64(c)
	}
	r.at += size
	return major, arg, false
}

// peek returns the major type of what comes next.
func (r *cborReader) peek() (major byte, ok bool) {
	if r.at >= len(r.b) {
		return 0, false
	}
	return r.b[r.at] >> 5, true
}

// stop takes the end of something of indefinite length.
func (r *cborReader) stop() bool {
	if r.at < len(r.b) && r.b[r.at] == 0xff {
		r.at++
		return true
	}
	return false
}

// items counts what is in an array or a map.
type items struct {
	left       uint64
	indefinite bool
}

// items reads the head of an array or a map.
func (r *cborReader) items(want byte, problem string) items {
	major, n, indefinite := r.head()
	if r.problem == "" && major != want {
		r.fail(problem)
	}
	if n > uint64(len(r.b)-r.at) { // an item has at least a byte
		r.fail("it says that there is more than fits")
	}
	return items{n, indefinite}
}

// next reports whether there is another item.
func (i *items) next(r *cborReader) bool {
	if r.problem != "" {
		return false
	}
	if i.indefinite {
		if r.at >= len(r.b) {
			r.fail("the payload ends too early")
			return false
		}
		return !r.stop()
	}
	if i.left == 0 {
		return false
	}
	i.left--
	return true
}

// string reads text or bytes; what it returns is part of the payload, or a copy if it was cut into pieces.
func (r *cborReader) string(want byte, problem string) []byte {
	start := r.at
	major, n, indefinite := r.head()
	switch {
	case r.problem != "":
		return nil
	case major != want:
		r.at = start
		r.fail(problem)
		return nil
	case indefinite:
		return r.pieces(want)
	default:
		return r.take(n)
	}
}

func (r *cborReader) take(n uint64) []byte {
	if n > uint64(len(r.b)-r.at) {
		r.fail("a text or bytes are longer than the payload")
		return nil
	}
	b := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// pieces reads the pieces of a string of indefinite length; together they are shorter than the payload.
func (r *cborReader) pieces(want byte) []byte {
	var joined []byte
	for r.problem == "" && !r.stop() {
		major, n, indefinite := r.head()
		if r.problem == "" && (major != want || indefinite) {
			r.fail("a piece of a text or of bytes is something else")
			return nil
		}
		joined = append(joined, r.take(n)...)
	}
	return joined
}

// text reads text and checks that it is UTF-8.
func (r *cborReader) text(problem string) []byte {
	b := r.string(cborText, problem)
	if !utf8.Valid(b) {
		r.fail("a text is not UTF-8")
	}
	return b
}

// value reads one value of a resource; null is no value.
func (r *cborReader) value() lwm2m.Value {
	major, ok := r.peek()
	if ok {
		switch major {
		case cborBytes:
			return lwm2m.Opaque(r.string(cborBytes, ""))
		case cborText:
			return lwm2m.String(string(r.text("")))
		}
	}
	start := r.at
	major, arg, indefinite := r.head()
	switch {
	case r.problem != "":
	case major == cborUnsigned && arg <= math.MaxInt64:
		return lwm2m.Integer(int64(arg))
	case major == cborUnsigned:
		return lwm2m.Unsigned(arg)
	case major == cborNegative && arg <= math.MaxInt64:
		return lwm2m.Integer(-1 - int64(arg))
	case major == cborTag && arg == tagTime:
		return r.taggedTime()
	case major == cborSimple && !indefinite:
		return r.simple(r.b[start]&31, arg)
	default:
		r.at = start
		r.fail("something that is no value of LwM2M")
	}
	return lwm2m.Value{}
}

func (r *cborReader) taggedTime() lwm2m.Value {
	start := r.at
	major, _ := r.peek()
	if major != cborUnsigned && major != cborNegative && major != cborSimple {
		r.fail("a time is a number")
		return lwm2m.Value{}
	}
	if s, ok := seconds(r.value()); ok {
		return lwm2m.TimeSeconds(s)
	}
	r.at = start
	r.fail("a time is a number")
	return lwm2m.Value{}
}

// simple makes a value of the major type 7; info says how long the argument was.
func (r *cborReader) simple(info byte, arg uint64) lwm2m.Value {
	switch {
	case info == 25:
		return lwm2m.Float(halfFloat(uint16(arg)))
	case info == 26:
		return lwm2m.Float(float64(math.Float32frombits(uint32(arg))))
	case info == 27:
		return lwm2m.Float(math.Float64frombits(arg))
	case info == simpleFalse:
		return lwm2m.Boolean(false)
	case info == simpleTrue:
		return lwm2m.Boolean(true)
	case info != simpleNull:
		r.fail("a simple value that LwM2M has no use for")
	}
	return lwm2m.Value{}
}

// halfFloat is RFC 8949 appendix D.
func halfFloat(h uint16) float64 {
	exponent, fraction := int(h>>10)&31, float64(h&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		f = math.Inf(1)
		if fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(fraction+1024, exponent-25)
	}
	if h>>15 == 1 {
		return -f
	}
	return f
}

// skip passes over one item of any kind.
func (r *cborReader) skip(depth int) {
	if depth == maxCBORDepth {
		r.fail("it is nested too deep")
		return
	}
	start := r.at
	major, arg, indefinite := r.head()
	switch {
	case r.problem != "":
	case major == cborBytes || major == cborText:
		r.at = start
		r.string(major, "")
	case major == cborTag:
		r.skip(depth + 1)
	case major == cborArray || major == cborMap:
		for i := (items{arg, indefinite}); i.next(r); {
			r.skip(depth + 1)
			if major == cborMap {
				r.skip(depth + 1)
			}
		}
	case indefinite: // a stop that ends nothing
		r.at = start
		r.fail("an end without a beginning")
	}
}

// number reads an integer or a float as a float, for times and base values.
func (r *cborReader) number(problem string) float64 {
	start := r.at
	v := r.value()
	switch v.Kind() {
	case lwm2m.KindInteger, lwm2m.KindUnsigned, lwm2m.KindFloat, lwm2m.KindTime:
		return v.Float()
	}
	r.at = start
	r.fail(problem)
	return 0
}

func appendCBORHead(dst []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(dst, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(dst, major|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(arg))
	default:
		return binary.BigEndian.AppendUint64(append(dst, major|27), arg)
	}
}

func appendCBORInteger(dst []byte, i int64) []byte {
	if i < 0 {
		return appendCBORHead(dst, cborNegative, uint64(-1-i))
	}
	return appendCBORHead(dst, cborUnsigned, uint64(i))
}

func appendCBORText(dst []byte, s string) []byte {
	return append(appendCBORHead(dst, cborText, uint64(len(s))), s...)
}

// appendCBORFloat writes 4 bytes where nothing is lost by it. Half floats are left out, since small decoders are too.
func appendCBORFloat(dst []byte, f float64) []byte {
	if float64(float32(f)) == f || math.IsNaN(f) {
		return binary.BigEndian.AppendUint32(append(dst, cborSimple<<5|26), math.Float32bits(float32(f)))
	}
	return binary.BigEndian.AppendUint64(append(dst, cborSimple<<5|27), math.Float64bits(f))
}

// appendCBORValue writes a value as Core 1.2 appendix C has it for CBOR: a time with its tag, an object link as text.
func appendCBORValue(dst []byte, v lwm2m.Value) []byte {
	switch v.Kind() {
	case lwm2m.KindTime:
		return appendCBORInteger(appendCBORHead(dst, cborTag, tagTime), v.Integer())
	case lwm2m.KindObjectLink:
		return appendCBORLink(dst, v)
	default:
		return appendCBORPlain(dst, v)
	}
}

func appendCBORLink(dst []byte, v lwm2m.Value) []byte {
	var link [11]byte
	return appendCBORName(dst, v.Append(link[:0]))
}

func appendCBORName(dst, name []byte) []byte {
	return append(appendCBORHead(dst, cborText, uint64(len(name))), name...)
}

func appendCBORPlain(dst []byte, v lwm2m.Value) []byte {
	switch v.Kind() {
	case lwm2m.KindNone:
		return append(dst, cborSimple<<5|simpleNull)
	case lwm2m.KindInteger, lwm2m.KindTime:
		return appendCBORInteger(dst, v.Integer())
	case lwm2m.KindUnsigned:
		return appendCBORHead(dst, cborUnsigned, v.Unsigned())
	case lwm2m.KindFloat:
		return appendCBORFloat(dst, v.Float())
	case lwm2m.KindBoolean:
		if v.Boolean() {
			return append(dst, cborSimple<<5|simpleTrue)
		}
		return append(dst, cborSimple<<5|simpleFalse)
	case lwm2m.KindOpaque:
		return append(appendCBORHead(dst, cborBytes, uint64(len(v.Text()))), v.Text()...)
	default:
		return appendCBORText(dst, v.Text())
	}
}
