package codec

import (
	"encoding/base64"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
)

// text decodes plain text (Core 1.2 §7.5.1): a value in the form of its type, opaque bytes in base64.
func (b *builder) text(payload []byte) {
	kind, _, known := b.kind(b.base)
	if !known {
		kind = lwm2m.KindString
	}
	text := string(payload)
	if kind == lwm2m.KindOpaque {
		bytes, ok := decodeBase64(text)
		if !ok {
			b.fail(CodeMalformed, 0, "opaque bytes in plain text have to be base64")
		}
		text = string(bytes)
	}
	v, err := lwm2m.ParseValue(kind, text)
	if err != nil {
		b.fail(CodeType, 0, err.Error())
	}
	b.add(b.base, v)
}

// decodeBase64 takes both alphabets, with and without padding, since devices disagree.
func decodeBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	bytes, err := encoding.DecodeString(s)
	return bytes, err == nil
}

// cbor decodes one value in CBOR (Core 1.2 §7.5.3).
func (b *builder) cbor(payload []byte) {
	r := cborReader{b: payload}
	v := r.value()
	r.end()
	if r.problem != "" {
		b.fail(CodeMalformed, r.failed, r.problem)
	}
	b.add(b.base, v)
}

// appendSingle appends the one value of a tree.
func appendSingle(dst []byte, f lwm2m.Format, base lwm2m.Path, t lwm2m.Tree) ([]byte, error) {
	if len(t) != 1 || t[0].Path != base || t[0].Value.IsNone() {
		return dst, cannotEncode(f, base, "the format carries one value")
	}
	v := t[0].Value
	switch {
	case f.Canonical() == lwm2m.FormatCBOR:
		return appendCBORValue(dst, v), nil
	case f.Canonical() == lwm2m.FormatText && v.Kind() == lwm2m.KindOpaque:
		return base64.StdEncoding.AppendEncode(dst, []byte(v.Text())), nil
	case f.Canonical() == lwm2m.FormatOpaque && v.Kind() != lwm2m.KindOpaque:
		return dst, cannotEncode(f, base, "the value is of type "+v.Kind().String())
	default:
		return v.Append(dst), nil
	}
}
