package oma

import (
	"testing"

	"github.com/google/go-cmp/cmp"

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
