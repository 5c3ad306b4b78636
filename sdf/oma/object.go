package oma

import (
	"maps"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

// Object is an LwM2M object under its name in SDF.
type Object struct {
	ID         uint16
	Name       string
	Definition *model.Object // nil if no registry knows it

	sdf        *sdf.Object
	shared     map[string]any // sdf as a tree, made once
	resources  map[uint16]*Resource
	properties map[string]*Resource
	actions    map[string]*Resource
}

// Resource is a resource under its name in SDF.
type Resource struct {
	ID         uint16
	Name       string
	Definition *model.Resource // nil if no registry knows it
	// Data says what a value may be, or what an action takes; nil if nobody knows.
	Data *sdf.Data

	object *Object
}

func newObject(id uint16, name string, definition *model.Object) *Object {
	o := &Object{ID: id, Name: name, Definition: definition}
	o.define(definition)
	o.shared = o.sdf.Tree()
	return o
}

// tree is the object as a tree, whose top level belongs to the caller.
func (o *Object) tree() map[string]any {
	if o.shared == nil {
		return map[string]any{qualityID: int64(o.ID), "minItems": int64(0)}
	}
	return maps.Clone(o.shared)
}

// SDF is the definition; nil if no registry knows the object. It is not to be changed.
func (o *Object) SDF() *sdf.Object { return o.sdf }

// Multiple reports whether there may be several instances; of an unknown object there may.
func (o *Object) Multiple() bool { return o.Definition == nil || o.Definition.Multiple }

// Property finds a resource that has a value by its name in SDF or by its number as text; one that nobody knows is found by its number.
func (o *Object) Property(name string) (*Resource, bool) { return o.find(o.properties, name) }

// Action finds a resource that is executed, in the same way.
func (o *Object) Action(name string) (*Resource, bool) { return o.find(o.actions, name) }

func (o *Object) find(group map[string]*Resource, name string) (*Resource, bool) {
	if r, ok := group[name]; ok {
		return r, true
	}
	id, err := strconv.ParseUint(name, 10, 16)
	if err != nil || id == lwm2m.NoID {
		return nil, false
	}
	if known := o.resources[uint16(id)]; known != nil {
		return known, group[known.Name] == known
	}
	return o.Resource(uint16(id)), true
}

// Resource returns the resource of a number. One that nobody knows has its number for a name.
func (o *Object) Resource(id uint16) *Resource {
	if r := o.resources[id]; r != nil {
		return r
	}
	return &Resource{ID: id, Name: strconv.Itoa(int(id)), object: o}
}

// Path is where r stands in an instance.
func (r *Resource) Path(instance uint16) lwm2m.Path { return lwm2m.PathOf(r.object.ID, instance, r.ID) }
