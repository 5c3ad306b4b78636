package oma

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

// FromObject makes the SDF document of an object.
func FromObject(o *model.Object) *sdf.Document {
	m := &sdf.Model{
		Info: sdf.Info{
			Title:   fmt.Sprintf("%s (object %d, version %s)", o.Name, o.ID, o.Version),
			License: "BSD-3-Clause",
		},
		Namespace:        map[string]string{prefix: Namespace},
		DefaultNamespace: prefix,
	}
	mapped := newObject(o.ID, names{}.take(o.Name, o.ID), o)
	m.Objects = map[string]*sdf.Object{mapped.Name: mapped.sdf}
	return m.Document()
}

// define writes the definition of o in SDF, and finds the names of its resources.
func (o *Object) define(d *model.Object) {
	o.sdf = &sdf.Object{Common: sdf.Common{Description: d.Description}}
	c := &o.sdf.Common
	if o.Name != d.Name {
		c.Label = d.Name
	}
	set(c, qualityID, int64(d.ID))
	setText(c, qualityURN, d.URN)
	setText(c, qualityVersion, versionText(d.Version))
	setText(c, qualityLwM2M, versionText(d.LwM2M))
	setText(c, qualityDescription2, d.Description2)
	if d.Mandatory {
		set(c, qualityMandatory, true)
	}
	if d.Multiple {
		least := uint64(0)
		if d.Mandatory {
			least = 1
		}
		o.sdf.MinItems = &least
	}
	o.affordances(d)
}

func versionText(v lwm2m.Version) string {
	if v == (lwm2m.Version{}) {
		return ""
	}
	return v.String()
}

func (o *Object) affordances(d *model.Object) {
	properties, actions, data := names{}, names{}, names{}
	o.resources = make(map[uint16]*Resource, len(d.Resources))
	for i := range d.Resources {
		definition := &d.Resources[i]
		r := &Resource{ID: definition.ID, Definition: definition, object: o}
		switch {
		case definition.Operations&model.Execute != 0:
			r.Name = actions.take(definition.Name, r.ID)
			put(&o.sdf.Actions, r.Name, r.action())
			put(&o.actions, r.Name, r)
		case definition.Operations == 0:
			r.Name = data.take(definition.Name, r.ID)
			r.hidden()
			put(&o.sdf.Data, r.Name, r.Data)
		default:
			r.Name = properties.take(definition.Name, r.ID)
			put(&o.sdf.Properties, r.Name, r.property())
			put(&o.properties, r.Name, r)
		}
		o.resources[r.ID] = r
	}
	o.require(properties, actions)
}

func put[V any](group *map[string]V, name string, value V) {
	if *group == nil {
		*group = map[string]V{}
	}
	(*group)[name] = value
}

// require lists what is mandatory by name. A name that is both a property's and an action's would mean both: then each says it for itself.
func (o *Object) require(properties, actions names) {
	for _, id := range sortedIDs(o.resources) {
		r := o.resources[id]
		_, property := properties[r.Name]
		_, action := actions[r.Name]
		switch {
		case !r.Definition.Mandatory || r.Definition.Operations == 0:
		case property && action:
			r.common().Required = []any{true}
		default:
			o.sdf.Required = append(o.sdf.Required, r.Name)
		}
	}
}

func sortedIDs[V any](m map[uint16]V) []uint16 {
	ids := make([]uint16, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// common are the qualities of r in its object.
func (r *Resource) common() *sdf.Common {
	if action := r.object.sdf.Actions[r.Name]; action != nil && r.Definition.Operations&model.Execute != 0 {
		return &action.Common
	}
	return &r.Data.Common
}

func (r *Resource) describe(c *sdf.Common) {
	c.Description = r.Definition.Description
	if r.Name != r.Definition.Name {
		c.Label = r.Definition.Name
	}
	set(c, qualityID, int64(r.ID))
	if r.Definition.Operations != 0 {
		address := map[string]any{"object": int64(r.object.ID), "resource": int64(r.ID)}
		set(c, qualityProtocolMap, map[string]any{protocolLwM2M: address})
	}
}

func (r *Resource) property() *sdf.Property {
	p := &sdf.Property{}
	r.qualities(&p.Data)
	no := false
	if r.Definition.Operations&model.Read == 0 {
		p.Readable, p.Observable = &no, &no
	}
	if r.Definition.Operations&model.Write == 0 {
		p.Writable = &no
	}
	r.Data = &p.Data
	return p
}

// hidden is a resource that servers don't see: it is defined, and not offered.
func (r *Resource) hidden() {
	r.Data = &sdf.Data{}
	r.qualities(r.Data)
	if r.Definition.Mandatory {
		set(&r.Data.Common, qualityMandatory, true)
	}
}

func (r *Resource) action() *sdf.Action {
	a := &sdf.Action{}
	r.describe(&a.Common)
	d := r.Definition
	if d.Operations != model.Execute {
		set(&a.Common, qualityOperations, d.Operations.String())
	}
	setText(&a.Common, qualityRange, d.RangeText)
	setText(&a.Common, qualityUnit, d.Unit)
	if d.Multiple {
		set(&a.Common, qualityInstances, true)
	}
	if d.Kind != lwm2m.KindNone {
		setText(&a.Common, qualityType, d.Kind.String())
	}
	if strings.Contains(strings.ToLower(d.Description), "argument") {
		a.Input = &sdf.Data{Type: sdf.TypeString, ContentFormat: "text/plain"}
	}
	r.Data = a.Input
	return a
}

// qualities writes type, range, unit and choices. Those of a resource with instances are of its items.
func (r *Resource) qualities(q *sdf.Data) {
	d := r.Definition
	r.describe(&q.Common)
	if senMLUnits[d.Unit] {
		q.Unit = d.Unit
	} else {
		setText(&q.Common, qualityUnit, d.Unit)
	}
	setText(&q.Common, qualityRange, d.RangeText)
	one := q
	if d.Multiple {
		one = &sdf.Data{}
		q.Type, q.Items = sdf.TypeArray, one
	}
	setKind(one, d.Kind)
	setRange(one, d.Kind, d.Range)
	setChoices(one, d)
}

// setRange writes what was understood of a range.
func setRange(q *sdf.Data, kind lwm2m.Kind, r model.Range) {
	least, most, bounded := r.Min, r.Max, r.Bounded
	if len(r.Values) > 0 {
		least, most, bounded = slices.Min(r.Values), slices.Max(r.Values), true
	}
	switch {
	case !bounded:
	case q.Type == sdf.TypeString:
		q.MinLength, q.MaxLength = length(least), length(most)
		if r.Bytes {
			set(&q.Common, qualityBytes, true)
		}
	case q.Type == sdf.TypeInteger || q.Type == sdf.TypeNumber:
		q.Minimum, q.Maximum = bound(least, kind), bound(most, kind)
	}
}

// length is a bound of a length; none below 1.
func length(n float64) *uint64 {
	if n < 1 {
		return nil
	}
	u := uint64(n)
	return &u
}

// bound is an integer where it can be one.
func bound(n float64, kind lwm2m.Kind) any {
	const exact = 1 << 53
	if n >= -exact && n <= exact && n == float64(int64(n)) {
		return int64(n)
	}
	if kind == lwm2m.KindUnsigned && n >= 1<<63 {
		return uint64(n)
	}
	return n
}

// setChoices names values.
func setChoices(q *sdf.Data, d *model.Resource) {
	if q.Type != sdf.TypeInteger && q.Type != sdf.TypeBoolean && q.Type != sdf.TypeNumber {
		return
	}
	if len(d.Enumeration) == 0 {
		for _, v := range d.Range.Values {
			put(&q.Choice, strconv.FormatFloat(v, 'f', -1, 64), &sdf.Data{Const: bound(v, d.Kind)})
		}
		return
	}
	taken := names{}
	for i, c := range d.Enumeration {
		choice := &sdf.Data{Const: c.Value}
		if q.Type == sdf.TypeBoolean {
			choice.Const = c.Value != 0
		}
		name := taken.take(c.Name, uint16(i))
		if name != c.Name {
			choice.Label = c.Name
		}
		put(&q.Choice, name, choice)
	}
	if !isClosed(d) {
		put(&q.Choice, taken.take("other", lwm2m.NoID), &sdf.Data{Minimum: q.Minimum, Maximum: q.Maximum})
	}
}

// isClosed reports whether every value has a name. OMA's enumerations leave values open for later as a rule: then whatever else the range allows is
// one more choice, or data of tomorrow would be refused.
func isClosed(d *model.Resource) bool {
	if d.Kind == lwm2m.KindBoolean {
		return len(d.Enumeration) == 2
	}
	return d.Range.Bounded && d.Range.Max-d.Range.Min+1 == float64(len(d.Enumeration))
}
