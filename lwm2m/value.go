package lwm2m

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Value is what a resource holds, with its type. It is 32 bytes, comparable (two NaNs of the same bits are equal), and
// immutable: the bytes of an opaque value are kept as a string. The zero Value is "none".
type Value struct {
	text string // string, opaque, core link
	bits uint64 // the numbers, booleans, seconds, links
	kind Kind
}

// String returns a string value.
func String(s string) Value { return Value{text: s, kind: KindString} }

// Integer returns an integer value.
func Integer(i int64) Value { return Value{bits: uint64(i), kind: KindInteger} }

// Unsigned returns an unsigned integer value.
func Unsigned(u uint64) Value { return Value{bits: u, kind: KindUnsigned} }

// Float returns a float value.
func Float(f float64) Value { return Value{bits: math.Float64bits(f), kind: KindFloat} }

// Boolean returns a boolean value.
func Boolean(b bool) Value {
	if b {
		return Value{bits: 1, kind: KindBoolean}
	}
	return Value{kind: KindBoolean}
}

// Opaque returns a value of bytes, which it copies.
func Opaque(b []byte) Value { return OpaqueString(string(b)) }

// OpaqueString is Opaque for bytes that are a string already: nothing is copied.
func OpaqueString(s string) Value { return Value{text: s, kind: KindOpaque} }

// Time returns a point in time, to the second: the type has no more (Core 1.2 appendix C).
func Time(t time.Time) Value { return TimeSeconds(t.Unix()) }

// TimeSeconds returns a point in time by the seconds since 1970-01-01 UTC.
func TimeSeconds(seconds int64) Value { return Value{bits: uint64(seconds), kind: KindTime} }

// ObjectLink returns a link to an object instance. NoID for both is the null link, NoID for the instance means the
// object as a whole.
func ObjectLink(object, instance uint16) Value {
	return Value{bits: uint64(object)<<16 | uint64(instance), kind: KindObjectLink}
}

// CoreLink returns a value in the CoRE Link Format.
func CoreLink(s string) Value { return Value{text: s, kind: KindCoreLink} }

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// IsNone reports whether there is no value.
func (v Value) IsNone() bool { return v.kind == KindNone }

// Text returns what a string, an opaque value or a core link holds, without copying it; "" of other types.
func (v Value) Text() string { return v.text }

// Bytes returns a copy of what Text returns.
func (v Value) Bytes() []byte { return []byte(v.text) }

// Integer returns the number of an integer or the seconds of a time; an unsigned integer beyond 2^63 wraps.
func (v Value) Integer() int64 {
	if v.kind == KindFloat {
		return int64(v.Float())
	}
	return int64(v.bits)
}

// Unsigned returns the number of an unsigned integer; a negative integer wraps.
func (v Value) Unsigned() uint64 {
	if v.kind == KindFloat {
		return uint64(v.Float())
	}
	return v.bits
}

// Float returns any number as a float: integers, seconds, and 0 or 1 of a boolean; NaN of what is no number.
func (v Value) Float() float64 {
	switch v.kind {
	case KindFloat:
		return math.Float64frombits(v.bits)
	case KindInteger, KindTime:
		return float64(int64(v.bits))
	case KindUnsigned, KindBoolean:
		return float64(v.bits)
	default:
		return math.NaN()
	}
}

// Boolean returns the truth of a boolean, false of other types.
func (v Value) Boolean() bool { return v.kind == KindBoolean && v.bits != 0 }

// Time returns the point in time in UTC, the zero time of other types.
func (v Value) Time() time.Time {
	if v.kind != KindTime {
		return time.Time{}
	}
	return time.Unix(int64(v.bits), 0).UTC()
}

// ObjectLink returns the two identifiers of an object link, NoID twice of other types.
func (v Value) ObjectLink() (object, instance uint16) {
	if v.kind != KindObjectLink {
		return NoID, NoID
	}
	return uint16(v.bits >> 16), uint16(v.bits)
}

// Append appends the value in the plain text format (Core 1.2 §7.5.1 and appendix C), except that opaque bytes are
// appended as they are: the codec adds what the format asks for.
func (v Value) Append(dst []byte) []byte {
	switch v.kind {
	case KindInteger, KindTime:
		return strconv.AppendInt(dst, int64(v.bits), 10)
	case KindUnsigned, KindBoolean:
		return strconv.AppendUint(dst, v.bits, 10)
	case KindFloat:
		return strconv.AppendFloat(dst, v.Float(), 'f', -1, 64)
	case KindObjectLink:
		dst = strconv.AppendUint(dst, v.bits>>16, 10)
		dst = append(dst, ':')
		return strconv.AppendUint(dst, v.bits&0xffff, 10)
	default:
		return append(dst, v.text...)
	}
}

// String returns the value for people: text quoted, opaque bytes in hexadecimal, times in RFC 3339.
func (v Value) String() string {
	switch v.kind {
	case KindNone:
		return "none"
	case KindString, KindCoreLink:
		return quote(v.text)
	case KindOpaque:
		return hexadecimal(v.text)
	case KindBoolean:
		return strconv.FormatBool(v.Boolean())
	case KindTime:
		return v.Time().Format(time.RFC3339)
	default:
		return string(v.Append(nil))
	}
}

func hexadecimal(s string) string {
	const most = 32
	rest := ""
	if len(s) > most {
		rest = "... (" + strconv.Itoa(len(s)) + " bytes)"
		s = s[:most]
	}
	const digits = "0123456789abcdef"
	b := []byte("0x")
	for i := range len(s) {
		b = append(b, digits[s[i]>>4], digits[s[i]&15])
	}
	return string(b) + rest
}

// ParseValue reads the plain text of a value of a kind (Core 1.2 §7.5.1). Booleans are 0 or 1, and false or true from
// people; opaque bytes are taken as they are; text has to be valid UTF-8.
func ParseValue(kind Kind, text string) (Value, error) {
	v, ok := parseValue(kind, text)
	if !ok {
		return Value{}, &Error{
			Code: CodeValue, What: "read " + quote(text) + " as " + kind.String(), Why: kind.form(), Hint: "write it in the form of the resource's type",
		}
	}
	return v, nil
}

// form says in words what a value of the kind looks like.
func (k Kind) form() string {
	if int(k) < len(kindForms) {
		return kindForms[k]
	}
	return kindForms[KindNone]
}

var kindForms = [...]string{
	KindNone: "there is no value of this type", KindString: "text has to be UTF-8",
	KindInteger: "an integer is a whole number of at most 64 bits", KindUnsigned: "an unsigned integer is a whole number from 0, of at most 64 bits",
	KindFloat: "a float is a decimal number", KindBoolean: "a boolean is 0 or 1", KindOpaque: "opaque takes any bytes",
	KindTime: "a time is the seconds since 1970, or a date and time such as 2026-01-02T15:04:05Z", KindObjectLink: "an object link is two numbers such as 9:3",
	KindCoreLink: "text has to be UTF-8",
}

func parseValue(kind Kind, text string) (v Value, ok bool) {
	var err error
	switch kind {
	case KindString, KindCoreLink:
		return Value{text: text, kind: kind}, utf8.ValidString(text)
	case KindOpaque:
		return OpaqueString(text), true
	case KindInteger:
		v.bits, err = parseInteger(text)
	case KindUnsigned:
		v.bits, err = strconv.ParseUint(text, 10, 64)
	case KindFloat:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		v.bits = math.Float64bits(f)
	case KindBoolean:
		return parseBoolean(text)
	case KindTime:
		return parseTime(text)
	case KindObjectLink:
		return parseObjectLink(text)
	default:
		return Value{}, false
	}
	v.kind = kind
	return v, err == nil
}

func parseInteger(text string) (uint64, error) {
	i, err := strconv.ParseInt(text, 10, 64)
	return uint64(i), err
}

func parseBoolean(text string) (Value, bool) {
	switch text {
	case "0", "false":
		return Boolean(false), true
	case "1", "true":
		return Boolean(true), true
	default:
		return Value{}, false
	}
}

func parseTime(text string) (Value, bool) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return TimeSeconds(i), true
	}
	t, err := time.Parse(time.RFC3339, text)
	return Time(t), err == nil
}

func parseObjectLink(text string) (Value, bool) {
	object, instance, found := strings.Cut(text, ":")
	o, err1 := strconv.ParseUint(object, 10, 16)
	i, err2 := strconv.ParseUint(instance, 10, 16)
	return ObjectLink(uint16(o), uint16(i)), found && err1 == nil && err2 == nil
}
