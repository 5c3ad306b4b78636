package fleet

import (
	"encoding/binary"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// packet is a CoAP message (RFC 7252 section 3) as a device of few bytes sees it: its slices are the datagram's.
type packet struct {
	kind    coap.Type
	code    coap.Code
	id      uint16
	token   []byte
	rest    []byte // options and payload
	payload []byte
}

const headerSize = 4

// parse reads a datagram up to its options, which options iterates over.
func parse(datagram []byte) (p packet, ok bool) {
	if len(datagram) < headerSize || datagram[0]>>6 != 1 {
		return p, false
	}
	size := int(datagram[0] & 15)
	if size > 8 || len(datagram) < headerSize+size {
		return p, false
	}
	p.kind, p.code = coap.Type(datagram[0]>>4&3), coap.Code(datagram[1])
	p.id = binary.BigEndian.Uint16(datagram[2:])
	p.token, p.rest = datagram[headerSize:headerSize+size], datagram[headerSize+size:]
	return p, true
}

// options calls f with each option in turn, and reports whether they are well formed.
func (p *packet) options(f func(id coap.OptionID, value []byte)) bool {
	id, b := 0, p.rest
	for len(b) > 0 && b[0] != 0xff {
		delta, size := int(b[0]>>4), int(b[0]&15)
		b = b[1:]
		var ok bool
		if delta, b, ok = extend(delta, b); !ok {
			return false
		}
		if size, b, ok = extend(size, b); !ok || size > len(b) {
			return false
		}
		id += delta
		f(coap.OptionID(id), b[:size])
		b = b[size:]
	}
	if len(b) > 0 {
		p.payload = b[1:]
	}
	return true
}

// extend reads the rest of a number that its nibble says is longer, RFC 7252 section 3.1.
func extend(nibble int, b []byte) (n int, rest []byte, ok bool) {
	switch {
	case nibble < 13:
		return nibble, b, true
	case nibble == 13 && len(b) >= 1:
		return int(b[0]) + 13, b[1:], true
	case nibble == 14 && len(b) >= 2:
		return int(binary.BigEndian.Uint16(b)) + 269, b[2:], true
	}
	return 0, nil, false
}

// writer builds a message. Options are added in the order of their numbers.
type writer struct {
	b    []byte
	last coap.OptionID
}

func begin(b []byte, kind coap.Type, code coap.Code, id uint16, token []byte) writer {
	b = append(b[:0], 1<<6|byte(kind)<<4|byte(len(token)), byte(code), byte(id>>8), byte(id))
	return writer{b: append(b, token...)}
}

func (w *writer) option(id coap.OptionID, value string) {
	delta, size := int(id-w.last), len(value)
	w.last = id
	w.b = append(w.b, byte(min(delta, 13)<<4|min(size, 13)))
	if delta >= 13 {
		w.b = append(w.b, byte(delta-13))
	}
	if size >= 13 {
		w.b = append(w.b, byte(size-13)) // none of ours is longer than 268
	}
	w.b = append(w.b, value...)
}

func (w *writer) number(id coap.OptionID, n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	value := b[:]
	for len(value) > 0 && value[0] == 0 {
		value = value[1:]
	}
	w.option(id, string(value))
}

func (w *writer) payload(p string) {
	w.b = append(append(w.b, 0xff), p...)
}
