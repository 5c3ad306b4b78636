package oma

import (
	"cmp"
	"slices"
	"strconv"
	"sync"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

// Translator knows the objects of a registry by the names that they have in SDF. Its methods may be called at once.
type Translator struct {
	models *model.Registry

	mu     sync.RWMutex
	names  names
	mapped map[*model.Object]*Object
}

// New returns a translator of the objects of a registry. Where two objects have one name, such as Location, the lower number has it and the other
// has its number after it, in every device; an object that the registry learns later never takes a name away.
func New(models *model.Registry) *Translator {
	t := &Translator{models: models, names: names{}, mapped: map[*model.Object]*Object{}}
	for o := range models.All() {
		t.names.take(o.Name, o.ID)
	}
	return t
}

// Object returns an object as a device has it that says this version; one that the registry does not know has its number for a name. It is made once, and
// not to be changed.
func (t *Translator) Object(id uint16, version lwm2m.Version) *Object {
	definition, known := t.models.Object(id, version)
	if !known {
		return &Object{ID: id, Name: strconv.Itoa(int(id))}
	}
	t.mu.RLock()
	o := t.mapped[definition]
	t.mu.RUnlock()
	if o != nil {
		return o
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if o = t.mapped[definition]; o == nil {
		o = newObject(id, t.names.take(definition.Name, id), definition)
		t.mapped[definition] = o
	}
	return o
}

// Registered is an object that a device registered, with the instances it has.
type Registered struct {
	ID        uint16
	Version   lwm2m.Version // zero if the device told none
	Instances []uint16
}

// Objects returns the objects of a device, by number.
func (t *Translator) Objects(registered []Registered) []*Object {
	objects := make([]*Object, 0, len(registered))
	for _, r := range registered {
		objects = append(objects, t.Object(r.ID, r.Version))
	}
	slices.SortFunc(objects, func(a, b *Object) int { return cmp.Compare(a.ID, b.ID) })
	return objects
}

// Find returns the object of a name, or of a number as text, among those of a device.
func Find(objects []*Object, name string) (*Object, bool) {
	for _, o := range objects {
		if o.Name == name || strconv.Itoa(int(o.ID)) == name {
			return o, true
		}
	}
	return nil, false
}

// Thing makes the SDF document of a device: a thing with its objects, and the numbers of their instances in the quality oma:instances. The name of the
// endpoint is its label; its name is the same, with what a name reference can't hold percent-encoded.
func (t *Translator) Thing(endpoint string, registered []Registered) *sdf.Document {
	objects := map[string]any{}
	for _, r := range registered {
		o := t.Object(r.ID, r.Version)
		tree := o.tree()
		instances := make([]any, len(r.Instances))
		for i, id := range r.Instances {
			instances[i] = int64(id)
		}
		tree[qualityInstances] = instances
		objects[o.Name] = tree
	}
	thing := map[string]any{"label": endpoint, qualityEndpoint: endpoint}
	if len(objects) > 0 {
		thing["sdfObject"] = objects
	}
	return sdf.NewDocument(map[string]any{
		"info":      map[string]any{"title": "Device " + endpoint},
		"namespace": map[string]any{prefix: Namespace},
		"sdfThing":  map[string]any{escapeThing(endpoint): thing},
	})
}
