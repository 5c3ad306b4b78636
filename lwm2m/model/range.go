package model

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
)

// Range is what RangeEnumeration allows: of a number its value, of a string or opaque bytes its length in bytes. The zero
// Range allows everything: the column is free text, and what is not understood must not refuse a value.
type Range struct {
	Min, Max float64   // inclusive, where Bounded
	Bounded  bool      // Min and Max hold
	Values   []float64 // only these, if not empty
	Bytes    bool      // the file says "bytes"
}

// ParseRange reads the column RangeEnumeration for a resource of a kind: "0..255", "0..255 bytes", "1...25", "0-100",
// "16,32,48", "16-32-48 bytes", "32 bytes".
func ParseRange(kind lwm2m.Kind, text string) Range {
	text = strings.TrimSpace(text)
	body, bytes := strings.CutSuffix(text, "bytes")
	body = strings.TrimSpace(body)
	r := Range{Bytes: bytes}
	numbers, separator, ok := numbersOf(body)
	switch {
	case !ok:
		return Range{}
	case len(numbers) == 1 && (bytes || kind == lwm2m.KindString || kind == lwm2m.KindOpaque):
		r.Min, r.Max, r.Bounded = 0, numbers[0], true
	case len(numbers) == 1: // "255" is a bound to some authors and a value to others
		return Range{}
	case separator == ",", len(numbers) > 2:
		r.Values = numbers
	case numbers[0] <= numbers[1]:
		r.Min, r.Max, r.Bounded = numbers[0], numbers[1], true
	default:
		return Range{}
	}
	return r.forKind(kind)
}

// forKind turns "2 bytes" of an integer into the numbers that two bytes hold.
func (r Range) forKind(kind lwm2m.Kind) Range {
	switch kind {
	case lwm2m.KindString, lwm2m.KindOpaque, lwm2m.KindCoreLink:
		return r
	case lwm2m.KindInteger, lwm2m.KindUnsigned:
		if r.Bytes && r.Bounded && r.Max <= 4 {
			limit := math.Exp2(8 * r.Max)
			r.Min, r.Max = -limit/2, limit-1
			if kind == lwm2m.KindUnsigned {
				r.Min = 0
			}
		}
		return r
	case lwm2m.KindFloat, lwm2m.KindTime:
		return r
	default:
		return Range{}
	}
}

// numbersOf splits a list of numbers by the separator that stands between the first two.
func numbersOf(s string) (numbers []float64, separator string, ok bool) {
	for {
		n := numberLength(s)
		f, err := strconv.ParseFloat(s[:n], 64)
		if err != nil {
			return nil, "", false
		}
		numbers = append(numbers, f)
		if s = strings.TrimSpace(s[n:]); s == "" {
			return numbers, separator, len(numbers) <= 64
		}
		between, rest, found := cutSeparator(s)
		if !found || separator != "" && separator != between {
			return nil, "", false
		}
		separator, s = between, rest
	}
}

func cutSeparator(s string) (separator, rest string, ok bool) {
	for _, sep := range []string{"...", "..", ",", ";", "-"} {
		if rest, ok := strings.CutPrefix(s, sep); ok {
			if sep == ";" {
				sep = ","
			}
			return strings.Replace(sep, "...", "..", 1), strings.TrimSpace(rest), true
		}
	}
	return "", "", false
}

// numberLength is the length of the decimal number that s begins with; the dots of ".." are no part of it.
func numberLength(s string) int {
	n := 0
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		n++
	}
	for n < len(s) && (isDigit(s[n]) || s[n] == '.' && n+1 < len(s) && isDigit(s[n+1])) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Allows reports whether a value is within the range.
func (r Range) Allows(v lwm2m.Value) bool {
	var n float64
	switch v.Kind() {
	case lwm2m.KindString, lwm2m.KindOpaque, lwm2m.KindCoreLink:
		n = float64(len(v.Text()))
		if v.Kind() == lwm2m.KindString && !r.Bytes {
			n = float64(utf8.RuneCountInString(v.Text()))
		}
	default:
		n = v.Float()
	}
	return (!r.Bounded || n >= r.Min && n <= r.Max) && (len(r.Values) == 0 || slices.Contains(r.Values, n))
}
