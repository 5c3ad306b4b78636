package client

import (
	"slices"

	"github.com/edgehold/edgehold/lwm2m"
)

// Operations are what a server may do with a resource. None is for resources of the Security object, which only bootstrap reaches.
type Operations uint8

const (
	Readable Operations = 1 << iota
	Writable
	Executable

	ReadWrite = Readable | Writable
)

// Definition describes an object as this device offers it: only the resources that it has.
type Definition struct {
	ID       uint16
	Version  lwm2m.Version
	Multiple bool // several instances may exist
	// Resources in ascending order of ID.
	Resources []Resource
}

// Resource describes one resource of an object.
type Resource struct {
	ID         uint16
	Name       string
	Kind       lwm2m.Kind // KindNone for an executable
	Operations Operations
	Multiple   bool // has resource instances
	Mandatory  bool // every instance has it
	// Sampled says that the value moves without the object telling so (free memory, signal strength), so that an observation has to look
	// at it from time to time.
	Sampled bool
}

// Resource finds a resource by its id.
func (d *Definition) Resource(id uint16) (*Resource, bool) {
	i, found := slices.BinarySearchFunc(d.Resources, id, func(r Resource, id uint16) int { return int(r.ID) - int(id) })
	if !found {
		return nil, false
	}
	return &d.Resources[i], true
}

// Can tells whether all of the operations are allowed.
func (r *Resource) Can(o Operations) bool { return r.Operations&o == o }

// Type answers a codec what a path below the object holds.
func (d *Definition) Type(p lwm2m.Path) (kind lwm2m.Kind, multiple, ok bool) {
	if p.Depth() < 3 || p.Object() != d.ID {
		return lwm2m.KindNone, false, false
	}
	r, ok := d.Resource(p.Resource())
	if !ok {
		return lwm2m.KindNone, false, false
	}
	return r.Kind, r.Multiple, true
}
