package mqtt

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// appendSegment appends a name as one segment of a topic. The first segment also hides what would make it another topic:
// a reserved word, and the dollar sign with which brokers' own topics begin (MQTT v5, 4.7.2).
func appendSegment(b []byte, name string, first bool) []byte {
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		hide := i == 0 && first && (r == '$' || reserved[name])
		if hide || encoded(r, size) {
			for _, c := range []byte(name[i : i+size]) {
				b = append(b, '%', upperHex[c>>4], upperHex[c&15])
			}
		} else {
			b = append(b, name[i:i+size]...)
		}
		i += size
	}
	return b
}

// encoded says whether a character can't stand in a segment as it is: the separators and wildcards of MQTT, the sign of
// encoding itself, what MQTT v5, 1.5.4 forbids or advises against in a string, and bytes that are no UTF-8.
func encoded(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size <= 1:
		return true
	case r == '/' || r == '+' || r == '#' || r == '%':
		return true
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return true
	}
	return r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef // non-characters
}

// segment reads a name from a segment, and only from the one that appendSegment makes of it.
func segment(s string, first bool) (string, error) {
	switch {
	case s == "":
		return "", errors.New("an empty segment")
	case len(s) > 3*maxSegment:
		return "", fmt.Errorf("a segment of %d bytes", len(s))
	}
	name, err := unescape(s)
	if err != nil {
		return "", err
	}
	if len(name) > maxSegment {
		return "", fmt.Errorf("a name of %d bytes, more than %d", len(name), maxSegment)
	}
	if string(appendSegment(make([]byte, 0, len(s)), name, first)) != s {
		return "", fmt.Errorf("%q is not how %q is written", s, name)
	}
	return name, nil
}

func unescape(s string) (string, error) {
	i := 0
	for i < len(s) && s[i] != '%' {
		i++
	}
	if i == len(s) {
		return s, nil
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("%q ends in an escape", s)
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi > 15 || lo > 15 {
			return "", fmt.Errorf("%q is no escape", s[i:i+3])
		}
		b = append(b, hi<<4|lo)
		i += 2
	}
	return string(b), nil
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
