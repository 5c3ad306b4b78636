package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Object 35001, Data Route, and its resources (D3.3 table 13).
const (
	objectID = 35001

	resOrigin      = 27200
	resDestination = 27201
)

var definition = client.Definition{ID: objectID, Version: lwm2m.V1_0, Multiple: true, Resources: []client.Resource{
	{ID: resOrigin, Name: "Origin URI", Kind: lwm2m.KindString, Operations: client.ReadWrite, Mandatory: true},
	{ID: resDestination, Name: "Destination URI", Kind: lwm2m.KindString, Operations: client.ReadWrite, Mandatory: true},
}}

// document is where routes are kept over a restart.
const document = "routes.json"

// kept is one route there.
type kept struct {
	ID          uint16 `json:"id"`
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
}

// NewObject makes object 35001 over a router: what servers write there is routed, and kept in the store; nil keeps nothing. An error says
// that what was kept can't be used; the object then begins without routes.
func NewObject(r *Router, store client.Store) (*client.Table, error) {
	var table *client.Table
	table = client.NewTable(definition, client.Rules{
		MaxInstances: MaxRoutes,
		Check: func(instance lwm2m.Path, values lwm2m.Tree) error {
			origin, destination := ends(instance, values)
			if err := r.Check(instance.Instance(), origin, destination); err != nil {
				return fmt.Errorf("route %d: %w: %w", instance.Instance(), err, client.ErrBadRequest)
			}
			return nil
		},
		Keep: func(t lwm2m.Tree) error { return keep(store, t) },
		Changed: func(instance lwm2m.Path) {
			origin, destination := ends(instance, table.Contents())
			if r.Set(instance.Instance(), origin, destination) != nil { // it is gone
				r.Remove(instance.Instance())
			}
		},
	})
	return table, begin(table, r, store)
}

func ends(instance lwm2m.Path, values lwm2m.Tree) (origin, destination string) {
	from, _ := values.Value(instance.Child(resOrigin))
	to, _ := values.Value(instance.Child(resDestination))
	return from.Text(), to.Text()
}

func keep(store client.Store, t lwm2m.Tree) error {
	if store == nil {
		return nil
	}
	all := []kept{}
	for instance := range t.Children(lwm2m.PathOf(objectID)) {
		origin, destination := ends(instance, t)
		all = append(all, kept{instance.Instance(), origin, destination})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return store.Save(document, b)
}

// begin routes what was kept.
func begin(table *client.Table, r *Router, store client.Store) error {
	if store == nil {
		return nil
	}
	b, err := store.Load(document)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all []kept
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return fmt.Errorf("read the routes that were kept: %w", err)
	}
	var t lwm2m.Tree
	for _, k := range all {
		if err := r.Set(k.ID, k.Origin, k.Destination); err != nil {
			return fmt.Errorf("route %d, which was kept: %w", k.ID, err)
		}
		p := lwm2m.PathOf(objectID, k.ID)
		t = append(t, lwm2m.Record{Path: p.Child(resOrigin), Value: lwm2m.String(k.Origin)}, lwm2m.Record{Path: p.Child(resDestination), Value: lwm2m.String(k.Destination)})
	}
	return table.Fill(t)
}
