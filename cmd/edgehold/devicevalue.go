package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edgehold/edgehold/sdf"
)

// showValue says a value to people: choices by name, times as dates, byte strings as text if they are, object links as 9:3. q may be nil.
func showValue(q *sdf.Data, value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []any:
		return showItems(q, v)
	case map[string]any:
		return showMembers(q, v)
	case []byte:
		return showBytes(v)
	case float64:
		return showFloat(v)
	}
	if q != nil {
		if name := q.ChoiceOf(value); name != "" && name != fmt.Sprint(value) {
			return fmt.Sprintf("%s (%v)", name, value)
		}
		if seconds, ok := value.(int64); ok && q.SDFType == sdf.UnixTime {
			return time.Unix(seconds, 0).UTC().Format(time.RFC3339)
		}
	}
	return fmt.Sprint(value)
}

// showFloat gives what a device sent as 32 bits no more digits than those hold.
func showFloat(f float64) string {
	if short := float32(f); float64(short) == f {
		return strconv.FormatFloat(f, 'g', -1, 32)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// showBytes writes text as it is, several lines in quotes, and the rest in hexadecimal.
func showBytes(data []byte) string {
	const shown = 32
	switch {
	case len(data) == 0:
		return ""
	case !utf8.Valid(data) || strings.ContainsFunc(string(data), func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }):
		text := fmt.Sprintf("0x%x", data[:min(len(data), shown)])
		if len(data) > shown {
			text += fmt.Sprintf("... (%d bytes)", len(data))
		}
		return text
	case strings.ContainsAny(string(data), "\n\t\r"):
		return strconv.Quote(string(data))
	}
	return string(data)
}

func showItems(q *sdf.Data, items []any) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = showValue(itemsOf(q), item)
	}
	return strings.Join(texts, ", ")
}

func itemsOf(q *sdf.Data) *sdf.Data {
	if q != nil && q.Items != nil {
		return q.Items
	}
	return q
}

// showMembers writes an object link, or items by their numbers, or whatever it is.
func showMembers(q *sdf.Data, members map[string]any) string {
	object, ok1 := members["object"].(int64)
	instance, ok2 := members["instance"].(int64)
	if ok1 && ok2 && len(members) == 2 {
		return fmt.Sprintf("%d:%d", object, instance)
	}
	var texts []string
	for _, name := range byNumber(members) {
		texts = append(texts, name+"="+showValue(itemsOf(q), members[name]))
	}
	return strings.Join(texts, ", ")
}

// byNumber orders names, numbers by what they are worth.
func byNumber(members map[string]any) []string {
	names := slices.Collect(maps.Keys(members))
	slices.SortFunc(names, func(a, b string) int {
		x, err1 := strconv.Atoi(a)
		y, err2 := strconv.Atoi(b)
		if err1 == nil && err2 == nil {
			return x - y
		}
		return strings.Compare(a, b)
	})
	return names
}

// readValue makes a value of what a person typed: @FILE is a file's content; [..] and {..} are JSON; a byte string is text or 0x..; several items of an array
// have commas between.
func readValue(q *sdf.Data, text string) (any, error) {
	isBytes := q != nil && q.SDFType == sdf.ByteString
	switch {
	case strings.HasPrefix(text, "@"):
		content, err := os.ReadFile(text[1:])
		if err != nil {
			return nil, fmt.Errorf("read the value: %w", err)
		}
		if isBytes || q == nil {
			return content, nil
		}
		return q.Accept(strings.TrimRight(string(content), "\n"))
	case q == nil:
		return text, nil
	case isBytes:
		return typedBytes(text)
	case q.Type == sdf.TypeArray && q.Items != nil && !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{"):
		return readItems(q, text)
	case strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{"):
		if value, err := sdf.DecodeJSON([]byte(text), sdf.Limits{}); err == nil {
			return acceptSparse(q, value)
		}
	case q.Extra["oma:type"] == "objlnk":
		return text, nil // the gateway reads 9:3
	}
	return q.Accept(text)
}

func typedBytes(text string) (any, error) {
	digits, isHex := strings.CutPrefix(text, "0x")
	if !isHex {
		return []byte(text), nil
	}
	var data []byte
	if _, err := fmt.Sscanf(digits, "%x", &data); err != nil || len(data)*2 != len(digits) {
		return nil, &sdf.Error{Attempt: "read " + text, Code: sdf.CodeValue, Why: "it is not hexadecimal", Hint: "write two digits for each byte after 0x, or @FILE"}
	}
	return data, nil
}

func readItems(q *sdf.Data, text string) (any, error) {
	items := []any{}
	if text == "" {
		return items, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		item, err := readValue(q.Items, part)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// acceptSparse lets a map stand for an array: items by their numbers.
func acceptSparse(q *sdf.Data, value any) (any, error) {
	members, ok := value.(map[string]any)
	if !ok || q.Type != sdf.TypeArray || q.Items == nil {
		return q.Accept(value)
	}
	for name, item := range members {
		accepted, err := q.Items.Accept(item)
		if err != nil {
			return nil, err
		}
		members[name] = accepted
	}
	return members, nil
}

// typeOf says in a word what a value is.
func typeOf(q *sdf.Data) string {
	switch {
	case q == nil:
		return ""
	case q.Type == sdf.TypeArray:
		return typeOf(q.Items) + "[]"
	case q.Extra["oma:type"] != nil:
		return fmt.Sprint(q.Extra["oma:type"])
	case q.SDFType != "":
		return q.SDFType
	}
	return q.Type
}

// valuesOf says in a few words what a value may be.
func valuesOf(q *sdf.Data) string {
	q = itemsOf(q)
	switch {
	case q == nil:
		return ""
	case len(q.Choice) > 0:
		return showChoices(q)
	case len(q.Enum) > 0:
		return list(q.Enum)
	case q.Minimum != nil && q.Maximum != nil && q.Extra["oma:type"] == nil:
		return fmt.Sprintf("%v to %v", q.Minimum, q.Maximum)
	case q.MaxLength != nil && q.SDFType == "":
		return fmt.Sprintf("up to %d characters", *q.MaxLength)
	}
	return ""
}

func showChoices(q *sdf.Data) string {
	type choice struct {
		value any
		text  string
	}
	var all []choice
	for name, c := range q.Choice {
		switch {
		case c.Const == nil && q.Type != sdf.TypeString:
			continue
		case c.Const == nil || fmt.Sprint(c.Const) == name:
			all = append(all, choice{c.Const, name})
		default:
			all = append(all, choice{c.Const, fmt.Sprintf("%s (%v)", name, c.Const)})
		}
	}
	slices.SortFunc(all, func(a, b choice) int {
		x, ok1 := a.value.(int64)
		y, ok2 := b.value.(int64)
		if ok1 && ok2 {
			return int(x - y)
		}
		return strings.Compare(a.text, b.text)
	})
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = c.text
	}
	return list(texts)
}

// unitOf is the unit of a value, SenML's or the one that only OMA has.
func unitOf(q *sdf.Data) string {
	if q == nil {
		return ""
	}
	if q.Unit != "" {
		return q.Unit
	}
	unit, _ := q.Extra["oma:unit"].(string)
	return unit
}
