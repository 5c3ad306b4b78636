package sdf

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// EncodeJSON writes a value as JSON, names in order, a byte string as base64url without padding (RFC 8949, section 6.1). It fails on what
// JSON can't say: a float64 that is not finite, text that is not UTF-8, and types that are not values.
func EncodeJSON(value any) ([]byte, error) { return AppendJSON(nil, value) }

// AppendJSON is EncodeJSON into a buffer of the caller's.
func AppendJSON(dst []byte, value any) ([]byte, error) {
	text, err := appendJSON(dst, value)
	if err != nil {
		return dst, &Error{Attempt: "write JSON", Code: CodeSyntax, Why: err.Error(), Hint: "send it as CBOR, or leave it out", Err: err}
	}
	return text, nil
}

// IndentJSON lays JSON out over several lines.
func IndentJSON(text []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return text
	}
	return append(out.Bytes(), '\n')
}

func appendJSON(dst []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case float64:
		return appendFloat(dst, v)
	case string:
		return appendString(dst, v)
	case []byte:
		return append(base64.RawURLEncoding.AppendEncode(append(dst, '"'), v), '"'), nil
	case []any:
		return appendArray(dst, v)
	case map[string]any:
		return appendObject(dst, v)
	}
	return dst, fmt.Errorf("%T is not a value", value)
}

// appendFloat writes as encoding/json does, and a whole number with its ".0", so that it is read as a float64 again.
func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fmt.Errorf("JSON has no word for %v", f)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if format == 'f' && bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	return dst, nil
}

func appendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, fmt.Errorf("a text is not UTF-8")
	}
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[from:i]...), c)
			from = i + 1
		}
	}
	return append(append(dst, s[from:]...), '"'), nil
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	}
	return fmt.Appendf(dst, "\\u%04x", c)
}

func appendArray(dst []byte, array []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, item := range array {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, item); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendObject(dst []byte, object map[string]any) (_ []byte, err error) {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendString(dst, name); err != nil {
			return dst, err
		}
		if dst, err = appendJSON(append(dst, ':'), object[name]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}
