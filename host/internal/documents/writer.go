package documents

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// writer appends JSON. Package json would make garbage of each document.
type writer struct {
	b []byte
}

// next puts a comma between members.
func (w *writer) next() {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *writer) key(name string) {
	w.next()
	w.b = append(quoted(w.b, name), ':')
}

// open begins an object.
func (w *writer) open(name string) {
	w.key(name)
	w.b = append(w.b, '{')
}

func (w *writer) close() { w.b = append(w.b, '}') }

func (w *writer) text(name, v string) {
	w.key(name)
	w.b = quoted(w.b, v)
}

func (w *writer) uint(name string, v uint64) {
	w.key(name)
	w.b = strconv.AppendUint(w.b, v, 10)
}

// number writes no number as null, and infinities as the largest numbers that JSON's readers take.
func (w *writer) number(name string, v float64) {
	w.key(name)
	w.b = number(w.b, v)
}

func number(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "null"...)
	case math.IsInf(v, 0):
		v = math.Copysign(math.MaxFloat64, v)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

func (w *writer) texts(list []string) {
	w.b = append(w.b, '[')
	for _, v := range list {
		w.next()
		w.b = quoted(w.b, v)
	}
	w.b = append(w.b, ']')
}

func (w *writer) numbers(list []float64) {
	w.b = append(w.b, '[')
	for _, v := range list {
		w.next()
		w.b = number(w.b, v)
	}
	w.b = append(w.b, ']')
}

const hex = "0123456789abcdef"

// quoted appends a JSON string.
func quoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = utf8.AppendRune(b, utf8.RuneError)
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}
