package client

import "github.com/edgehold/edgehold/lwm2m"

// right is a bit of an access control list (resource 2 of object 2).
type right uint8

const (
	mayRead right = 1 << iota // Read, Observe, Discover, Write-Attributes
	mayWrite
	mayExecute
	mayDelete
	mayCreate

	mayAll = mayRead | mayWrite | mayExecute | mayDelete | mayCreate
)

// Resources of the Access Control object.
const (
	accessObject   = 0
	accessInstance = 1
	accessList     = 2
	accessOwner    = 3
)

// rights is what a server may do with an instance, or with depth 1 what it may create (LwM2M Core 8.2). With one server, or on a device
// without object 2, everybody may do everything. No entry is about an entry: those are their owners'.
func (t *tree) rights(server uint16, p lwm2m.Path) right {
	control := t.object(lwm2m.PathOf(objectAccess))
	if control == nil || t.servers() < 2 {
		return mayAll
	}
	if p.Object() == objectAccess && p.Depth() > 1 {
		return accessEntry{control, p.Truncate(2)}.rightsOverIt(server)
	}
	if p.Depth() == 1 {
		p = p.Child(lwm2m.NoID)
	}
	entry, found := entryAbout(control, p)
	if !found {
		return 0
	}
	return entry.rights(server)
}

func entryAbout(control Object, instance lwm2m.Path) (e accessEntry, found bool) {
	var ids [32]uint16
	for _, id := range control.Instances(ids[:0]) {
		e = accessEntry{control, lwm2m.PathOf(objectAccess, id)}
		if e.number(accessObject) == int64(instance.Object()) && e.number(accessInstance) == int64(instance.Instance()) {
			return e, true
		}
	}
	return e, false
}

// own gives an instance that a server has made to that server (LwM2M Core 8.1), unless an entry about it is there already.
func (t *tree) own(instance lwm2m.Path, server uint16) error {
	control := t.object(lwm2m.PathOf(objectAccess))
	if control == nil || t.servers() < 2 || instance.Object() == objectAccess {
		return nil
	}
	if _, found := entryAbout(control, instance); found {
		return nil
	}
	entry := lwm2m.PathOf(objectAccess, t.free(control))
	return control.(Factory).Create(entry, lwm2m.Tree{
		{Path: entry.Child(accessObject), Value: lwm2m.Integer(int64(instance.Object()))},
		{Path: entry.Child(accessInstance), Value: lwm2m.Integer(int64(instance.Instance()))},
		{Path: entry.Child(accessOwner), Value: lwm2m.Integer(int64(server))},
	})
}

// disown removes the entry about an instance that is gone, and returns its path, if there was one.
func (t *tree) disown(instance lwm2m.Path) (entry lwm2m.Path, found bool, err error) {
	control := t.object(lwm2m.PathOf(objectAccess))
	if control == nil {
		return entry, false, nil
	}
	e, found := entryAbout(control, instance)
	if !found {
		return entry, false, nil
	}
	return e.instance, true, control.(Factory).Delete(e.instance)
}

func (t *tree) servers() int {
	var ids [16]uint16
	if o := t.object(lwm2m.PathOf(objectServer)); o != nil {
		return len(o.Instances(ids[:0]))
	}
	return 0
}

// accessEntry is one instance of the Access Control object.
type accessEntry struct {
	object   Object
	instance lwm2m.Path
}

// rights: what the list gives the server; else all, if it owns the entry; else what the list gives to everybody (instance 0).
func (e accessEntry) rights(server uint16) right {
	list, err := e.object.Read(nil, e.instance.Child(accessList))
	if err != nil {
		return 0
	}
	resource := e.instance.Child(accessList)
	if own, found := list.Value(resource.Child(server)); found {
		return right(own.Integer()) & mayAll
	}
	if e.number(accessOwner) == int64(server) {
		return mayAll
	}
	everybody, _ := list.Value(resource.Child(0))
	return right(everybody.Integer()) & mayAll
}

// rightsOverIt: its owner reads and changes it, and nobody else. It comes and goes with what it is about.
func (e accessEntry) rightsOverIt(server uint16) right {
	if e.number(accessOwner) == int64(server) {
		return mayRead | mayWrite
	}
	return 0
}

func (e accessEntry) number(resource uint16) int64 {
	t, err := e.object.Read(nil, e.instance.Child(resource))
	if err != nil || len(t) != 1 {
		return -1
	}
	return t[0].Value.Integer()
}
