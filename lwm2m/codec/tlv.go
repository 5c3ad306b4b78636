package codec

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
)

// The types of a TLV (Core 1.2 §7.5.5.1), bits 7 and 6 of its first byte.
const (
	tlvInstance         = 0
	tlvResourceInstance = 1
	tlvMultiple         = 2
	tlvResource         = 3
)

const maxTLVLength = 1<<24 - 1

// tlvReader walks over TLVs that stand one after another.
type tlvReader struct {
	b  []byte
	at int // of b in the payload
}

// next reads one TLV: its type, identifier and value, and where in the payload it begins.
func (r *tlvReader) next() (kind byte, id uint16, value tlvReader, ok bool) {
	if len(r.b) < 2 {
		return 0, 0, *r, false
	}
	first := r.b[0]
	n := 2
	id = uint16(r.b[1])
	if first&0x20 != 0 {
		if len(r.b) < 3 {
			return 0, 0, *r, false
		}
		id = id<<8 | uint16(r.b[2])
		n = 3
	}
	length := int(first & 7)
	if size := int(first>>3) & 3; size > 0 {
		if len(r.b) < n+size {
			return 0, 0, *r, false
		}
		length = 0
		for _, c := range r.b[n : n+size] {
			length = length<<8 | int(c)
		}
		n += size
	}
	if length > len(r.b)-n {
		return 0, 0, *r, false
	}
	value = tlvReader{r.b[n : n+length], r.at + n}
	r.b, r.at = r.b[n+length:], r.at+n+length
	return first >> 6, id, value, true
}

// tlv decodes the TLVs below the path that was asked for. What stands at the top may be that node itself or its parts:
// devices do both.
func (b *builder) tlv(payload []byte) {
	r := tlvReader{b: payload}
	if len(payload) == 0 && b.base.Depth() > 0 {
		b.add(b.base, lwm2m.Value{})
	}
	for len(r.b) > 0 && b.err == nil {
		at := r.at
		kind, id, value, ok := r.next()
		if !ok {
			b.fail(CodeMalformed, at, "a TLV is longer than the payload")
			return
		}
		b.tlvTop(kind, id, value, at)
	}
}

func (b *builder) tlvTop(kind byte, id uint16, value tlvReader, at int) {
	parent, ok := tlvParent(b.base, kind)
	if !ok {
		b.fail(CodeMalformed, at, "a TLV of this type does not belong to "+b.base.String())
		return
	}
	p := parent.Child(id)
	if !p.Overlaps(b.base) {
		b.fail(CodePath, at, p.String()+" does not lie below "+b.base.String())
		return
	}
	b.tlvNode(kind, p, value, at)
}

// tlvParent returns the path above a TLV at the top of a payload about base.
func tlvParent(base lwm2m.Path, kind byte) (parent lwm2m.Path, ok bool) {
	level := 2 // of the parent of a resource
	switch kind {
	case tlvInstance:
		level = 1
	case tlvResourceInstance:
		level = 3
	}
	switch {
	case base.Depth() == 1 && level == 2: // the resources of a single instance
		return base.Child(0), true
	case base.Depth() < level:
		return base, false
	default:
		return base.Truncate(level), true
	}
}

func (b *builder) tlvNode(kind byte, p lwm2m.Path, value tlvReader, at int) {
	id, _ := p.Last()
	switch {
	case id == lwm2m.NoID:
		b.fail(CodePath, at, "65535 names nothing")
	case kind == tlvInstance:
		b.tlvParts(p, value, at, func(kind byte) bool { return kind >= tlvMultiple })
	case kind == tlvMultiple:
		b.tlvParts(p, value, at, func(kind byte) bool { return kind == tlvResourceInstance })
	default:
		v, problem := b.tlvValue(p, value.b)
		if problem != "" {
			b.fail(CodeType, at, p.String()+": "+problem)
		}
		b.addAt(p, v, time.Time{}, at)
	}
}

func (b *builder) tlvParts(p lwm2m.Path, r tlvReader, at int, belongs func(kind byte) bool) {
	if len(r.b) == 0 {
		b.addAt(p, lwm2m.Value{}, time.Time{}, at)
	}
	for len(r.b) > 0 && b.err == nil {
		at := r.at
		kind, id, value, ok := r.next()
		if !ok || !belongs(kind) {
			b.fail(CodeMalformed, at, "what stands in "+p.String()+" is no TLV that belongs there")
			return
		}
		b.tlvNode(kind, p.Child(id), value, at)
	}
}

// tlvValue decodes the bytes of a value by the type of its resource (Core 1.2 appendix C, column TLV).
func (b *builder) tlvValue(p lwm2m.Path, bytes []byte) (v lwm2m.Value, problem string) {
	kind, _, known := b.kind(p)
	if !known {
		kind = lwm2m.KindOpaque
	}
	switch kind {
	case lwm2m.KindString, lwm2m.KindCoreLink:
		if !utf8.Valid(bytes) {
			return v, "the text is not UTF-8"
		}
		if kind == lwm2m.KindCoreLink {
			return lwm2m.CoreLink(string(bytes)), ""
		}
		return lwm2m.String(string(bytes)), ""
	case lwm2m.KindOpaque:
		return lwm2m.Opaque(bytes), ""
	case lwm2m.KindBoolean:
		if len(bytes) != 1 || bytes[0] > 1 {
			return v, "a boolean is one byte, 0 or 1"
		}
		return lwm2m.Boolean(bytes[0] == 1), ""
	case lwm2m.KindFloat:
		return tlvFloat(bytes)
	case lwm2m.KindObjectLink:
		if len(bytes) != 4 {
			return v, "an object link is four bytes"
		}
		return lwm2m.ObjectLink(binary.BigEndian.Uint16(bytes), binary.BigEndian.Uint16(bytes[2:])), ""
	default:
		return tlvNumber(kind, bytes)
	}
}

func tlvFloat(bytes []byte) (v lwm2m.Value, problem string) {
	switch len(bytes) {
	case 4:
		return lwm2m.Float(float64(math.Float32frombits(binary.BigEndian.Uint32(bytes)))), ""
	case 8:
		return lwm2m.Float(math.Float64frombits(binary.BigEndian.Uint64(bytes))), ""
	default:
		return v, "a float is 4 or 8 bytes"
	}
}

func tlvNumber(kind lwm2m.Kind, bytes []byte) (v lwm2m.Value, problem string) {
	var u uint64
	switch len(bytes) {
	case 1, 2, 4, 8:
		for _, c := range bytes {
			u = u<<8 | uint64(c)
		}
	default:
		return v, "an integer is 1, 2, 4 or 8 bytes"
	}
	unused := 64 - 8*len(bytes)
	signed := int64(u) << unused >> unused
	switch kind {
	case lwm2m.KindUnsigned:
		return lwm2m.Unsigned(u), ""
	case lwm2m.KindTime:
		return lwm2m.TimeSeconds(signed), ""
	default:
		return lwm2m.Integer(signed), ""
	}
}

// appendTLV appends the parts of the node at base, or base itself if it is a resource.
func appendTLV(dst []byte, base lwm2m.Path, t lwm2m.Tree) ([]byte, error) {
	switch base.Depth() {
	case 0:
		return dst, cannotEncode(lwm2m.FormatTLV, base, "TLV has no objects")
	case 1, 2:
		for p, below := range t.Children(base) {
			if p == base.Child(lwm2m.NoID) { // an instance whose number the device shall choose (Core 1.2 §6.3.5)
				return appendTLV(dst, p, below)
			}
			dst = appendTLVNode(dst, p, below)
		}
	case 3:
		if len(t) > 0 {
			dst = appendTLVNode(dst, base, t)
		}
	default:
		if len(t) > 0 {
			dst = appendTLVValue(dst, tlvResourceInstance, base, last(t))
		}
	}
	if len(dst) > maxTLVLength {
		return dst, cannotEncode(lwm2m.FormatTLV, base, "it is longer than 16 MB")
	}
	return dst, nil
}

// last is the record that stands for a path of which there are several: TLV has no times, so the newest.
func last(t lwm2m.Tree) lwm2m.Value { return t[len(t)-1].Value }

// appendTLVNode appends an instance, a resource, or a multiple resource, with what is below.
func appendTLVNode(dst []byte, p lwm2m.Path, t lwm2m.Tree) []byte {
	if p.Depth() == 3 && t[len(t)-1].Path == p && !last(t).IsNone() {
		return appendTLVValue(dst, tlvResource, p, last(t))
	}
	kind := byte(tlvInstance)
	if p.Depth() == 3 {
		kind = tlvMultiple
	}
	id, _ := p.Last()
	dst = appendTLVHead(dst, kind, id, tlvSize(p, t))
	for child, below := range t.Children(p) {
		if child.Depth() == 4 {
			dst = appendTLVValue(dst, tlvResourceInstance, child, last(below))
			continue
		}
		dst = appendTLVNode(dst, child, below)
	}
	return dst
}

// tlvSize is the length of what appendTLVNode appends after the head of an instance or a multiple resource.
func tlvSize(p lwm2m.Path, t lwm2m.Tree) (size int) {
	for child, below := range t.Children(p) {
		id, _ := child.Last()
		length := 0
		if child.Depth() == 4 || below[len(below)-1].Path == child && !last(below).IsNone() {
			length = tlvValueSize(last(below))
		} else {
			length = tlvSize(child, below)
		}
		size += tlvHeadSize(id, length) + length
	}
	return size
}

func tlvHeadSize(id uint16, length int) int {
	size := 2
	if id > 255 {
		size++
	}
	switch {
	case length < 8:
		return size
	case length < 1<<8:
		return size + 1
	case length < 1<<16:
		return size + 2
	default:
		return size + 3
	}
}

func appendTLVHead(dst []byte, kind byte, id uint16, length int) []byte {
	first := kind << 6
	if id > 255 {
		first |= 0x20
	}
	switch {
	case length < 8:
		first |= byte(length)
	case length < 1<<8:
		first |= 1 << 3
	case length < 1<<16:
		first |= 2 << 3
	default:
		first |= 3 << 3
	}
	dst = append(dst, first)
	if id > 255 {
		dst = append(dst, byte(id>>8))
	}
	dst = append(dst, byte(id))
	switch {
	case length < 8:
		return dst
	case length < 1<<8:
		return append(dst, byte(length))
	case length < 1<<16:
		return append(dst, byte(length>>8), byte(length))
	default:
		return append(dst, byte(length>>16), byte(length>>8), byte(length))
	}
}

func appendTLVValue(dst []byte, kind byte, p lwm2m.Path, v lwm2m.Value) []byte {
	id, _ := p.Last()
	size := tlvValueSize(v)
	dst = appendTLVHead(dst, kind, id, size)
	switch v.Kind() {
	case lwm2m.KindFloat:
		if size == 4 {
			return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(v.Float())))
		}
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case lwm2m.KindObjectLink:
		object, instance := v.ObjectLink()
		return binary.BigEndian.AppendUint32(dst, uint32(object)<<16|uint32(instance))
	case lwm2m.KindBoolean:
		if v.Boolean() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case lwm2m.KindInteger, lwm2m.KindUnsigned, lwm2m.KindTime:
		for i := size - 1; i >= 0; i-- {
			dst = append(dst, byte(v.Unsigned()>>(8*i)))
		}
		return dst
	default:
		return append(dst, v.Text()...)
	}
}

// tlvValueSize is the length of a value in the shortest form that the format has.
func tlvValueSize(v lwm2m.Value) int {
	switch v.Kind() {
	case lwm2m.KindNone:
		return 0
	case lwm2m.KindBoolean:
		return 1
	case lwm2m.KindFloat:
		if f := v.Float(); float64(float32(f)) == f || math.IsNaN(f) {
			return 4
		}
		return 8
	case lwm2m.KindObjectLink:
		return 4
	case lwm2m.KindUnsigned:
		return unsignedSize(v.Unsigned())
	case lwm2m.KindInteger, lwm2m.KindTime:
		return signedSize(v.Integer())
	default:
		return len(v.Text())
	}
}

func unsignedSize(u uint64) int {
	switch {
	case u <= math.MaxUint8:
		return 1
	case u <= math.MaxUint16:
		return 2
	case u <= math.MaxUint32:
		return 4
	default:
		return 8
	}
}

func signedSize(i int64) int {
	switch {
	case i >= math.MinInt8 && i <= math.MaxInt8:
		return 1
	case i >= math.MinInt16 && i <= math.MaxInt16:
		return 2
	case i >= math.MinInt32 && i <= math.MaxInt32:
		return 4
	default:
		return 8
	}
}
