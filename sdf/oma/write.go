package oma

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/sdf"
)

// Codes of errors about data.
const (
	CodeUnknown  = "oma.unknown"   // no such property, action or instance number
	CodeValue    = "oma.value"     // data that the definition does not allow
	CodeNotGiven = "oma.not-given" // something mandatory is missing
)

// Tree returns what is written to an instance of o: properties by name or number.
func (o *Object) Tree(instance uint16, properties map[string]any) (lwm2m.Tree, error) {
	var tree lwm2m.Tree
	for name, data := range properties {
		r, ok := o.Property(name)
		if !ok {
			return nil, o.unknown(name)
		}
		below, err := r.Tree(instance, data)
		if err != nil {
			return nil, err
		}
		tree = append(tree, below...)
	}
	tree.Sort()
	for i := 1; i < len(tree); i++ {
		if tree[i].Path == tree[i-1].Path {
			return nil, o.fail(CodeValue, tree[i].Path.String(), "it is given twice, by name and by number", "give it once")
		}
	}
	return tree, nil
}

// unknown says that o has no property of a name, and which it has.
func (o *Object) unknown(name string) error {
	hint := "use its number"
	if known := o.propertyNames(); len(known) > 0 {
		hint = "there are " + strings.Join(known, ", ")
	}
	return o.fail(CodeUnknown, name, "the object has no such property", hint)
}

func (o *Object) propertyNames() []string {
	known := make([]string, 0, len(o.properties))
	for name := range o.properties {
		known = append(known, name)
	}
	slices.Sort(known)
	return known
}

func (o *Object) fail(code, name, why, hint string) error {
	return &sdf.Error{Attempt: fmt.Sprintf("use %q of %s", name, o.Name), Code: code, Why: why, Hint: hint}
}

// Tree returns what is written for data: one record, or one for each instance of the resource. An array gives them the numbers 0, 1, 2 ...; a map gives their
// numbers as text.
func (r *Resource) Tree(instance uint16, data any) (lwm2m.Tree, error) {
	path := r.Path(instance)
	if !r.isArray() {
		if r.Definition == nil {
			return r.unknownTree(path, data)
		}
		value, err := r.ToValue(data)
		return lwm2m.Tree{{Path: path, Value: value}}, err
	}
	return r.array(path, data)
}

func (r *Resource) array(path lwm2m.Path, data any) (lwm2m.Tree, error) {
	var tree lwm2m.Tree
	err := r.elements(data, func(id uint16, item any) error {
		value, err := r.ToValue(item)
		tree = append(tree, lwm2m.Record{Path: path.Child(id), Value: value})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(tree) == 0 {
		tree = lwm2m.Tree{{Path: path}}
	}
	tree.Sort()
	return tree, nil
}

// unknownTree takes an array or a map of numbers for instances where nobody knows better.
func (r *Resource) unknownTree(path lwm2m.Path, data any) (lwm2m.Tree, error) {
	if items, isArray := data.([]any); isArray {
		return r.array(path, items)
	}
	value, err := r.ToValue(data)
	return lwm2m.Tree{{Path: path, Value: value}}, err
}

// maxElements bounds the instances of a resource in one request.
const maxElements = 4096

func (r *Resource) elements(data any, each func(id uint16, item any) error) error {
	switch v := data.(type) {
	case []any:
		if len(v) > maxElements {
			return r.fail(fmt.Sprintf("it has more than %d items", maxElements))
		}
		for i, item := range v {
			if err := each(uint16(i), item); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if len(v) > maxElements {
			return r.fail(fmt.Sprintf("it has more than %d items", maxElements))
		}
		return r.numbered(v, each)
	}
	return r.fail("it is an array, or a map from the numbers of its instances to values")
}

func (r *Resource) numbered(m map[string]any, each func(id uint16, item any) error) error {
	for name, item := range m {
		id, err := strconv.ParseUint(name, 10, 16)
		if err != nil || id == lwm2m.NoID || strconv.FormatUint(id, 10) != name {
			return r.fail(fmt.Sprintf("%q is not the number of an instance", name))
		}
		if err := each(uint16(id), item); err != nil {
			return err
		}
	}
	return nil
}

func (r *Resource) fail(why string) error {
	return &sdf.Error{Attempt: fmt.Sprintf("use data for %s/%s", r.object.Name, r.Name), Code: CodeValue, Why: why, Hint: r.hint()}
}

// hint says what r takes.
func (r *Resource) hint() string {
	if r.Definition == nil {
		return "nobody knows this resource: give a model of it to the gateway"
	}
	what := r.Definition.Kind.String()
	if r.Definition.RangeText != "" {
		what += " of " + r.Definition.RangeText
	}
	if r.Definition.Unit != "" {
		what += " in " + r.Definition.Unit
	}
	if r.one() != nil && len(r.one().Choice) > 0 {
		what += ": " + strings.Join(choiceNames(r.one()), ", ")
	}
	return "it takes: " + what
}

func choiceNames(q *sdf.Data) []string {
	var known []string
	for name, c := range q.Choice {
		if c.Const != nil {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return known
}

// one is what a single value may be.
func (r *Resource) one() *sdf.Data {
	if r.Data != nil && r.Data.Items != nil {
		return r.Data.Items
	}
	return r.Data
}

// ToValue makes a value of one item of data: what [sdf.Data.Accept] takes, and an object link as "9:3".
func (r *Resource) ToValue(item any) (lwm2m.Value, error) {
	if r.Definition == nil {
		return guess(item), nil
	}
	if item == nil {
		return lwm2m.Value{}, r.fail("there is no value")
	}
	if text, ok := item.(string); ok && r.Definition.Kind == lwm2m.KindObjectLink {
		value, err := lwm2m.ParseValue(lwm2m.KindObjectLink, text)
		if err != nil {
			return value, r.fail(fmt.Sprintf("%q is not two numbers such as 9:3", text))
		}
		return value, nil
	}
	accepted, err := r.one().Accept(item)
	if err != nil {
		why := err.Error()
		if own, ok := errors.AsType[*sdf.Error](err); ok {
			why = own.Why
		}
		return lwm2m.Value{}, r.fail(why)
	}
	value := toValue(r.Definition.Kind, accepted)
	switch {
	case value.IsNone():
		return value, r.fail("it is not " + r.Definition.Kind.String())
	case !r.Definition.Range.Allows(value):
		return value, r.fail("it is not in the range " + r.Definition.RangeText)
	}
	return value, nil
}

// toValue makes a value of a kind of what was accepted, or none.
func toValue(kind lwm2m.Kind, data any) lwm2m.Value {
	switch v := data.(type) {
	case bool:
		if kind == lwm2m.KindBoolean {
			return lwm2m.Boolean(v)
		}
	case string:
		switch kind {
		case lwm2m.KindString:
			return lwm2m.String(v)
		case lwm2m.KindCoreLink:
			return lwm2m.CoreLink(v)
		}
	case []byte:
		if kind == lwm2m.KindOpaque {
			return lwm2m.Opaque(v)
		}
	case int64, uint64, float64:
		return numeric(kind, v)
	case map[string]any:
		object, ok1 := v["object"].(int64)
		instance, ok2 := v["instance"].(int64)
		if kind == lwm2m.KindObjectLink && ok1 && ok2 {
			return lwm2m.ObjectLink(uint16(object), uint16(instance))
		}
	}
	return lwm2m.Value{}
}

func numeric(kind lwm2m.Kind, data any) lwm2m.Value {
	var value lwm2m.Value
	switch v := data.(type) {
	case int64:
		value = lwm2m.Integer(v)
	case uint64:
		value = lwm2m.Unsigned(v)
	case float64:
		value = lwm2m.Float(v)
	}
	switch kind {
	case lwm2m.KindInteger:
		if value.Kind() == lwm2m.KindInteger {
			return value
		}
	case lwm2m.KindUnsigned:
		if value.Kind() != lwm2m.KindFloat {
			return lwm2m.Unsigned(value.Unsigned())
		}
	case lwm2m.KindFloat:
		return lwm2m.Float(value.Float())
	case lwm2m.KindTime: // to the second: LwM2M has no more
		return lwm2m.TimeSeconds(value.Integer())
	}
	return lwm2m.Value{}
}

// guess makes a value of data for a resource that nobody knows.
func guess(item any) lwm2m.Value {
	switch v := item.(type) {
	case string:
		return lwm2m.String(v)
	case bool:
		return lwm2m.Boolean(v)
	case []byte:
		return lwm2m.Opaque(v)
	case int64:
		return lwm2m.Integer(v)
	case uint64:
		return lwm2m.Unsigned(v)
	case float64:
		return lwm2m.Float(v)
	case map[string]any:
		return toValue(lwm2m.KindObjectLink, v)
	}
	return lwm2m.Value{}
}

// Arguments returns the arguments of an Execute (Core 1.2, section 7.3.6): text is taken as it is, an array gives the arguments 0, 1, 2 ... and a map gives them by
// their digits.
func (r *Resource) Arguments(data any) (string, error) {
	switch v := data.(type) {
	case nil:
		return "", nil
	case string:
		if !isArguments(v) {
			return "", r.fail(fmt.Sprintf("%q are no arguments: digits, each with ='text' or without", v))
		}
		return v, nil
	case int64, bool:
		return fmt.Sprint(Strings(v)), nil
	case []any:
		if len(v) > 10 {
			return "", r.fail("there are more than ten arguments")
		}
		return r.arguments(byNumber(v))
	case map[string]any:
		return r.arguments(v)
	}
	return "", r.fail("arguments are text, an array or a map")
}

func (r *Resource) arguments(m map[string]any) (string, error) {
	var list []string
	for digit, value := range m {
		argument := digit
		if value != nil {
			text, ok := Strings(value).(string)
			if !ok {
				return "", r.fail("an argument is a text or a number")
			}
			argument += "='" + text + "'"
		}
		list = append(list, argument)
	}
	slices.Sort(list)
	text := strings.Join(list, ",")
	if !isArguments(text) {
		return "", r.fail(fmt.Sprintf("%q are no arguments: digits, each with ='text' or without", text))
	}
	return text, nil
}

// isArguments checks the grammar: digits from 0 to 9, each with ='text' after it or without, commas between.
func isArguments(s string) bool {
	for s != "" {
		if s[0] < '0' || s[0] > '9' {
			return false
		}
		s = s[1:]
		if quoted, ok := strings.CutPrefix(s, "='"); ok {
			end := strings.IndexByte(quoted, '\'')
			if end < 0 {
				return false
			}
			for _, c := range []byte(quoted[:end]) { // %x21, %x23-26 and %x28-5B, %x5D-7E in the grammar; spaces are sent all the same
				if c < 0x20 || c >= 0x7f {
					return false
				}
			}
			s = quoted[end+1:]
		}
		if s == "" {
			return true
		}
		if rest, ok := strings.CutPrefix(s, ","); !ok || rest == "" {
			return false
		} else {
			s = rest
		}
	}
	return true
}
