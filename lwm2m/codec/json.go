package codec

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
)

// maxJSONDepth bounds nesting in what is skipped.
const maxJSONDepth = 8

// jsonReader walks over JSON (RFC 8259). encoding/json would take "BN" for "bn", and the last of two members of one name
// in silence. The first problem sticks and moves it to the end.
type jsonReader struct {
	b       []byte
	at      int
	problem string
	failed  int // where
}

func (r *jsonReader) fail(problem string) {
	if r.problem == "" {
		r.problem, r.failed = problem, r.at
	}
	r.at = len(r.b)
}

// next skips blanks and returns the byte that follows, 0 at the end.
func (r *jsonReader) next() byte {
	for r.at < len(r.b) {
		switch c := r.b[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) take(c byte) bool {
	if r.next() == c && r.at < len(r.b) {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) expect(c byte, problem string) {
	if !r.take(c) {
		r.fail(problem)
	}
}

// end reports bytes that are left over.
func (r *jsonReader) end() {
	if r.next(); r.problem == "" && r.at < len(r.b) {
		r.fail("bytes after the end")
	}
}

// list walks over what stands between two brackets, parted by commas.
func (r *jsonReader) list(open, close byte, problem string, each func()) {
	r.expect(open, problem)
	for first := true; r.problem == "" && !r.take(close); first = false {
		if !first {
			r.expect(',', "a comma is missing")
		}
		if r.problem == "" {
			each()
		}
	}
}

// members walks over an object.
func (r *jsonReader) members(problem string, each func(name string)) {
	r.list('{', '}', problem, func() {
		name := r.text("a name is text")
		r.expect(':', "a colon is missing")
		if r.problem == "" {
			each(name)
		}
	})
}

// text reads a string.
func (r *jsonReader) text(problem string) string {
	if r.next() != '"' {
		r.fail(problem)
		return ""
	}
	r.at++
	start := r.at
	for r.at < len(r.b) {
		switch c := r.b[r.at]; {
		case c == '"':
			s := string(r.b[start:r.at])
			r.at++
			if !utf8.ValidString(s) {
				r.fail("a text is not UTF-8")
			}
			return s
		case c == '\\':
			return r.escaped(append([]byte(nil), r.b[start:r.at]...))
		case c < ' ':
			r.fail("a control character in a text")
			return ""
		}
		r.at++
	}
	r.fail("a text has no end")
	return ""
}

// escaped reads the rest of a string from its first backslash on.
func (r *jsonReader) escaped(s []byte) string {
	for r.at < len(r.b) {
		c := r.b[r.at]
		r.at++
		switch {
		case c == '"':
			if !utf8.Valid(s) {
				r.fail("a text is not UTF-8")
			}
			return string(s)
		case c == '\\':
			s = r.escape(s)
		case c < ' ':
			r.fail("a control character in a text")
		default:
			s = append(s, c)
		}
	}
	r.fail("a text has no end")
	return ""
}

var jsonEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (r *jsonReader) escape(s []byte) []byte {
	if r.at == len(r.b) {
		return s
	}
	c := r.b[r.at]
	r.at++
	if plain, ok := jsonEscapes[c]; ok {
		return append(s, plain)
	}
	if c != 'u' {
		r.fail("an escape that JSON does not have")
		return s
	}
	code := r.hex()
	if utf16.IsSurrogate(code) {
		if r.at+1 < len(r.b) && r.b[r.at] == '\\' && r.b[r.at+1] == 'u' {
			r.at += 2
			code = utf16.DecodeRune(code, r.hex())
		} else {
			code = utf8.RuneError
		}
	}
	return utf8.AppendRune(s, code)
}

func (r *jsonReader) hex() rune {
	if len(r.b)-r.at < 4 {
		r.fail("a text has no end")
		return 0
	}
	code, err := strconv.ParseUint(string(r.b[r.at:r.at+4]), 16, 16)
	if err != nil {
		r.fail("an escape that JSON does not have")
		return 0
	}
	r.at += 4
	return rune(code)
}

// value reads a number: an integer if it is written as one and fits, a float otherwise.
func (r *jsonReader) value(problem string) lwm2m.Value {
	r.next()
	start := r.at
	fraction := false
	for r.at < len(r.b) {
		c := r.b[r.at]
		if c == '.' || c == 'e' || c == 'E' {
			fraction = true
		} else if c != '-' && c != '+' && (c < '0' || c > '9') {
			break
		}
		r.at++
	}
	text := string(r.b[start:r.at])
	if !fraction {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil && text[0] != '+' {
			return lwm2m.Integer(i)
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return lwm2m.Unsigned(u)
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || text[0] == '+' || text[0] == '.' {
		r.at = start
		r.fail(problem)
		return lwm2m.Value{}
	}
	return lwm2m.Float(f)
}

func (r *jsonReader) number(problem string) float64 { return r.value(problem).Float() }

func (r *jsonReader) boolean() lwm2m.Value {
	switch {
	case r.word("true"):
		return lwm2m.Boolean(true)
	case r.word("false"):
		return lwm2m.Boolean(false)
	}
	r.fail("a boolean is true or false")
	return lwm2m.Value{}
}

func (r *jsonReader) word(w string) bool {
	r.next()
	if len(r.b)-r.at < len(w) || string(r.b[r.at:r.at+len(w)]) != w {
		return false
	}
	r.at += len(w)
	return true
}

// skip passes over any value.
func (r *jsonReader) skip(depth int) {
	if depth == maxJSONDepth {
		r.fail("it is nested too deep")
		return
	}
	switch c := r.next(); {
	case c == '"':
		r.text("")
	case c == '{':
		r.members("", func(string) { r.skip(depth + 1) })
	case c == '[':
		r.list('[', ']', "", func() { r.skip(depth + 1) })
	case r.word("true"), r.word("false"), r.word("null"):
	default:
		r.value("something that is no JSON")
	}
}

func appendJSONString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
