package sdf

import (
	"fmt"
	"math"
	"reflect"
	"sync"
)

// The types of model.go and trees are turned into each other by the tags of their fields. Models are read when a device comes or a person
// asks, not on the way of a packet.

// Model gives the document as Go types. A quality of another shape than its field is an error; Validate says it better.
func (d *Document) Model() (*Model, error) {
	m := &Model{}
	if err := fromTree(d.tree, reflect.ValueOf(m).Elem(), nil); err != nil {
		return nil, err
	}
	return m, nil
}

// Document writes a model as a tree.
func (m *Model) Document() *Document { return NewDocument(toTree(reflect.ValueOf(m).Elem())) }

// Tree writes an object alone, as it would stand in its group.
func (o *Object) Tree() map[string]any { return toTree(reflect.ValueOf(o).Elem()) }

// Tree writes data qualities alone.
func (q *Data) Tree() map[string]any { return toTree(reflect.ValueOf(q).Elem()) }

// field is one quality of a type.
type field struct {
	quality string
	index   []int
}

var fieldsOf sync.Map // reflect.Type to []field

func fields(t reflect.Type) []field {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]field)
	}
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		if quality := f.Tag.Get("sdf"); quality != "" {
			all = append(all, field{quality, f.Index})
		}
	}
	fieldsOf.Store(t, all)
	return all
}

func fromTree(tree map[string]any, to reflect.Value, at Pointer) error {
	known := make(map[string]bool, len(tree))
	var rest reflect.Value
	for _, f := range fields(to.Type()) {
		if f.quality == "*" {
			rest = to.FieldByIndex(f.index)
			continue
		}
		known[f.quality] = true
		value, found := tree[f.quality]
		if !found || value == nil {
			continue
		}
		if err := fromValue(value, to.FieldByIndex(f.index), at.Child(f.quality)); err != nil {
			return err
		}
	}
	for name, value := range tree {
		if !known[name] {
			if rest.IsNil() {
				rest.Set(reflect.ValueOf(map[string]any{}))
			}
			rest.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(&value).Elem())
		}
	}
	return nil
}

func fromValue(value any, to reflect.Value, at Pointer) error {
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return fromValue(value, to.Elem(), at)
	case reflect.Struct:
		if tree, ok := value.(map[string]any); ok {
			return fromTree(tree, to, at)
		}
	case reflect.Map:
		if tree, ok := value.(map[string]any); ok {
			return fromMap(tree, to, at)
		}
	case reflect.Slice:
		if list, ok := value.([]any); ok {
			return fromList(list, to, at)
		}
	case reflect.Uint64:
		if n, ok := count(value); ok {
			to.SetUint(n)
			return nil
		}
	default:
		if v := reflect.ValueOf(value); v.Type().AssignableTo(to.Type()) {
			to.Set(v)
			return nil
		}
	}
	return &Error{Attempt: "read " + at.String(), Code: CodeSchema, Why: fmt.Sprintf("%s is not what this quality takes", describe(value)), Hint: "see RFC 9880"}
}

func fromMap(tree map[string]any, to reflect.Value, at Pointer) error {
	m := reflect.MakeMapWithSize(to.Type(), len(tree))
	for name, value := range tree {
		if value == nil {
			continue
		}
		item := reflect.New(to.Type().Elem()).Elem()
		if err := fromValue(value, item, at.Child(name)); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name), item)
	}
	to.Set(m)
	return nil
}

func fromList(list []any, to reflect.Value, at Pointer) error {
	s := reflect.MakeSlice(to.Type(), len(list), len(list))
	for i, value := range list {
		if value == nil {
			continue
		}
		if err := fromValue(value, s.Index(i), at.Child(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	to.Set(s)
	return nil
}

// count reads what minItems and its like take.
func count(value any) (uint64, bool) {
	switch n := value.(type) {
	case int64:
		return uint64(n), n >= 0
	case uint64:
		return n, true
	case float64:
		return uint64(n), n >= 0 && n <= math.MaxInt32 && n == math.Trunc(n)
	}
	return 0, false
}

func toTree(from reflect.Value) map[string]any {
	tree := map[string]any{}
	for _, f := range fields(from.Type()) {
		value := from.FieldByIndex(f.index)
		switch {
		case f.quality == "*":
			for name, extra := range value.Interface().(map[string]any) {
				tree[name] = extra
			}
		case !isUnset(value):
			tree[f.quality] = toValue(value)
		}
	}
	return tree
}

// isUnset: an empty group is as good as none, and so is an empty text.
func isUnset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		return len(toTree(v)) == 0
	}
	return v.IsZero()
}

func toValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return toValue(v.Elem())
	case reflect.Struct:
		return toTree(v)
	case reflect.Map:
		tree := make(map[string]any, v.Len())
		for name, item := range v.Seq2() {
			tree[name.String()] = toValue(item)
		}
		return tree
	case reflect.Slice:
		if data, ok := v.Interface().([]byte); ok {
			return data
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = toValue(v.Index(i))
		}
		return list
	case reflect.Uint64:
		return unsigned(v.Uint())
	}
	return v.Interface()
}
