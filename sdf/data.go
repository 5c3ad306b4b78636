package sdf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Check says whether a value is one of q. Unknown sdfTypes and extensions are not looked at. A byte string may be []byte, or base64url text
// as in JSON.
func (q *Data) Check(value any) error {
	var found []Problem
	q.check(value, nil, &found, 0)
	return problems("check the value", CodeValue, "see the definition for what it may be", found)
}

func parseData(tree map[string]any) (*Data, error) {
	q := &Data{}
	return q, fromTree(tree, reflect.ValueOf(q).Elem(), nil)
}

// whyOf is the cause of an error alone.
func whyOf(err error) string {
	if own, ok := errors.AsType[*Error](err); ok {
		return own.Why
	}
	return err.Error()
}

const deepestData = 16 // RFC 9880 nests two levels; choices of choices a few more

func (q *Data) check(value any, at Pointer, found *[]Problem, depth int) {
	report := func(format string, args ...any) {
		if len(*found) <= maxProblems {
			*found = append(*found, Problem{at, fmt.Sprintf(format, args...)})
		}
	}
	if depth > deepestData {
		report("the definition is nested too deep")
		return
	}
	if value == nil {
		if q.Nullable != nil && !*q.Nullable {
			report("null is not allowed")
		}
		return
	}
	if why := q.wrongType(value); why != "" {
		report("%s", why)
		return
	}
	if q.Const != nil && !equal(q.Const, value) {
		report("%s is not %s", describe(value), describe(q.Const))
	}
	q.checkChoice(value, depth, report)
	q.checkNumber(value, report)
	q.checkText(value, report)
	q.checkItems(value, at, found, depth, report)
	q.checkMembers(value, at, found, depth, report)
}

// wrongType says why a value is not of the type, or "".
func (q *Data) wrongType(value any) string {
	ok := true
	switch q.Type {
	case TypeNumber:
		ok = isNumber(value)
	case TypeInteger:
		ok = isInteger(value)
	case TypeBoolean:
		_, ok = value.(bool)
	case TypeArray:
		_, ok = value.([]any)
	case TypeObject:
		_, ok = value.(map[string]any)
	case TypeString:
		ok = isText(value) || q.SDFType == ByteString && isBytes(value)
	case "":
		ok = q.SDFType != UnixTime || isNumber(value)
	}
	switch {
	case !ok:
		return fmt.Sprintf("%s is not %s", describe(value), article(q.Type))
	case q.SDFType != ByteString:
		return ""
	}
	if _, err := byteString(value); err != nil {
		return err.Error()
	}
	return ""
}

func (q *Data) checkChoice(value any, depth int, report func(string, ...any)) {
	if len(q.Enum) > 0 {
		text, ok := value.(string)
		for _, name := range q.Enum {
			if ok && name == text {
				return
			}
		}
		report("%s is not one of %s", describe(value), strings.Join(q.Enum, ", "))
		return
	}
	if len(q.Choice) == 0 {
		return
	}
	for _, name := range sortedNames(q.Choice) {
		var wrong []Problem
		if q.alternative(name).check(value, nil, &wrong, depth+1); len(wrong) == 0 {
			return
		}
	}
	report("%s is none of %s", describe(value), shorten(strings.Join(sortedNames(q.Choice), ", ")))
}

// alternative is one choice, with what is said of all of them. One that says nothing at all is the text of its name (RFC 9880, section 4.7.2).
func (q *Data) alternative(name string) *Data {
	a := *q.Choice[name]
	if a.Type == "" {
		a.Type, a.SDFType = q.Type, q.SDFType
	}
	if a.Const == nil && a.isBare() && (a.Type == "" || a.Type == TypeString) {
		a.Const = name
	}
	return &a
}

// isBare reports whether data qualities constrain nothing but the type.
func (q *Data) isBare() bool {
	return q.Minimum == nil && q.Maximum == nil && q.ExclusiveMinimum == nil && q.ExclusiveMaximum == nil && q.MultipleOf == nil && q.Pattern == "" && q.Format == "" &&
		q.MinLength == nil && q.MaxLength == nil && q.Items == nil && q.Properties == nil && len(q.Choice) == 0 && len(q.Enum) == 0
}

func (q *Data) checkNumber(value any, report func(string, ...any)) {
	if !isNumber(value) {
		return
	}
	for _, bound := range []struct {
		limit any
		wrong func(order int) bool
		word  string
	}{
		{q.Minimum, func(o int) bool { return o < 0 }, "below"},
		{q.Maximum, func(o int) bool { return o > 0 }, "above"},
		{q.ExclusiveMinimum, func(o int) bool { return o <= 0 }, "not above"},
		{q.ExclusiveMaximum, func(o int) bool { return o >= 0 }, "not below"},
	} {
		if bound.limit != nil && isNumber(bound.limit) && bound.wrong(compareNumbers(value, bound.limit)) {
			report("%s is %s %s", describe(value), bound.word, describe(bound.limit))
		}
	}
	if isNumber(q.MultipleOf) && !isMultiple(value, q.MultipleOf) {
		report("%s is no multiple of %s", describe(value), describe(q.MultipleOf))
	}
}

func (q *Data) checkText(value any, report func(string, ...any)) {
	var length uint64
	switch v := value.(type) {
	case string:
		length = uint64(utf8.RuneCountInString(v))
		if q.SDFType == ByteString {
			data, _ := byteString(v)
			length = uint64(len(data))
		}
		q.checkPattern(v, report)
	case []byte:
		length = uint64(len(v))
	default:
		return
	}
	if q.MinLength != nil && length < *q.MinLength {
		report("its length %d is below %d", length, *q.MinLength)
	}
	if q.MaxLength != nil && length > *q.MaxLength {
		report("its length %d is above %d", length, *q.MaxLength)
	}
}

func (q *Data) checkPattern(text string, report func(string, ...any)) {
	if q.Pattern != "" {
		if pattern, err := compilePattern(q.Pattern); err == nil && !pattern.MatchString(text) {
			report("%s does not match %s", describe(text), shorten(q.Pattern))
		}
	}
	if check := formats[q.Format]; check != nil && !check(text) {
		report("%s is not %s", describe(text), article(q.Format))
	}
}

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

var formats = map[string]func(string) bool{
	"date-time":     parses(time.RFC3339Nano),
	"date":          parses(time.DateOnly),
	"time":          parses("15:04:05.999999999Z07:00"),
	"uri":           func(s string) bool { u, err := url.Parse(s); return err == nil && u.IsAbs() },
	"uri-reference": func(s string) bool { _, err := url.Parse(s); return err == nil },
	"uuid":          uuid.MatchString,
}

func parses(layout string) func(string) bool {
	return func(s string) bool { _, err := time.Parse(layout, s); return err == nil }
}

func (q *Data) checkItems(value any, at Pointer, found *[]Problem, depth int, report func(string, ...any)) {
	items, ok := value.([]any)
	if !ok {
		return
	}
	if n := uint64(len(items)); q.MinItems != nil && n < *q.MinItems {
		report("it has %d items and needs %d", n, *q.MinItems)
	} else if q.MaxItems != nil && n > *q.MaxItems {
		report("it has %d items and may have %d", n, *q.MaxItems)
	}
	if q.UniqueItems != nil && *q.UniqueItems && hasTwins(items) {
		report("an item stands twice")
	}
	for i, item := range items {
		if q.Items != nil {
			q.Items.check(item, at.Child(fmt.Sprint(i)), found, depth+1)
		}
	}
}

func (q *Data) checkMembers(value any, at Pointer, found *[]Problem, depth int, report func(string, ...any)) {
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	for _, name := range q.RequiredNames {
		if _, has := object[name]; !has {
			report("it lacks %q", name)
		}
	}
	for _, name := range sortedNames(q.Properties) {
		if member, has := object[name]; has {
			q.Properties[name].check(member, at.Child(name), found, depth+1)
		}
	}
}

// byteString reads a byte string in either notation. Padding and the other alphabet of base64 are taken too.
func byteString(value any) ([]byte, error) {
	text, ok := value.(string)
	if !ok {
		data, isData := value.([]byte)
		if !isData {
			return nil, fmt.Errorf("%s is not a byte string", describe(value))
		}
		return data, nil
	}
	plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	data, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url (RFC 4648, section 5)", describe(text))
	}
	return data, nil
}

func isText(value any) bool  { _, ok := value.(string); return ok }
func isBytes(value any) bool { _, ok := value.([]byte); return ok }

func isNumber(value any) bool {
	switch value.(type) {
	case int64, uint64, float64:
		return true
	}
	return false
}

// isInteger: 10.0 is one too.
func isInteger(value any) bool {
	if f, ok := value.(float64); ok {
		return f == math.Trunc(f) && !math.IsInf(f, 0)
	}
	return isNumber(value)
}

func article(what string) string {
	if what == "" {
		return "such a value"
	}
	if strings.ContainsRune("aeio", rune(what[0])) {
		return "an " + what
	}
	return "a " + what
}

// describe names a value in a message.
func describe(value any) string {
	switch v := value.(type) {
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	case []byte:
		return fmt.Sprintf("a byte string of %d bytes", len(v))
	case string:
		return fmt.Sprintf("%q", shorten(v))
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}
