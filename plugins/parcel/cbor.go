package parcel

import (
	"encoding/binary"
	"unicode/utf8"
)

// CBOR major types, shifted into place.
const (
	majorUint  = 0 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
)

const version = 1

func appendHead(b []byte, major byte, v uint64) []byte {
	switch {
	case v < 24:
		return append(b, major|byte(v))
	case v < 1<<8:
		return append(b, major|24, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), v)
}

func appendBytes(b, v []byte) []byte { return append(appendHead(b, majorBytes, uint64(len(v))), v...) }

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendStatement(b []byte, s *Statement) []byte {
	b = append(b, majorArray|7)
	b = appendText(appendText(appendText(b, s.Name), s.Version), s.Kind)
	b = appendBytes(b, s.Digest[:])
	b = appendHead(appendHead(b, majorUint, s.Length), majorUint, s.Counter)
	return appendText(b, s.Devices)
}

// reader reads what this package writes and nothing else. short says that the bytes ended, failed that they are wrong.
type reader struct {
	b             []byte
	at            int
	short, failed bool
}

func (r *reader) expect(major byte) uint64 {
	if r.short || r.failed {
		return 0
	}
	if r.at == len(r.b) {
		r.short = true
		return 0
	}
	first := r.b[r.at]
	if first&0xe0 != major || first&0x1f > 27 {
		r.failed = true
		return 0
	}
	low := first & 0x1f
	if low < 24 {
		r.at++
		return uint64(low)
	}
	size := 1 << (low - 24)
	if len(r.b)-r.at-1 < size {
		r.short = true
		return 0
	}
	var wide [8]byte
	copy(wide[8-size:], r.b[r.at+1:])
	v := binary.BigEndian.Uint64(wide[:])
	if v < 24 || size > 1 && v>>(size*4) == 0 { // a shorter head would have done
		r.failed = true
	}
	r.at += 1 + size
	return v
}

func (r *reader) is(major byte, want uint64) {
	if r.expect(major) != want && !r.short {
		r.failed = true
	}
}

func (r *reader) raw(major byte, most uint64) []byte {
	n := r.expect(major)
	switch {
	case n > most:
		r.failed = true
	case n > uint64(len(r.b)-r.at):
		r.short = true
	}
	if r.short || r.failed {
		return nil
	}
	raw := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return raw
}

func (r *reader) fixed(dst []byte) {
	if copy(dst, r.raw(majorBytes, uint64(len(dst)))) != len(dst) && !r.short {
		r.failed = true
	}
}

func (r *reader) text() string {
	raw := r.raw(majorText, maxText)
	if !utf8.Valid(raw) {
		r.failed = true
	}
	return string(raw)
}

// head reads what parcel and seal begin with: an array of so many elements.
func (r *reader) head(elements uint64) *Head {
	h := &Head{}
	r.is(majorArray, elements)
	r.is(majorUint, version)
	h.signed = r.raw(majorBytes, MaxHead)
	if !r.short && !r.failed {
		s := reader{b: h.signed}
		h.Statement = s.statement()
		r.failed = s.short || s.failed || s.at != len(s.b) || !h.Statement.plausible()
	}
	n := r.expect(majorArray)
	if n < 1 || n > maxSignatures {
		r.failed = r.failed || !r.short
		return h
	}
	h.Signatures = make([]Signature, n)
	for i := range h.Signatures {
		r.is(majorArray, 2)
		r.fixed(h.Signatures[i].Key[:])
		r.fixed(h.Signatures[i].Value[:])
	}
	return h
}

func (r *reader) statement() (s Statement) {
	r.is(majorArray, 7)
	s.Name, s.Version, s.Kind = r.text(), r.text(), r.text()
	r.fixed(s.Digest[:])
	s.Length, s.Counter = r.expect(majorUint), r.expect(majorUint)
	s.Devices = r.text()
	return s
}
