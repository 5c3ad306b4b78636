// Package clienttest holds the objects of a device against the contract of lwm2m/client and against OMA's definitions. It is for tests; no
// program links it.
package clienttest

import (
	"slices"
	"testing"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/model"
)

// Object checks what an object says of itself, and everything that it has to read. Exempt are mandatory resources that the device is
// right not to have.
func Object(t *testing.T, o client.Object, exempt ...uint16) {
	t.Helper()
	d := o.Definition()
	Definition(t, d)
	ids := o.Instances(nil)
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("object %d: instances %v are not in order", d.ID, ids)
	}
	if !d.Multiple && len(ids) > 1 {
		t.Errorf("object %d: instances %v of an object that has one", d.ID, ids)
	}
	for _, id := range ids {
		for i := range d.Resources {
			read(t, o, lwm2m.PathOf(d.ID, id, d.Resources[i].ID), &d.Resources[i], exempt)
		}
	}
}

func read(t *testing.T, o client.Object, p lwm2m.Path, r *client.Resource, exempt []uint16) {
	t.Helper()
	values, err := o.Read(nil, p)
	if err != nil {
		t.Errorf("read %s: %v", p, err)
	}
	if len(values) == 0 && r.Mandatory && r.Can(client.Readable) && !slices.Contains(exempt, r.ID) {
		t.Errorf("read %s (%s): nothing, though it is mandatory", p, r.Name)
	}
	if len(values) > 1 && !r.Multiple {
		t.Errorf("read %s (%s): %d values of a single resource", p, r.Name, len(values))
	}
	for _, v := range values {
		if !p.Contains(v.Path) || (v.Path.Depth() == 4) != r.Multiple || v.Value.Kind() != r.Kind {
			t.Errorf("read %s (%s): %s of kind %s at %s", p, r.Name, v.Value, v.Value.Kind(), v.Path)
		}
	}
}

// Definition checks a definition against OMA's of the same object and version: names, kinds, operations, multiplicity, and that nothing
// mandatory is missing.
func Definition(t *testing.T, d *client.Definition) {
	t.Helper()
	if !slices.IsSortedFunc(d.Resources, func(a, b client.Resource) int { return int(a.ID) - int(b.ID) }) {
		t.Errorf("object %d: resources are not in order", d.ID)
	}
	oma, found := model.Core().Object(d.ID, d.Version)
	if !found || oma.Version.Compare(d.Version) != 0 {
		t.Errorf("object %d in version %s is not defined", d.ID, d.Version)
		return
	}
	if oma.Multiple != d.Multiple {
		t.Errorf("object %d: multiple %v, by OMA %v", d.ID, d.Multiple, oma.Multiple)
	}
	for i := range d.Resources {
		r := &d.Resources[i]
		if want, found := oma.Resource(r.ID); !found {
			t.Errorf("object %d has no resource %d", d.ID, r.ID)
		} else if got := ofModel(want); got != ofDevice(r) {
			t.Errorf("/%d/x/%d is %+v, by OMA %+v", d.ID, r.ID, ofDevice(r), got)
		}
	}
	for i := range oma.Resources {
		if _, has := d.Resource(oma.Resources[i].ID); !has && oma.Resources[i].Mandatory {
			t.Errorf("object %d lacks the mandatory resource %d, %s", d.ID, oma.Resources[i].ID, oma.Resources[i].Name)
		}
	}
}

// traits is what both kinds of definitions say of a resource.
type traits struct {
	kind                lwm2m.Kind
	operations          client.Operations
	multiple, mandatory bool
}

func ofModel(r *model.Resource) traits {
	return traits{r.Kind, client.Operations(r.Operations), r.Multiple, r.Mandatory}
}

func ofDevice(r *client.Resource) traits {
	return traits{r.Kind, r.Operations, r.Multiple, r.Mandatory}
}
