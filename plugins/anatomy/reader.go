package anatomy

import (
	"errors"
	"unicode/utf8"
)

// ErrDamaged is what reading ends with when bytes are no WebAssembly module of version 1.
var ErrDamaged = errors.New("not a whole WebAssembly module")

// reader walks over bytes; after the first mistake everything that it returns is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.bad, r.rest = true, nil
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// u32 reads an unsigned LEB128 number (WebAssembly specification, section 5.2.2).
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				r.fail()
			}
			return uint32(v)
		}
	}
	r.fail()
	return 0
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string {
	b := r.take(r.u32())
	if !utf8.Valid(b) {
		r.fail()
		return ""
	}
	return string(b)
}

// count reads how many entries follow, each of which takes a byte at least.
func (r *reader) count() int {
	n := r.u32()
	if uint64(n) > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) limits() {
	flags := r.byte()
	r.u32()
	if flags&1 != 0 {
		r.u32()
	}
}
