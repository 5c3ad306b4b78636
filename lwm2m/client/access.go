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
	var ids [32]uint16
	for _, id := range control.Instances(ids[:0]) {
		entry := accessEntry{control, lwm2m.PathOf(objectAccess, id)}
		if entry.number(accessObject) == int64(p.Object()) && entry.number(accessInstance) == int64(p.Instance()) {
			return entry.rights(server)
		}
	}
	return 0
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
