package oma

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

// everyObject runs a test for each definition that comes with the program.
func everyObject(t *testing.T, test func(*testing.T, *model.Object)) {
	n := 0
	for o := range model.Core().All() {
		n++
		t.Run(o.URN, func(t *testing.T) { test(t, o) })
	}
	if n < 28 {
		t.Errorf("only %d definitions", n)
	}
}

// TestNothingIsLost takes every definition to SDF, through both notations, and back.
func TestNothingIsLost(t *testing.T) {
	everyObject(t, func(t *testing.T, o *model.Object) {
		text, err := FromObject(o).JSON()
		if err != nil {
			t.Fatal(err)
		}
		fromJSON, err := sdf.Parse(text, sdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := fromJSON.CBOR()
		if err != nil {
			t.Fatal(err)
		}
		d, err := sdf.ParseCBOR(data, sdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ToObject(d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, []*model.Object{o}); diff != "" {
			t.Errorf("(-after SDF +before)\n%s", diff)
		}
	})
}

func TestDefinitionsAreValid(t *testing.T) {
	everyObject(t, func(t *testing.T, o *model.Object) {
		d := FromObject(o)
		if err := d.Validate(sdf.Framework); err != nil {
			t.Error(err)
		}
		if err := d.Check(); err != nil {
			t.Error(err)
		}
		// The RFC's own qualities alone can't say that the items of an array are byte strings or links.
		if err := d.Validate(sdf.Strict); err != nil && o.ID != 19 && o.ID != 20 {
			t.Error(err)
		}
	})
}

// TestNothingIsLost would say little of a field that no definition has, or of one that is not compared: each is set somewhere, and each change arrives.
func TestEachFieldArrives(t *testing.T) {
	set := map[string]bool{}
	for o := range model.Core().All() {
		note(set, reflect.ValueOf(*o))
		for _, r := range o.Resources {
			note(set, reflect.ValueOf(r))
			note(set, reflect.ValueOf(r.Range))
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[model.Object](), reflect.TypeFor[model.Resource](), reflect.TypeFor[model.Range]()} {
		for f := range of.Fields() {
			if name := of.Name() + "." + f.Name; !set[name] {
				t.Errorf("no definition has %s", name)
			}
		}
	}
	const odd = "a/b~c#d:e \"quoted\"\n\té \\u0000"
	for name, change := range map[string]func(*model.Object){
		"id":                 func(o *model.Object) { o.ID++ },
		"version":            func(o *model.Object) { o.Version = lwm2m.Version{Major: 7, Minor: 3} },
		"enabler":            func(o *model.Object) { o.LwM2M = lwm2m.V1_1 },
		"URN":                func(o *model.Object) { o.URN = odd },
		"name":               func(o *model.Object) { o.Name = odd },
		"description":        func(o *model.Object) { o.Description = odd },
		"description behind": func(o *model.Object) { o.Description2 = odd },
		"multiple":           func(o *model.Object) { o.Multiple = !o.Multiple },
		"mandatory":          func(o *model.Object) { o.Mandatory = !o.Mandatory },
		"resource taken":     func(o *model.Object) { o.Resources = o.Resources[1:] },
		"resource id":        func(o *model.Object) { o.Resources[len(o.Resources)-1].ID = 65534 },
		"resource name":      func(o *model.Object) { o.Resources[0].Name = odd },
		"operations":         func(o *model.Object) { o.Resources[0].Operations ^= model.Write },
		"resource multiple":  func(o *model.Object) { o.Resources[0].Multiple = !o.Resources[0].Multiple },
		"resource mandatory": func(o *model.Object) { o.Resources[0].Mandatory = !o.Resources[0].Mandatory },
		"kind":               func(o *model.Object) { o.Resources[0].Kind = lwm2m.KindUnsigned },
		"range": func(o *model.Object) {
			r := &o.Resources[0]
			r.RangeText, r.Range = "-3..7", model.ParseRange(r.Kind, "-3..7")
		},
		"list of values": func(o *model.Object) {
			r := &o.Resources[0]
			r.RangeText, r.Range = "1,5", model.ParseRange(r.Kind, "1,5")
		},
		"range nobody reads":   func(o *model.Object) { r := &o.Resources[0]; r.RangeText, r.Range = odd, model.ParseRange(r.Kind, odd) },
		"unit":                 func(o *model.Object) { o.Resources[0].Unit = odd },
		"unit of SenML":        func(o *model.Object) { o.Resources[0].Unit = "W" },
		"resource description": func(o *model.Object) { o.Resources[0].Description = odd },
	} {
		t.Run(name, func(t *testing.T) {
			o := reference()
			change(o)
			if cmp.Equal(o, reference()) {
				t.Fatal("nothing was changed")
			}
			d := FromObject(o)
			got, err := ToObject(d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, []*model.Object{o}); diff != "" {
				t.Errorf("(-after SDF +before)\n%s", diff)
			}
			if err := errors.Join(d.Check(), d.Validate(sdf.Framework)); err != nil {
				t.Error(err)
			}
		})
	}
}

func reference() *model.Object {
	return &model.Object{ID: 5000, Name: "Gauge", URN: "urn:oma:lwm2m:x:5000", Resources: []model.Resource{
		{ID: 0, Name: "Level", Operations: model.Read, Kind: lwm2m.KindInteger}, {ID: 1, Name: "Reset", Operations: model.Execute},
	}}
}

// note remembers the fields of v that are not empty.
func note(set map[string]bool, v reflect.Value) {
	for f, value := range v.Fields() {
		if !value.IsZero() {
			set[v.Type().Name()+"."+f.Name] = true
		}
	}
}
