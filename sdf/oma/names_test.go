package oma

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"LWM2M Software Management": "LWM2M_Software_Management", "On/Off": "On_Off", " a,  b\t": "a_b", "x": "x", "Firmware: Update#1": "Firmware_Update_1", "": "",
	} {
		if got := Name(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// twins has two resources of one name, one whose name with its number is taken, one that is a number, and one that is property and action.
var twins = &model.Object{ID: 5000, Name: "Twins", Multiple: true, Resources: []model.Resource{
	{ID: 0, Name: "Level", Operations: model.Read, Kind: lwm2m.KindInteger, Mandatory: true},
	{ID: 1, Name: "Level", Operations: model.Write, Kind: lwm2m.KindFloat},
	{ID: 2, Name: "Level_3", Operations: model.Read, Kind: lwm2m.KindString},
	{ID: 3, Name: "Level", Operations: model.Read, Kind: lwm2m.KindString},
	{ID: 4, Name: "Level", Operations: model.Execute, Mandatory: true},
	{ID: 5, Name: "17", Operations: model.Read, Kind: lwm2m.KindTime},
	{ID: 6, Name: "Key", Kind: lwm2m.KindOpaque, Mandatory: true},
	{ID: 7, Name: "Both", Operations: model.Read | model.Execute, Kind: lwm2m.KindInteger},
	{ID: 8, Name: "Sizes", Operations: model.Read | model.Write, Kind: lwm2m.KindInteger, RangeText: "16,32,48", Range: model.ParseRange(lwm2m.KindInteger, "16,32,48")},
}}

func TestNamesWithinAnObject(t *testing.T) {
	o := newObject(twins.ID, "Twins", twins)
	got := map[uint16]string{}
	for id, r := range o.resources {
		got[id] = r.Name
	}
	want := map[uint16]string{0: "Level", 1: "Level_1", 2: "Level_3", 3: "Level_3_3", 4: "Level", 5: "_17", 6: "Key", 7: "Both", 8: "Sizes"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
	for _, c := range []struct {
		find func(string) (*Resource, bool)
		name string
		id   uint16
		ok   bool
	}{
		{o.Property, "Level", 0, true}, {o.Property, "1", 1, true}, {o.Property, "Level_3", 2, true}, {o.Property, "4", 4, false}, {o.Property, "99", 99, true}, {o.Property, "level", 0, false},
		{o.Action, "Level", 4, true}, {o.Action, "4", 4, true}, {o.Action, "0", 0, false}, {o.Property, "17", 17, true}, {o.Property, "65535", 0, false},
	} {
		if r, ok := c.find(c.name); ok != c.ok || ok && r.ID != c.id {
			t.Errorf("%s: %+v, %v", c.name, r, ok)
		}
	}
}

func TestTwinsLoseNothing(t *testing.T) {
	d := FromObject(twins)
	if err := d.Validate(sdf.Strict); err != nil {
		t.Error(err)
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	got, err := ToObject(d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, []*model.Object{twins}); diff != "" {
		t.Errorf("(-after +before)\n%s", diff)
	}
}

func TestObjectsOfOneName(t *testing.T) {
	registry, err := model.New(
		&model.Object{ID: 3336, Name: "Location"}, &model.Object{ID: 6, Name: "Location"}, &model.Object{ID: 6, Name: "Location", Version: lwm2m.V1_1},
	)
	if err != nil {
		t.Fatal(err)
	}
	tr := New(registry)
	for _, c := range []struct {
		id      uint16
		version lwm2m.Version
		want    string
	}{{3336, lwm2m.Version{}, "Location_3336"}, {6, lwm2m.Version{}, "Location"}, {6, lwm2m.V1_1, "Location"}, {77, lwm2m.Version{}, "77"}} {
		if got := tr.Object(c.id, c.version).Name; got != c.want {
			t.Errorf("%d: %q, want %q", c.id, got, c.want)
		}
	}
	if err := registry.Add(&model.Object{ID: 2, Name: "Location"}); err != nil {
		t.Fatal(err)
	}
	if got := tr.Object(2, lwm2m.Version{}).Name; got != "Location_2" {
		t.Errorf("an object that came later took the name: %q", got)
	}
	if once, again := tr.Object(6, lwm2m.V1_1), tr.Object(6, lwm2m.V1_1); once != again {
		t.Error("an object is made twice")
	}
}

func TestThing(t *testing.T) {
	tr := translator()
	var all []Registered
	for o := range model.Core().All() {
		if len(all) == 0 || all[len(all)-1].ID != o.ID {
			all = append(all, Registered{ID: o.ID, Version: o.Version, Instances: []uint16{0, 7}})
		}
	}
	all = append(all, Registered{ID: 4999, Instances: []uint16{1}})
	d := tr.Thing("urn:imei:35/1#a", all)
	for _, rules := range []sdf.Rules{sdf.Framework} {
		if err := d.Validate(rules); err != nil {
			t.Error(err)
		}
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	m, err := d.Model()
	if err != nil {
		t.Fatal(err)
	}
	thing := m.Things["urn%3Aimei%3A35%2F1%23a"]
	if thing == nil || thing.Label != "urn:imei:35/1#a" || thing.Extra["oma:endpoint"] != "urn:imei:35/1#a" || len(thing.Objects) != len(all) {
		t.Fatalf("%+v", thing)
	}
	if diff := cmp.Diff(thing.Objects["Device"].Extra["oma:instances"], []any{int64(0), int64(7)}); diff != "" {
		t.Error(diff)
	}
	if thing.Objects["4999"] == nil {
		t.Error("an object that nobody knows is left out")
	}
	objects, err := ToObject(d)
	if err != nil || len(objects) != len(all) {
		t.Errorf("%d objects, %v", len(objects), err)
	}
	if empty := tr.Thing("x", nil); empty.Validate(sdf.Strict) != nil {
		t.Error("a device without objects is not valid")
	}
}

func TestNotAnObject(t *testing.T) {
	for name, text := range map[string]string{
		"two of a number":    `{"sdfObject":{"A":{"oma:id":1,"sdfProperty":{"a":{"oma:id":1},"b":{"oma:id":1}}}}}`,
		"no number":          `{"sdfObject":{"A":{"oma:id":1,"sdfProperty":{"a":{}}}}}`,
		"a number too large": `{"sdfObject":{"A":{"oma:id":65535}}}`,
		"a text":             `{"sdfObject":{"A":{"oma:id":"3"}}}`,
		"a bad version":      `{"sdfObject":{"A":{"oma:id":3,"oma:version":"one"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			d, err := sdf.Parse([]byte(text), sdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if o, err := ToObject(d); err == nil {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	r := translator().Object(9, lwm2m.Version{}).Resource(6)
	for _, c := range []struct {
		data any
		want string
		ok   bool
	}{
		{nil, "", true}, {"", "", true}, {"1", "1", true}, {"0='a b',1", "0='a b',1", true}, {int64(1), "1", true}, {true, "1", true},
		{[]any{"now", int64(2)}, "0='now',1='2'", true}, {map[string]any{"1": nil, "0": "x"}, "0='x',1", true},
		{"a", "", false}, {"0=x", "", false}, {"0='x", "", false}, {"0,", "", false}, {"01", "", false}, {"0='\n'", "", false}, {[]any{"it's"}, "", false},
		{map[string]any{"x": "1"}, "", false}, {[]any{[]any{}}, "", false}, {make([]any, 11), "", false}, {1.5, "", false},
	} {
		got, err := r.Arguments(c.data)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%v: %q, %v; want %q", c.data, got, err, c.want)
		}
	}
}

func TestStrings(t *testing.T) {
	got := Strings(map[string]any{
		"a": []any{int64(1), 2.5, true, "x", nil, []byte{0xfb, 0xff}}, "b": map[string]any{"object": int64(9), "instance": int64(1)}, "c": uint64(1) << 63,
	})
	want := map[string]any{"a": []any{"1", "2.5", "1", "x", nil, "-_8"}, "b": "9:1", "c": "9223372036854775808"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
}

// FuzzTree: whatever somebody sends for an instance is refused, or makes a tree in order that reads as values.
func FuzzTree(f *testing.F) {
	for _, text := range []string{
		`{"Update_State":"INSTALLED","Package_Settings":"9:3"}`, `{"17":["9:1",{"object":1,"instance":2}]}`, `{"17":{"5":"9:1"}}`, `{"Package":"AQID","2":"AQID"}`, `{"Package":{"a":[1]}}`, `{"99":[1,"x"]}`,
	} {
		f.Add(uint16(9), []byte(text))
	}
	f.Add(uint16(19), []byte(`{"Data":["bWxzeXNvcHM"]}`))
	f.Add(uint16(4999), []byte(`{"1":[1.5,true]}`))
	tr := translator()
	f.Fuzz(func(t *testing.T, id uint16, text []byte) {
		value, err := sdf.DecodeJSON(text, sdf.Limits{Bytes: 4096})
		properties, ok := value.(map[string]any)
		if err != nil || !ok || id == lwm2m.NoID {
			return
		}
		o := tr.Object(id, lwm2m.Version{})
		tree, err := o.Tree(0, properties)
		if err != nil {
			return
		}
		for i := range tree {
			if i > 0 && tree[i-1].Path.Compare(tree[i].Path) >= 0 || tree[i].Path.Object() != id {
				t.Fatalf("not in order: %v", tree)
			}
		}
		for _, in := range o.Instances(tree) {
			again, err := o.Tree(in.Label, in.Properties)
			if err != nil && o.Definition != nil && len(o.Instances(tree)) > 0 && !hasUnknown(o, in.Properties) {
				t.Fatalf("%v was written and can't be written again: %v (%v)", tree, err, again)
			}
		}
	})
}

// hasUnknown: what nobody knows the type of, or has no value, can't be held to it.
func hasUnknown(o *Object, properties map[string]any) bool {
	for name, value := range properties {
		if r, ok := o.Property(name); !ok || r.Definition == nil || value == nil {
			return true
		}
	}
	return false
}
