package sdf

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Accept makes a value of q of what a person or a lenient program gives, and checks it: text for a number, a boolean or a time (RFC 3339), the
// name of a choice for its constant, base64url text for a byte string. A map or an array given for a byte string stands for its JSON text: that is
// how D3.3, section 6.3.2, hands a package description over.
func (q *Data) Accept(value any) (any, error) {
	accepted, err := q.accept(value, 0)
	if err == nil {
		err = q.Check(accepted)
	}
	if err != nil {
		return nil, err
	}
	return accepted, nil
}

func (q *Data) accept(value any, depth int) (any, error) {
	if value == nil || depth > deepestData {
		return value, nil
	}
	if text, ok := value.(string); ok {
		if constant, found := q.Choose(text); found {
			return constant, nil
		}
	}
	switch {
	case q.SDFType == ByteString:
		return acceptBytes(value)
	case q.Type == TypeInteger || q.Type == TypeNumber || q.SDFType == UnixTime:
		return q.acceptNumber(value)
	case q.Type == TypeBoolean:
		return acceptBoolean(value), nil
	}
	switch v := value.(type) {
	case []any:
		return q.acceptItems(v, depth)
	case map[string]any:
		return q.acceptMembers(v, depth)
	}
	return value, nil
}

func acceptBytes(value any) (any, error) {
	switch value.(type) {
	case map[string]any, []any:
		return EncodeJSON(value)
	}
	data, err := byteString(value)
	if err != nil {
		return nil, &Error{Attempt: "read a byte string", Code: CodeValue, Why: err.Error(), Hint: "send base64url without padding in JSON, or bytes in CBOR"}
	}
	return data, nil
}

func (q *Data) acceptNumber(value any) (any, error) {
	if text, ok := value.(string); ok {
		text = strings.TrimSpace(text)
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil && q.SDFType == UnixTime {
			return unixTime(at), nil
		}
		n, err := parseNumber(text)
		if err != nil {
			return value, nil // Check says that it is not a number
		}
		value = n
	}
	if f, ok := value.(float64); ok && q.Type == TypeInteger && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return int64(f), nil
	}
	return value, nil
}

// unixTime is a number of seconds, whole if it can be.
func unixTime(t time.Time) any {
	if t.Nanosecond() == 0 {
		return t.Unix()
	}
	return float64(t.UnixNano()) / 1e9
}

func acceptBoolean(value any) any {
	text, _ := value.(string)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	return value
}

func (q *Data) acceptItems(items []any, depth int) (_ any, err error) {
	if q.Items == nil {
		return items, nil
	}
	accepted := make([]any, len(items))
	for i, item := range items {
		if accepted[i], err = q.Items.accept(item, depth+1); err != nil {
			return nil, err
		}
	}
	return accepted, nil
}

func (q *Data) acceptMembers(members map[string]any, depth int) (_ any, err error) {
	accepted := make(map[string]any, len(members))
	for name, member := range members {
		if of := q.Properties[name]; of != nil {
			if member, err = of.accept(member, depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		accepted[name] = member
	}
	return accepted, nil
}

// Choose returns the constant of a named choice. Case, and _ for a space, make no difference where the name is the only one of its kind.
func (q *Data) Choose(name string) (any, bool) {
	if _, exact := q.Choice[name]; exact {
		return q.constant(name)
	}
	var found string
	for _, candidate := range sortedNames(q.Choice) {
		if plainName(candidate) == plainName(name) {
			if found != "" {
				return nil, false
			}
			found = candidate
		}
	}
	if found == "" {
		return nil, false
	}
	return q.constant(found)
}

func plainName(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "_")) }

func (q *Data) constant(name string) (any, bool) {
	constant := q.alternative(name).Const
	return constant, constant != nil
}

// ChoiceOf returns the name of the choice that stands for a value, or "".
func (q *Data) ChoiceOf(value any) string {
	for _, name := range sortedNames(q.Choice) {
		if constant, ok := q.constant(name); ok && equal(constant, value) {
			return name
		}
	}
	return ""
}
