package sdf

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Pointer is a JSON Pointer (RFC 6901), a name at a time. The empty one is the whole document.
type Pointer []string

var (
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
)

// ParsePointer reads the text of a JSON Pointer (RFC 6901, section 3).
func ParsePointer(text string) (Pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, errors.New("a pointer begins with /")
	}
	names := strings.Split(text[1:], "/")
	for i, name := range names {
		for rest := name; ; {
			at := strings.IndexByte(rest, '~')
			if at < 0 {
				break
			}
			if rest = rest[at+1:]; rest == "" || rest[0] != '0' && rest[0] != '1' {
				return nil, errors.New("~ stands for itself as ~0")
			}
		}
		names[i] = unescape.Replace(name)
	}
	return names, nil
}

func (p Pointer) String() string {
	var text strings.Builder
	for _, name := range p {
		text.WriteString("/" + escape.Replace(name))
	}
	return text.String()
}

// Child returns the pointer to what p leads to by the names that follow.
func (p Pointer) Child(names ...string) Pointer {
	return append(p[:len(p):len(p)], names...)
}

// Name is the last name, which is the label of a definition that has none.
func (p Pointer) Name() string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1]
}

// fragment is the pointer as the fragment of a URI (RFC 6901, section 6).
func (p Pointer) fragment() string {
	var text strings.Builder
	for _, c := range []byte(p.String()) {
		if isFragment(c) {
			text.WriteByte(c)
		} else {
			fmt.Fprintf(&text, "%%%02X", c)
		}
	}
	return text.String()
}

// isFragment reports whether c may stand in a fragment as it is (RFC 3986, section 3.5).
func isFragment(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0
}

// Reference names a definition, here or in another namespace: "#/sdfData/Length" or "oma:#/sdfObject/Device" (RFC 9880, section 4.3).
type Reference struct {
	// Prefix is a short name that the document declares; empty means the document itself.
	Prefix  string
	Pointer Pointer
}

// ParseReference reads a name reference. A bare name is none: only sdfRequired has those.
func ParseReference(text string) (Reference, error) {
	prefix, fragment, found := strings.Cut(text, "#")
	if !found {
		return Reference{}, fmt.Errorf("%q lacks the # before its pointer", shorten(text))
	}
	if prefix != "" {
		var colon bool
		if prefix, colon = strings.CutSuffix(prefix, ":"); !colon || prefix == "" || strings.ContainsAny(prefix, ":/") {
			return Reference{}, fmt.Errorf("%q is neither #/NAME nor prefix:#/NAME", shorten(text))
		}
	}
	if decoded, err := url.PathUnescape(fragment); err == nil {
		fragment = decoded
	}
	pointer, err := ParsePointer(fragment)
	if err == nil && len(pointer) == 0 {
		err = errors.New("it names the whole document")
	}
	if err != nil {
		return Reference{}, fmt.Errorf("%q: %w", shorten(text), err)
	}
	return Reference{Prefix: prefix, Pointer: pointer}, nil
}

func (r Reference) String() string {
	if r.Prefix == "" {
		return "#" + r.Pointer.fragment()
	}
	return r.Prefix + ":#" + r.Pointer.fragment()
}
