package mqtt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a payload from outside, in either encoding.
const (
	maxDepth   = 16
	maxMembers = 1 << 16 // of all maps and arrays together
)

var errPayload = errors.New("payload")

// appendJSON appends v, a value as Request.Data may be, with sorted members. Bytes become base64url, as RFC 9880, 4.7 writes byte-string.
func appendJSON(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case []byte:
		b = append(b, '"')
		b = base64.RawURLEncoding.AppendEncode(b, v)
		return append(b, '"'), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		return appendFloat(b, v), nil
	case []any:
		return appendArray(b, v)
	case map[string]any:
		return appendObject(b, v)
	}
	return appendOther(b, v)
}

// appendOther is for what callers made of types of their own: models, foremost.
func appendOther(b []byte, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return b, fmt.Errorf("encode %T: %w", v, err)
	}
	return append(b, raw...), nil
}

func appendArray(b []byte, v []any) (_ []byte, err error) {
	b = append(b, '[')
	for i, e := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendJSON(b, e); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, v map[string]any) (_ []byte, err error) {
	var room [16]string
	keys := room[:0]
	for k := range v {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		if b, err = appendJSON(b, v[k]); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// appendFloat writes what JSON has no number for as null.
func appendFloat(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendString escapes no more than it must: people read links, whose < and > encoding/json would write as numbers.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// parseJSON reads one value, strictly: no member twice, no bytes behind it, not deep, not wide.
func parseJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w is not UTF-8", errPayload)
	}
	p := jsonReader{dec: json.NewDecoder(bytes.NewReader(b)), left: maxMembers}
	p.dec.UseNumber()
	v, err := p.value(maxDepth)
	if err != nil {
		return nil, fmt.Errorf("%w is not JSON: %w", errPayload, err)
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w has bytes behind its JSON value", errPayload)
	}
	return v, nil
}

type jsonReader struct {
	dec  *json.Decoder
	left int // members yet allowed
}

func (p *jsonReader) value(depth int) (any, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth == 0 {
			return nil, fmt.Errorf("more than %d levels", maxDepth)
		}
		if t == '{' {
			return p.object(depth - 1)
		}
		return p.array(depth - 1)
	case json.Number:
		return number(string(t))
	}
	return t, nil // nil, bool, string
}

func (p *jsonReader) array(depth int) (any, error) {
	list := []any{}
	for p.dec.More() {
		v, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.dec.Token()
	return list, err
}

func (p *jsonReader) object(depth int) (any, error) {
	m := map[string]any{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		name := t.(string) // the decoder takes no other
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("member %q twice", name)
		}
		if m[name], err = p.member(depth); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.Token()
	return m, err
}

func (p *jsonReader) member(depth int) (any, error) {
	if p.left--; p.left < 0 {
		return nil, fmt.Errorf("more than %d members", maxMembers)
	}
	return p.value(depth)
}

// number keeps whole numbers whole: LwM2M's are 64 bits wide, more than a float64 holds.
func number(s string) (any, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %.40s is out of range", s)
	}
	return f, nil
}
