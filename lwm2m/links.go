package lwm2m

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a document in the CoRE Link Format from outside.
const (
	MaxLinks      = 8192    // links in one document
	MaxLinksBytes = 1 << 20 // length of one document
)

// Link is an entry of the CoRE Link Format (RFC 6690 §2): what a device registers and what a Discover answers.
type Link struct {
	Target string // as it stands between < and >, such as "/3/0"
	Params string // as they stand after the target, without the first semicolon: `ver=1.1;pmin=10`
}

// LinkTo returns a link to a path. The parameters are names and values in turn; a value that is no token is quoted.
func LinkTo(p Path, params ...string) Link {
	var b []byte
	for i := 0; i+1 < len(params); i += 2 {
		if i > 0 {
			b = append(b, ';')
		}
		b = appendParam(b, params[i], params[i+1])
	}
	return Link{Target: p.String(), Params: string(b)}
}

func appendParam(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), '=')
	if isToken(value) {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, value[i])
	}
	return append(dst, '"')
}

// isToken reports whether a value may stand without quotes; OMA writes rt="oma.lwm2m" with them, so a letter asks for
// quotes here and numbers go without.
func isToken(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return s != ""
}

// Path returns the path that the link names below a root, which is "/" or the alternate path of a device (Core 1.2
// §6.2.1); ok is false for a link to something else.
func (l Link) Path(root string) (p Path, ok bool) {
	rest, below := strings.CutPrefix(l.Target, strings.TrimSuffix(root, "/"))
	if !below || rest != "" && rest[0] != '/' {
		return Path{}, false
	}
	return parsePath(rest)
}

// All iterates over the parameters; a parameter without value has "".
func (l Link) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		s := linkScanner{text: l.Params}
		for s.at < len(s.text) {
			name, value, ok := s.param()
			if !ok || !yield(name, unquote(value)) {
				return
			}
			s.take(';')
		}
	}
}

// Param returns the value of the first parameter of a name.
func (l Link) Param(name string) (value string, ok bool) {
	for n, v := range l.All() {
		if n == name {
			return v, true
		}
	}
	return "", false
}

// Version returns the version that the link tells of an object (the "ver" parameter), the zero one if it tells none or
// something that is no version.
func (l Link) Version() Version {
	text, _ := l.Param("ver")
	v, _ := ParseVersion(text)
	return v
}

// Links is a document in the CoRE Link Format.
type Links []Link

// Root returns the link that says where the device's tree begins: the one of resource type "oma.lwm2m". Without it the
// tree begins at "/", which is returned with no parameters.
func (ls Links) Root() Link {
	for _, l := range ls {
		if rt, ok := l.Param("rt"); ok && hasWord(rt, "oma.lwm2m") {
			return l
		}
	}
	return Link{Target: "/"}
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

// ParseLinks reads a document in the CoRE Link Format (RFC 6690 §2), at most MaxLinksBytes long with MaxLinks links. The
// links share one copy of the document.
func ParseLinks(document []byte) (Links, error) {
	switch {
	case len(document) == 0:
		return nil, nil
	case len(document) > MaxLinksBytes:
		return nil, badLinks(0, "it is longer than "+strconv.Itoa(MaxLinksBytes)+" bytes")
	case !utf8.Valid(document):
		return nil, badLinks(0, "it is not UTF-8")
	}
	s := linkScanner{text: string(document)}
	links := make(Links, 0, min(MaxLinks, strings.Count(s.text, "<")))
	for {
		if len(links) == MaxLinks {
			return nil, badLinks(s.at, "it has more than "+strconv.Itoa(MaxLinks)+" links")
		}
		l, ok := s.link()
		if !ok {
			return nil, badLinks(s.at, `a link looks like </3/0>;name=value;name="value"`)
		}
		links = append(links, l)
		s.space()
		if s.at == len(s.text) {
			return links, nil
		}
		if !s.take(',') {
			return nil, badLinks(s.at, "links are parted by commas")
		}
	}
}

// Append appends the document.
func (ls Links) Append(dst []byte) []byte {
	for i, l := range ls {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '<'), l.Target...), '>')
		if l.Params != "" {
			dst = append(append(dst, ';'), l.Params...)
		}
	}
	return dst
}

// String is Append.
func (ls Links) String() string { return string(ls.Append(nil)) }

// linkScanner walks over a document.
type linkScanner struct {
	text string
	at   int
}

func (s *linkScanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// space skips blanks, which RFC 6690 does not allow between links but devices write.
func (s *linkScanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\n' || s.text[s.at] == '\r') {
		s.at++
	}
}

func (s *linkScanner) link() (l Link, ok bool) {
	s.space()
	if !s.take('<') {
		return l, false
	}
	length := strings.IndexByte(s.text[s.at:], '>')
	if length < 0 {
		return l, false
	}
	l.Target = s.text[s.at : s.at+length]
	s.at += length + 1
	if !s.take(';') {
		return l, true
	}
	start := s.at
	for {
		if _, _, ok := s.param(); !ok {
			return l, false
		}
		if !s.take(';') {
			break
		}
	}
	l.Params = s.text[start:s.at]
	return l, true
}

// param reads one parameter; the value is still quoted.
func (s *linkScanner) param() (name, value string, ok bool) {
	start := s.at
	for s.at < len(s.text) && isNameByte(s.text[s.at]) {
		s.at++
	}
	name = s.text[start:s.at]
	if !s.take('=') {
		return name, "", name != ""
	}
	start = s.at
	if s.at < len(s.text) && s.text[s.at] == '"' {
		ok = s.quoted()
	} else {
		ok = s.token()
	}
	return name, s.text[start:s.at], ok && name != ""
}

func isNameByte(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`=;,"<>\`, rune(c))
}

func (s *linkScanner) quoted() bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return true
		}
	}
	s.at = len(s.text)
	return false
}

func (s *linkScanner) token() bool {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] > ' ' && s.text[s.at] != ';' && s.text[s.at] != ',' && s.text[s.at] != '"' {
		s.at++
	}
	return s.at > start
}

func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' {
		return value
	}
	value = value[1 : len(value)-1]
	if strings.IndexByte(value, '\\') < 0 {
		return value
	}
	b := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		b = append(b, value[i])
	}
	return string(b)
}

func badLinks(at int, why string) error {
	return &Error{
		Code: CodeLinks, What: "read a document in the CoRE Link Format (byte " + strconv.Itoa(at) + ")", Why: why,
		Hint: "the form is that of RFC 6690 section 2",
	}
}
