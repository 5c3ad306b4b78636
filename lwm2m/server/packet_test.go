package server

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// packet is a CoAP datagram as a test reads and writes it, by a codec of its own (RFC 7252 §3): what the server's is held
// against.
type packet struct {
	kind    byte // 0 CON, 1 NON, 2 ACK, 3 RST
	code    byte
	id      uint16
	token   string
	options []field
	payload string
}

type field struct {
	number int
	value  string
}

const (
	con, non, ack, rst = 0, 1, 2, 3

	get, post, put, del, fetch, ipatch = 1, 2, 3, 4, 5, 7

	optObserve, optLocation, optPath, optFormat, optMaxAge, optQuery, optAccept, optBlock2, optBlock1, optEcho = 6, 8, 11, 12, 14, 15, 17, 23, 27, 252
)

func code(text string) byte {
	var class, detail byte
	_, _ = fmt.Sscanf(text, "%d.%d", &class, &detail)
	return class<<5 | detail
}

func (p packet) bytes() []byte {
	b := []byte{1<<6 | p.kind<<4 | byte(len(p.token)), p.code, byte(p.id >> 8), byte(p.id)}
	b = append(b, p.token...)
	options := slices.Clone(p.options)
	slices.SortStableFunc(options, func(a, b field) int { return a.number - b.number })
	last := 0
	for _, o := range options {
		delta, more := nibble(o.number - last)
		length, evenMore := nibble(len(o.value))
		b = append(b, delta<<4|length)
		b = append(append(append(b, more...), evenMore...), o.value...)
		last = o.number
	}
	if p.payload != "" {
		b = append(append(b, 0xff), p.payload...)
	}
	return b
}

func nibble(n int) (byte, []byte) {
	switch {
	case n < 13:
		return byte(n), nil
	case n < 269:
		return 13, []byte{byte(n - 13)}
	default:
		return 14, binary.BigEndian.AppendUint16(nil, uint16(n-269))
	}
}

func parsePacket(t testing.TB, b []byte) packet {
	t.Helper()
	if len(b) < 4 || b[0]>>6 != 1 {
		t.Fatalf("not CoAP: %x", b)
	}
	p := packet{kind: b[0] >> 4 & 3, code: b[1], id: binary.BigEndian.Uint16(b[2:])}
	n := 4 + int(b[0]&15)
	p.token, b = string(b[4:n]), b[n:]
	number := 0
	for len(b) > 0 && b[0] != 0xff {
		delta, length := int(b[0]>>4), int(b[0]&15)
		b = b[1:]
		for _, v := range []*int{&delta, &length} {
			switch *v {
			case 13:
				*v, b = int(b[0])+13, b[1:]
			case 14:
				*v, b = int(binary.BigEndian.Uint16(b))+269, b[2:]
			}
		}
		number += delta
		p.options = append(p.options, field{number, string(b[:length])})
		b = b[length:]
	}
	if len(b) > 0 {
		p.payload = string(b[1:])
	}
	return p
}

func uintField(number int, v uint32) field {
	b := binary.BigEndian.AppendUint32(nil, v)
	return field{number, strings.TrimLeft(string(b), "\x00")}
}

func (p packet) all(number int) (values []string) {
	for _, o := range p.options {
		if o.number == number {
			values = append(values, o.value)
		}
	}
	return values
}

func (p packet) uint(number int) int {
	for _, o := range p.options {
		if o.number == number {
			n := 0
			for i := range len(o.value) {
				n = n<<8 | int(o.value[i])
			}
			return n
		}
	}
	return -1
}

func (p packet) path() string     { return "/" + strings.Join(p.all(optPath), "/") }
func (p packet) location() string { return "/" + strings.Join(p.all(optLocation), "/") }
func (p packet) queries() string  { return strings.Join(p.all(optQuery), "&") }

var methods = map[byte]string{get: "GET", post: "POST", put: "PUT", del: "DELETE", fetch: "FETCH", ipatch: "iPATCH"}

// request describes what a table of tests expects: "GET /3/0?pmin=1 accept=112".
func (p packet) request() string {
	text := methods[p.code] + " " + p.path()
	if q := p.queries(); q != "" {
		text += "?" + q
	}
	for _, o := range []struct {
		number int
		name   string
	}{{optObserve, "observe"}, {optFormat, "format"}, {optAccept, "accept"}} {
		if n := p.uint(o.number); n >= 0 {
			text += fmt.Sprintf(" %s=%d", o.name, n)
		}
	}
	return text
}

func (p packet) answer() string { return fmt.Sprintf("%d.%02d", p.code>>5, p.code&31) }
