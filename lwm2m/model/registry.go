package model

import (
	"cmp"
	"embed"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/edgehold/edgehold/lwm2m"
)

// MaxDefinitions bounds a registry: OMA's whole one has 437.
const MaxDefinitions = 4096

// Registry holds definitions, several versions of an object side by side. Its methods may be called at once; looking up
// takes no lock.
type Registry struct {
	adding  sync.Mutex
	objects atomic.Pointer[definitions]
}

// definitions are the versions of each object, oldest first.
type definitions map[uint16][]*Object

// New returns a registry with definitions. A later one of the same object and version replaces an earlier one.
func New(objects ...*Object) (*Registry, error) {
	r := new(Registry)
	return r, r.Add(objects...)
}

// Add puts definitions in: all of them, or none when there would be more than MaxDefinitions.
func (r *Registry) Add(objects ...*Object) error {
	r.adding.Lock()
	defer r.adding.Unlock()
	next := make(definitions)
	count := 0
	for id, versions := range r.definitions() {
		next[id] = slices.Clone(versions)
		count += len(versions)
	}
	if count+len(objects) > MaxDefinitions {
		return badFile(CodeTooLarge, "there would be more than "+strconv.Itoa(MaxDefinitions)+" definitions", nil)
	}
	for _, o := range objects {
		next.put(o)
	}
	r.objects.Store(&next)
	return nil
}

func (d definitions) put(o *Object) {
	versions := d[o.ID]
	i, found := slices.BinarySearchFunc(versions, o.Version, func(o *Object, v lwm2m.Version) int { return o.Version.Compare(v) })
	if found {
		versions[i] = o
		return
	}
	d[o.ID] = slices.Insert(versions, i, o)
}

func (r *Registry) definitions() definitions {
	if d := r.objects.Load(); d != nil {
		return *d
	}
	return nil
}

// Object returns the definition of an object for a device that says it has a version: that version; or else the next
// newer minor one of the same major, which only adds (Core 1.2 §7.2.2); or else the newest older one of the same major;
// or else the newest of all. The zero version is 1.0, as a device that tells none has it.
func (r *Registry) Object(id uint16, v lwm2m.Version) (*Object, bool) {
	versions := r.definitions()[id]
	if len(versions) == 0 {
		return nil, false
	}
	v = v.OrFirst()
	i, _ := slices.BinarySearchFunc(versions, v, func(o *Object, v lwm2m.Version) int { return o.Version.Compare(v) })
	for _, candidate := range []int{i, i - 1} {
		if candidate >= 0 && candidate < len(versions) && versions[candidate].Version.OrFirst().Major == v.Major {
			return versions[candidate], true
		}
	}
	return versions[len(versions)-1], true
}

// Latest returns the newest definition of an object.
func (r *Registry) Latest(id uint16) (*Object, bool) {
	versions := r.definitions()[id]
	if len(versions) == 0 {
		return nil, false
	}
	return versions[len(versions)-1], true
}

// All iterates over the definitions, by number and version.
func (r *Registry) All() iter.Seq[*Object] {
	all := make([]*Object, 0, 64)
	for _, versions := range r.definitions() {
		all = append(all, versions...)
	}
	slices.SortFunc(all, func(a, b *Object) int { return cmp.Or(cmp.Compare(a.ID, b.ID), a.Version.Compare(b.Version)) })
	return slices.Values(all)
}

// View is the registry as it holds for one device: the versions of objects that the device has. It gives the codec the
// types.
type View struct {
	Registry *Registry
	Versions func(object uint16) lwm2m.Version // nil: the newest of each
}

// View returns the registry as it holds for a device that has these versions; nil stands for the newest of each.
func (r *Registry) View(versions func(object uint16) lwm2m.Version) View { return View{r, versions} }

// Object returns the definition of an object of the device.
func (v View) Object(id uint16) (*Object, bool) {
	if v.Versions == nil {
		return v.Registry.Latest(id)
	}
	return v.Registry.Object(id, v.Versions(id))
}

// Resource returns the definition of the resource that a path of three or four levels names.
func (v View) Resource(p lwm2m.Path) (*Resource, bool) {
	if p.Depth() < 3 {
		return nil, false
	}
	o, ok := v.Object(p.Object())
	if !ok {
		return nil, false
	}
	return o.Resource(p.Resource())
}

// Kind tells the type of a resource, and whether it has instances; ok is false if no definition knows it.
func (v View) Kind(p lwm2m.Path) (kind lwm2m.Kind, multiple, ok bool) {
	r, ok := v.Resource(p)
	if !ok {
		return lwm2m.KindNone, false, false
	}
	return r.Kind, r.Multiple, true
}

//go:embed oma/*.xml edgehold/*.xml
var files embed.FS

// Core returns a new registry with the definitions that come with the program: those in the folders oma (which has its
// own licence) and edgehold (objects 35001 and 35002).
func Core() *Registry {
	r := new(Registry)
	if err := r.Add(core()...); err != nil {
		panic(err) // there are a few dozen
	}
	return r
}

// core parses the embedded files once.
var core = sync.OnceValue(func() []*Object {
	objects, err := ParseFS(files)
	if err != nil {
		panic(err) // a test reads them all
	}
	return objects
})

// ParseFS parses every file of a file system whose name ends in .xml.
func ParseFS(fsys fs.FS) ([]*Object, error) {
	var objects []*Object
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isXML(name) {
			return err
		}
		if len(objects) > MaxDefinitions {
			return badFile(CodeTooLarge, "there are more than "+strconv.Itoa(MaxDefinitions)+" definitions", nil)
		}
		more, err := parseFile(fsys, name)
		objects = append(objects, more...)
		return err
	})
	return objects, err
}

func isXML(name string) bool { return len(name) > 4 && name[len(name)-4:] == ".xml" }

func parseFile(fsys fs.FS, name string) ([]*Object, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	objects, err := Parse(io.Reader(file))
	if e, ok := err.(*Error); ok {
		e.Why = name + ": " + e.Why
	}
	return objects, err
}
