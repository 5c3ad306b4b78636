package client

import (
	"fmt"
	"slices"

	"github.com/edgehold/edgehold/lwm2m"
)

// Objects that the engine itself reads.
const (
	objectSecurity = 0
	objectServer   = 1
	objectAccess   = 2
	objectOSCORE   = 21
)

// tree is the device's objects. Who uses it holds the engine's lock.
type tree struct {
	objects []Object // by id
}

func newTree(objects []Object) (*tree, error) {
	t := &tree{objects: slices.Clone(objects)}
	slices.SortFunc(t.objects, func(a, b Object) int { return int(a.Definition().ID) - int(b.Definition().ID) })
	for i := 1; i < len(t.objects); i++ {
		if id := t.objects[i].Definition().ID; id == t.objects[i-1].Definition().ID {
			return nil, fmt.Errorf("object %d is there twice", id)
		}
	}
	return t, nil
}

// Kind answers codecs, which the tree serves as their types.
func (t *tree) Kind(p lwm2m.Path) (lwm2m.Kind, bool, bool) {
	if o := t.object(p); o != nil {
		return o.Definition().Type(p)
	}
	return lwm2m.KindNone, false, false
}

// object finds the object that a path lies in, nil if there is none.
func (t *tree) object(p lwm2m.Path) Object {
	if p.Depth() == 0 {
		return nil
	}
	i, found := slices.BinarySearchFunc(t.objects, p.Object(), func(o Object, id uint16) int { return int(o.Definition().ID) - int(id) })
	if !found {
		return nil
	}
	return t.objects[i]
}

// has tells whether an instance exists.
func (t *tree) has(instance lwm2m.Path) bool {
	o := t.object(instance)
	if o == nil {
		return false
	}
	var ids [16]uint16
	return slices.Contains(o.Instances(ids[:0]), instance.Instance())
}

// permit tells whether an instance, or with depth 1 an object, may be used; nil permits everything.
type permit func(lwm2m.Path) bool

func (may permit) allows(p lwm2m.Path) bool { return may == nil || may(p) }

// read appends what a server may read at and below a path. What it may not read below is left out; what it may not read at the path
// itself is an error.
func (t *tree) read(dst lwm2m.Tree, p lwm2m.Path, may permit) (lwm2m.Tree, error) {
	if p.Depth() == 0 {
		return t.readAll(dst, may)
	}
	o := t.object(p)
	if o == nil {
		return dst, fmt.Errorf("read %s: %w", p, ErrNotFound)
	}
	if p.Depth() == 1 {
		return readObject(dst, o, p, may)
	}
	if !t.has(p.Truncate(2)) {
		return dst, fmt.Errorf("read %s: %w", p, ErrNotFound)
	}
	if !may.allows(p.Truncate(2)) {
		return dst, fmt.Errorf("read %s: %w", p, ErrUnauthorized)
	}
	if p.Depth() == 2 {
		return readInstance(dst, o, p)
	}
	return readResource(dst, o, p)
}

func (t *tree) readAll(dst lwm2m.Tree, may permit) (lwm2m.Tree, error) {
	var err error
	for _, o := range t.objects {
		id := o.Definition().ID
		if id == objectSecurity || id == objectOSCORE {
			continue
		}
		if dst, err = readObject(dst, o, lwm2m.PathOf(id), may); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func readObject(dst lwm2m.Tree, o Object, p lwm2m.Path, may permit) (lwm2m.Tree, error) {
	var ids [16]uint16
	start := len(dst)
	for _, id := range o.Instances(ids[:0]) {
		instance := p.Child(id)
		if !may.allows(instance) {
			continue
		}
		var err error
		if dst, err = readInstance(dst, o, instance); err != nil {
			return dst, err
		}
	}
	if len(dst) == start {
		dst = append(dst, lwm2m.Record{Path: p})
	}
	return dst, nil
}

func readInstance(dst lwm2m.Tree, o Object, instance lwm2m.Path) (lwm2m.Tree, error) {
	d := o.Definition()
	start := len(dst)
	for i := range d.Resources {
		r := &d.Resources[i]
		if !r.Can(Readable) {
			continue
		}
		var err error
		if dst, err = o.Read(dst, instance.Child(r.ID)); err != nil {
			return dst, fmt.Errorf("read %s: %w", instance.Child(r.ID), err)
		}
	}
	if len(dst) == start {
		dst = append(dst, lwm2m.Record{Path: instance})
	}
	return dst, nil
}

// readResource reads a resource or one of its instances.
func readResource(dst lwm2m.Tree, o Object, p lwm2m.Path) (lwm2m.Tree, error) {
	r, found := o.Definition().Resource(p.Resource())
	switch {
	case !found, p.Depth() == 4 && !r.Multiple:
		return dst, fmt.Errorf("read %s: %w", p, ErrNotFound)
	case !r.Can(Readable):
		return dst, fmt.Errorf("read %s: %w", p, ErrNotAllowed)
	}
	start := len(dst)
	dst, err := o.Read(dst, p.Truncate(3))
	if err != nil {
		return dst, fmt.Errorf("read %s: %w", p, err)
	}
	if p.Depth() == 4 {
		dst = slices.Delete(dst, start, start+index(dst[start:], p))
		dst = dst[:min(len(dst), start+1)]
	}
	if len(dst) == start {
		return dst, fmt.Errorf("read %s: %w", p, ErrNotFound)
	}
	return dst, nil
}

// index is where a path stands in a tree, or its length.
func index(t lwm2m.Tree, p lwm2m.Path) int {
	i := slices.IndexFunc(t, func(r lwm2m.Record) bool { return r.Path == p })
	if i < 0 {
		return len(t)
	}
	return i
}
