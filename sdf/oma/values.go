package oma

import (
	"math"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/sdf"
)

// Instance is one instance of an object, as D3.3, section 6.3.2, shows it in replies: {"label": 0, "sdfProperty": {...}}.
type Instance struct {
	Label      uint16
	Properties map[string]any
}

// Instances returns the instances of o in a tree, which has to be in order. Of a time series the last value counts.
func (o *Object) Instances(tree lwm2m.Tree) []Instance {
	var all []Instance
	for path, below := range tree.Children(lwm2m.PathOf(o.ID)) {
		all = append(all, Instance{Label: path.Instance(), Properties: o.values(path, below)})
	}
	return all
}

func (o *Object) values(path lwm2m.Path, tree lwm2m.Tree) map[string]any {
	properties := map[string]any{}
	for at, below := range tree.Children(path) {
		r := o.Resource(at.Resource())
		properties[r.Name] = r.Value(below)
	}
	return properties
}

// Value returns what a tree, in order, says of one resource of one instance. The instances of a resource are an array if they are numbered 0, 1, 2 ..., and else a map
// by their numbers as text; none is an empty array.
func (r *Resource) Value(tree lwm2m.Tree) any {
	if len(tree) > 0 && tree[len(tree)-1].Path.Depth() == lwm2m.MaxDepth || r.isArray() {
		return array(tree)
	}
	for i := len(tree) - 1; i >= 0; i-- {
		if !tree[i].Value.IsNone() {
			return FromValue(tree[i].Value)
		}
	}
	return nil
}

func (r *Resource) isArray() bool { return r.Definition != nil && r.Definition.Multiple }

func array(tree lwm2m.Tree) any {
	items := []any{}
	var sparse map[string]any
	for i := range tree {
		record := &tree[i]
		if record.Path.Depth() < lwm2m.MaxDepth || i+1 < len(tree) && tree[i+1].Path == record.Path {
			continue // the resource without value, or not the last of a series
		}
		id, value := record.Path.ResourceInstance(), FromValue(record.Value)
		if sparse == nil && int(id) != len(items) {
			sparse = byNumber(items)
		}
		if sparse != nil {
			sparse[strconv.Itoa(int(id))] = value
		} else {
			items = append(items, value)
		}
	}
	if sparse != nil {
		return sparse
	}
	return items
}

func byNumber(items []any) map[string]any {
	m := make(map[string]any, len(items)+1)
	for i, item := range items {
		m[strconv.Itoa(i)] = item
	}
	return m
}

// FromValue returns a value in SDF. A float that is not finite has none there: it is null.
func FromValue(v lwm2m.Value) any {
	switch v.Kind() {
	case lwm2m.KindString, lwm2m.KindCoreLink:
		return strings.ToValidUTF8(v.Text(), "\uFFFD")
	case lwm2m.KindInteger, lwm2m.KindTime:
		return v.Integer()
	case lwm2m.KindUnsigned:
		if v.Unsigned() > math.MaxInt64 {
			return v.Unsigned()
		}
		return int64(v.Unsigned())
	case lwm2m.KindFloat:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	case lwm2m.KindBoolean:
		return v.Boolean()
	case lwm2m.KindOpaque:
		return v.Bytes()
	case lwm2m.KindObjectLink:
		object, instance := v.ObjectLink()
		return map[string]any{"object": int64(object), "instance": int64(instance)}
	}
	return nil
}

// Strings turns values into texts, as D3.3 shows them all: numbers in decimal, booleans as 1 and 0, object links as "9:3", byte strings in base64url.
func Strings(value any) any {
	switch v := value.(type) {
	case nil, string:
		return v
	case bool:
		if v {
			return "1"
		}
		return "0"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		texts := make([]any, len(v))
		for i, item := range v {
			texts[i] = Strings(item)
		}
		return texts
	case map[string]any:
		return stringsOf(v)
	}
	text, err := sdf.EncodeJSON(value) // of numbers and byte strings
	if err != nil {
		return nil
	}
	return strings.Trim(string(text), `"`)
}

func stringsOf(m map[string]any) any {
	if link, ok := linkText(m); ok {
		return link
	}
	texts := make(map[string]any, len(m))
	for name, item := range m {
		texts[name] = Strings(item)
	}
	return texts
}

// linkText is an object link as LwM2M writes it.
func linkText(m map[string]any) (string, bool) {
	object, ok1 := m["object"].(int64)
	instance, ok2 := m["instance"].(int64)
	if !ok1 || !ok2 || len(m) != 2 {
		return "", false
	}
	return strconv.FormatInt(object, 10) + ":" + strconv.FormatInt(instance, 10), true
}
