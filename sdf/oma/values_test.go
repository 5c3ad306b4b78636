package oma

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf"
)

func translator() *Translator { return New(model.Core()) }

func record(path string, v lwm2m.Value) lwm2m.Record {
	return lwm2m.Record{Path: lwm2m.MustParsePath(path), Value: v}
}

func TestInstances(t *testing.T) {
	then := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		object uint16
		tree   lwm2m.Tree
		want   []Instance
	}{
		{"the reply of D3.3", 35002, lwm2m.Tree{
			record("/35002/0/27210", lwm2m.ObjectLink(9, 1)), record("/35002/0/27211", lwm2m.Float(12.5)), record("/35002/0/27212", lwm2m.Integer(4096)),
			record("/35002/2/27214", lwm2m.String("")),
		}, []Instance{
			{0, map[string]any{"Software_Package": map[string]any{"object": int64(9), "instance": int64(1)}, "CPU_Usage": 12.5, "Memory_Usage": int64(4096)}},
			{2, map[string]any{"Error": ""}},
		}},
		{"instances of a resource", 3, lwm2m.Tree{
			record("/3/0/6/0", lwm2m.Integer(1)), record("/3/0/6/1", lwm2m.Integer(5)), record("/3/0/7/0", lwm2m.Integer(3800)), record("/3/0/7/3", lwm2m.Integer(5000)),
			record("/3/0/8", lwm2m.Value{}), record("/3/0/13", lwm2m.Time(then)),
		}, []Instance{{0, map[string]any{
			"Available_Power_Sources": []any{int64(1), int64(5)}, "Power_Source_Voltage": map[string]any{"0": int64(3800), "3": int64(5000)}, "Power_Source_Current": []any{},
			"Current_Time": then.Unix(),
		}}}},
		{"byte strings", 19, lwm2m.Tree{record("/19/0/0/1", lwm2m.Opaque([]byte("TX_PWR | LOW")))}, []Instance{{0, map[string]any{"Data": map[string]any{"1": []byte("TX_PWR | LOW")}}}}},
		{"the last of a series", 3303, lwm2m.Tree{record("/3303/0/5700", lwm2m.Float(1)), record("/3303/0/5700", lwm2m.Float(2))}, []Instance{{0, map[string]any{"Sensor_Value": 2.0}}}},
		{"what nobody knows", 4999, lwm2m.Tree{record("/4999/0/7", lwm2m.Boolean(true))}, []Instance{{0, map[string]any{"7": true}}}},
		{"an empty instance", 9, lwm2m.Tree{record("/9/3", lwm2m.Value{})}, []Instance{{3, map[string]any{}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := translator().Object(c.object, lwm2m.Version{})
			if diff := cmp.Diff(o.Instances(c.tree), c.want); diff != "" {
				t.Errorf("(-got +want)\n%s", diff)
			}
			var back lwm2m.Tree
			for _, in := range c.want {
				tree, err := o.Tree(in.Label, in.Properties)
				if err != nil {
					t.Fatal(err)
				}
				back = append(back, tree...)
			}
			if diff := cmp.Diff(o.Instances(back), withProperties(c.want)); diff != "" {
				t.Errorf("there and back (-got +want)\n%s", diff)
			}
		})
	}
}

// withProperties leaves out instances that have nothing in them.
func withProperties(all []Instance) (some []Instance) {
	for _, in := range all {
		if len(in.Properties) > 0 {
			some = append(some, in)
		}
	}
	return some
}

func TestToValue(t *testing.T) {
	for _, c := range []struct {
		path string
		data any
		want lwm2m.Value
		why  string
	}{
		{"/9/0/7", "INSTALLED", lwm2m.Integer(4), ""},
		{"/9/0/7", "download started", lwm2m.Integer(1), ""},
		{"/9/0/7", "4", lwm2m.Integer(4), ""},
		{"/9/0/7", int64(5), lwm2m.Value{}, "5 is above 4"},
		{"/9/0/7", "BROKEN", lwm2m.Value{}, `"BROKEN" is not an integer`},
		{"/9/0/9", int64(70), lwm2m.Integer(70), ""},
		{"/9/0/12", "ENABLED", lwm2m.Boolean(true), ""},
		{"/9/0/12", "0", lwm2m.Boolean(false), ""},
		{"/9/0/13", "9:3", lwm2m.ObjectLink(9, 3), ""},
		{"/9/0/13", map[string]any{"object": int64(9), "instance": int64(65535)}, lwm2m.ObjectLink(9, 65535), ""},
		{"/9/0/13", map[string]any{"object": int64(9)}, lwm2m.Value{}, `it lacks "instance"`},
		{"/9/0/2", map[string]any{"a": int64(1)}, lwm2m.Opaque([]byte(`{"a":1}`)), ""},
		{"/9/0/2", "AQID", lwm2m.Opaque([]byte{1, 2, 3}), ""},
		{"/9/0/2", "not base64url", lwm2m.Value{}, "is not base64url"},
		{"/3303/0/5700", int64(21), lwm2m.Float(21), ""},
		{"/3303/0/5700", "21.5", lwm2m.Float(21.5), ""},
		{"/3303/0/5700", nil, lwm2m.Value{}, "there is no value"},
		{"/3/0/13", "2026-11-22T00:00:00Z", lwm2m.TimeSeconds(1795305600), ""},
		{"/1/0/1", 3600.0, lwm2m.Integer(3600), ""},
		{"/1/0/1", 3600.5, lwm2m.Value{}, "is not an integer"},
		{"/1/0/14", uint64(1) << 63, lwm2m.Unsigned(1 << 63), ""},
		{"/1/0/14", int64(-1), lwm2m.Value{}, "-1 is below 0"},
		{"/4999/0/1", "x", lwm2m.String("x"), ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			p := lwm2m.MustParsePath(c.path)
			r := translator().Object(p.Object(), lwm2m.V1_2).Resource(p.Resource())
			got, err := r.ToValue(c.data)
			if c.why == "" {
				if err != nil || got != c.want {
					t.Errorf("%v, %v; want %v", got, err, c.want)
				}
				return
			}
			own, ok := err.(*sdf.Error)
			if !ok || !strings.Contains(own.Why, c.why) || own.Hint == "" {
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
}
