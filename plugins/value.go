package plugins

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a place in the document. Its methods read what should be there, and note a problem when it is not.
type value struct {
	doc  *document
	path string
	raw  any // nil: absent
}

// document collects the problems of one file.
type document struct {
	text     []byte
	problems []Problem
}

func (v value) fail(code, what, hint string) {
	v.doc.problems = append(v.doc.problems, Problem{
		Line: locate(v.doc.text, v.path), Field: v.path, Code: "manifest." + code, What: what, Hint: hint,
	})
}

// fields reads a mapping and refuses keys that are not in known.
func (v value) fields(known ...string) map[string]value {
	object, ok := v.raw.(map[string]any)
	if !ok {
		if v.raw != nil {
			v.fail("type", "is "+describe(v.raw), "write a mapping: "+strings.Join(known, ", "))
		}
		object = nil
	}
	all := map[string]value{}
	for _, key := range known {
		all[key] = value{v.doc, join(v.path, key), object[key]}
	}
	for key := range object {
		if !slices.Contains(known, key) {
			value{v.doc, join(v.path, key), nil}.fail("unknown-field", "is not known", suggest(key, known))
		}
	}
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func suggest(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known here: " + strings.Join(known, ", ")
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func (v value) list() []value {
	if v.raw == nil {
		return nil
	}
	items, ok := v.raw.([]any)
	if !ok {
		v.fail("type", "is "+describe(v.raw), "write a list: each entry on a line of its own, after a dash")
		return nil
	}
	all := make([]value, len(items))
	for i, item := range items {
		all[i] = value{v.doc, fmt.Sprintf("%s[%d]", v.path, i), item}
	}
	return all
}

func (v value) text() string {
	switch raw := v.raw.(type) {
	case nil:
		return ""
	case string:
		return raw
	case json.Number:
		v.fail("type", "is the number "+raw.String(), `put it between quotes: "`+raw.String()+`"`)
	default:
		v.fail("type", "is "+describe(raw), "write a text")
	}
	return ""
}

func (v value) textOr(otherwise string) string {
	if v.raw == nil {
		return otherwise
	}
	return v.text()
}

func (v value) texts() []string {
	var all []string
	for _, item := range v.list() {
		all = append(all, item.text())
	}
	return all
}

func (v value) boolean() bool {
	b, ok := v.raw.(bool)
	if !ok && v.raw != nil {
		v.fail("type", "is "+describe(v.raw), "write true or false")
	}
	return b
}

// number is NaN when absent.
func (v value) number() float64 {
	n, ok := v.raw.(json.Number)
	if !ok {
		if v.raw != nil {
			v.fail("type", "is "+describe(v.raw), "write a number; the unit has a field of its own")
		}
		return math.NaN()
	}
	f, err := n.Float64()
	if err != nil {
		v.fail("type", "is "+n.String(), "write a smaller number")
	}
	return f
}

// whole reads an unsigned number of at most most; 0 when absent.
func (v value) whole(most uint64) uint64 {
	if v.raw == nil {
		return 0
	}
	n, _ := v.raw.(json.Number)
	u, err := strconv.ParseUint(n.String(), 10, 64)
	if err != nil || u > most {
		v.fail("type", "is "+describe(v.raw), fmt.Sprintf("write a whole number from 0 to %d", most))
		return 0
	}
	return u
}

// milliseconds reads a duration with its unit; 0 when absent.
func (v value) milliseconds() uint32 {
	if n, ok := v.raw.(json.Number); ok {
		v.fail("duration", "is "+n.String()+", without a unit", "write "+n.String()+"s or "+n.String()+"ms")
		return 0
	}
	s := v.text()
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(strings.ReplaceAll(s, " ", ""))
	switch {
	case err != nil:
		v.fail("duration", fmt.Sprintf("is %q, which is not a duration", s), "write a number with ms, s, m or h, such as 4s")
	case d < time.Millisecond || d.Milliseconds() > math.MaxUint32:
		v.fail("duration", fmt.Sprintf("is %q", s), "write 1ms to 24h")
	default:
		return uint32(d.Milliseconds())
	}
	return 0
}

// bytes reads a size with its unit; 0 when absent.
func (v value) bytes() uint64 {
	if n, ok := v.raw.(json.Number); ok {
		v.fail("size", "is "+n.String()+", without a unit", "write "+n.String()+"MiB or "+n.String()+"B")
		return 0
	}
	s := v.text()
	if s == "" {
		return 0
	}
	digits := strings.TrimRight(s, "BKMGib ")
	unit := strings.TrimSpace(s[len(digits):])
	scale, known := map[string]uint64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || !known {
		v.fail("size", fmt.Sprintf("is %q, which is not a size", s), "write a whole number with B, KiB, MiB or GiB, such as 16MiB")
		return 0
	}
	return n * scale
}

func describe(raw any) string {
	switch v := raw.(type) {
	case string:
		return fmt.Sprintf("the text %q", v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return fmt.Sprintf("%t", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return "empty"
}
