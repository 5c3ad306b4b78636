package sdf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	attemptJSON = "read JSON"
	hintJSON    = "send JSON text in UTF-8, each name once in its object (RFC 7493)"
)

// DecodeJSON reads one JSON value (RFC 8259, and stricter as RFC 7493 asks: each name once, nothing but Unicode).
func DecodeJSON(text []byte, limits Limits) (any, error) {
	limits = limits.orDefault()
	if err := limits.checkBytes(attemptJSON, len(text)); err != nil {
		return nil, err
	}
	if err := onlyUnicode(text); err != nil {
		return nil, jsonError(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	r := jsonReader{tokens: decoder, limits: limits}
	value, err := r.value(0)
	if err != nil {
		return nil, jsonError(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, jsonError(errors.New("something follows the value"))
	}
	return value, nil
}

func jsonError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return &Error{Attempt: attemptJSON, Code: CodeSyntax, Why: err.Error(), Hint: hintJSON, Err: err}
}

// onlyUnicode refuses what encoding/json would silently replace: invalid UTF-8 and half surrogate pairs.
func onlyUnicode(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	for i := bytes.IndexByte(text, '\\'); i >= 0 && i+1 < len(text); {
		step := 2
		if text[i+1] == 'u' {
			switch unit := hexUnit(text[i:]); {
			case unit >= 0xdc00 && unit < 0xe000:
				return fmt.Errorf("\\u%04x is half a character", unit)
			case unit >= 0xd800 && unit < 0xdc00:
				if low := hexUnit(text[min(i+6, len(text)):]); low < 0xdc00 || low >= 0xe000 {
					return fmt.Errorf("\\u%04x is half a character", unit)
				}
				step = 12
			}
		}
		i += step
		next := bytes.IndexByte(text[min(i, len(text)):], '\\')
		if next < 0 {
			return nil
		}
		i += next
	}
	return nil
}

// hexUnit reads \uXXXX at the start of text, or returns -1.
func hexUnit(text []byte) int64 {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int64(unit)
}

// jsonReader makes values of tokens and counts them.
type jsonReader struct {
	tokens *json.Decoder
	limits Limits
	values int
}

func (r *jsonReader) count() error {
	if r.values++; r.values > r.limits.Values {
		return tooLarge(attemptJSON, "values", r.limits.Values)
	}
	return nil
}

func (r *jsonReader) value(depth int) (any, error) {
	token, err := r.tokens.Token()
	if err != nil {
		return nil, err
	}
	if err := r.count(); err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth >= r.limits.Depth {
			return nil, tooLarge(attemptJSON, "levels", r.limits.Depth)
		}
		if t == '[' {
			return r.array(depth + 1)
		}
		return r.object(depth + 1)
	case json.Number:
		return parseNumber(string(t))
	}
	return token, nil
}

func (r *jsonReader) array(depth int) (any, error) {
	array := []any{}
	for r.tokens.More() {
		item, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
	_, err := r.tokens.Token()
	return array, err
}

func (r *jsonReader) object(depth int) (any, error) {
	object := map[string]any{}
	for r.tokens.More() {
		token, err := r.tokens.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the name %q stands twice in one object", shorten(name))
		}
		if err := r.count(); err != nil {
			return nil, err
		}
		if object[name], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	_, err := r.tokens.Token()
	return object, err
}

// parseNumber makes an integer of what is written as one and fits, otherwise the nearest float64.
func parseNumber(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number %s is out of range", shorten(text))
	}
	return f, nil
}

// shorten keeps what comes from outside short in messages.
func shorten(text string) string {
	const shown = 60
	if len(text) <= shown {
		return text
	}
	return strings.ToValidUTF8(text[:shown], "") + "..."
}
