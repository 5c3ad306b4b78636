package model

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
)

var update = flag.Bool("update", false, "write the golden files")

// TestCore shows all that was made of the embedded files, in one table that a person can read.
func TestCore(t *testing.T) {
	var b strings.Builder
	for o := range Core().All() {
		fmt.Fprintf(&b, "%d %s %q %s multiple=%t mandatory=%t\n", o.ID, o.Version, o.Name, o.URN, o.Multiple, o.Mandatory)
		for _, r := range o.Resources {
			fmt.Fprintf(&b, "  %d %q %s %s multiple=%t mandatory=%t%s\n", r.ID, r.Name, r.Operations, r.Kind, r.Multiple, r.Mandatory, details(r))
		}
	}
	const golden = "testdata/core.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(want)); diff != "" {
		t.Errorf("%s; look at it, then run with -update", diff)
	}
}

func details(r Resource) (s string) {
	if r.Unit != "" {
		s += " unit=" + r.Unit
	}
	if r.RangeText != "" {
		s += fmt.Sprintf(" range=%q", r.RangeText)
		if r.Range.Bounded {
			s += fmt.Sprintf(" %v to %v", r.Range.Min, r.Range.Max)
		}
		if len(r.Range.Values) > 0 {
			s += fmt.Sprint(" one of ", r.Range.Values)
		}
		if r.Range.Bytes {
			s += " bytes"
		}
	}
	for _, c := range r.Enumeration {
		s += fmt.Sprintf("\n      %d = %s", c.Value, c.Name)
	}
	return s
}

func TestURNs(t *testing.T) {
	for o := range Core().All() {
		if got := URNOf(o.ID, o.Version); got != o.URN {
			t.Errorf("object %d: %s, the file says %s", o.ID, got, o.URN)
		}
	}
}

func TestParseRange(t *testing.T) {
	for _, row := range []struct {
		kind lwm2m.Kind
		text string
		want Range
	}{
		{lwm2m.KindInteger, "0..255", Range{Max: 255, Bounded: true}},
		{lwm2m.KindInteger, " 1...25 ", Range{Min: 1, Max: 25, Bounded: true}},
		{lwm2m.KindInteger, "-128 .. 127", Range{Min: -128, Max: 127, Bounded: true}},
		{lwm2m.KindInteger, "0-100", Range{Max: 100, Bounded: true}},
		{lwm2m.KindFloat, "-1.5..0.5", Range{Min: -1.5, Max: 0.5, Bounded: true}},
		{lwm2m.KindString, "0..255 bytes", Range{Max: 255, Bounded: true, Bytes: true}},
		{lwm2m.KindString, "32 bytes", Range{Max: 32, Bounded: true, Bytes: true}},
		{lwm2m.KindString, "6", Range{Max: 6, Bounded: true}},
		{lwm2m.KindOpaque, "16-32-48 bytes", Range{Values: []float64{16, 32, 48}, Bytes: true}},
		{lwm2m.KindInteger, "1, 2,4", Range{Values: []float64{1, 2, 4}}},
		{lwm2m.KindInteger, "1 bytes", Range{Min: -128, Max: 255, Bounded: true, Bytes: true}},
		{lwm2m.KindInteger, "255", Range{}},
		{lwm2m.KindInteger, "8-Bits", Range{}},
		{lwm2m.KindInteger, "ON;OFF", Range{}},
		{lwm2m.KindInteger, "9..0", Range{}},
		{lwm2m.KindInteger, "1..2-3", Range{}},
		{lwm2m.KindBoolean, "0..1", Range{}},
		{lwm2m.KindInteger, "The possible values are those listed in the LwM2M Core Specification", Range{}},
	} {
		if diff := cmp.Diff(ParseRange(row.kind, row.text), row.want); diff != "" {
			t.Errorf("%v %q: %s", row.kind, row.text, diff)
		}
	}
}

func TestRangeAllows(t *testing.T) {
	for _, row := range []struct {
		kind  lwm2m.Kind
		text  string
		value lwm2m.Value
		want  bool
	}{
		{lwm2m.KindInteger, "0..4", lwm2m.Integer(4), true},
		{lwm2m.KindInteger, "0..4", lwm2m.Integer(5), false},
		{lwm2m.KindString, "0..2 bytes", lwm2m.String("é"), true},
		{lwm2m.KindString, "0..1 bytes", lwm2m.String("é"), false},
		{lwm2m.KindString, "0..1", lwm2m.String("é"), true},
		{lwm2m.KindOpaque, "16,32", lwm2m.Opaque(make([]byte, 32)), true},
		{lwm2m.KindOpaque, "16,32", lwm2m.Opaque(make([]byte, 31)), false},
		{lwm2m.KindString, "", lwm2m.String("x"), true},
	} {
		if got := ParseRange(row.kind, row.text).Allows(row.value); got != row.want {
			t.Errorf("%q allows %v: %t", row.text, row.value, got)
		}
	}
}

func TestParseEnumeration(t *testing.T) {
	for _, row := range []struct {
		name, description, want string
		kind                    lwm2m.Kind
	}{
		{"lines", "State\n0: INITIAL\nbefore\n1: DOWNLOAD STARTED\n", "0=INITIAL 1=DOWNLOAD STARTED", lwm2m.KindInteger},
		{"remarks", "0: Idle (before downloading)\n1: AC (Mains) power\n2: Lost. It came so.", "0=Idle 1=AC (Mains) power 2=Lost", lwm2m.KindInteger},
		{"reserved", "0 : a\n1: Reserved for later\n2 = b", "0=a 2=b", lwm2m.KindUnsigned},
		{"running text", "Class: 0: generic (default)  1: system   2: security [7-99]: reserved", "0=generic 1=system 2=security", lwm2m.KindInteger},
		{"boolean", "0: off\n1: on", "0=off 1=on", lwm2m.KindBoolean},
		{"beyond a boolean", "0: off\n1: on\n2: both", "", lwm2m.KindBoolean},
		{"one is none", "0: off", "", lwm2m.KindInteger},
		{"out of order", "2: two\n1: one\n", "", lwm2m.KindInteger},
		{"one name twice", "0: same\n1: same\n", "", lwm2m.KindInteger},
		{"text has none", "0: a\n1: b", "", lwm2m.KindString},
		{"times of day", "at 12:30 and at 13:45", "", lwm2m.KindInteger},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, c := range ParseEnumeration(row.kind, row.description) {
				got = append(got, fmt.Sprintf("%d=%s", c.Value, c.Name))
			}
			if diff := cmp.Diff(strings.Join(got, " "), row.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVersionsSideBySide(t *testing.T) {
	r := Core()
	for _, row := range []struct {
		id         uint16
		told, want string
	}{
		{3, "", "1.0"}, {3, "1.0", "1.0"}, {3, "1.1", "1.1"}, {3, "1.2", "1.2"}, {3, "1.9", "1.2"}, {3, "2.0", "1.2"}, {4, "1.1", "1.3"}, {20, "", "2.1"}, {9, "1.5", "1.0"},
	} {
		var told lwm2m.Version
		if err := told.UnmarshalText([]byte(row.told)); err != nil {
			t.Fatal(err)
		}
		if o, ok := r.Object(row.id, told); !ok || o.Version.String() != row.want {
			t.Errorf("object %d of version %q is %v", row.id, row.told, o)
		}
	}
	if _, ok := r.Object(999, lwm2m.V1_0); ok {
		t.Error("an unknown object has a definition")
	}
	old := r.View(func(uint16) lwm2m.Version { return lwm2m.V1_0 })
	if _, _, ok := old.Kind(lwm2m.PathOf(5, 0, 13)); ok {
		t.Error("Firmware Update 1.0 has a maximum defer period")
	}
	if kind, multiple, ok := r.View(nil).Kind(lwm2m.PathOf(3, 0, 7)); !ok || kind != lwm2m.KindInteger || !multiple {
		t.Errorf("the voltage is %v, %t, %t", kind, multiple, ok)
	}
}

func TestNamesOfTheMonitoringObject(t *testing.T) {
	o, _ := Core().Latest(35002)
	var names []string
	for _, r := range o.Resources {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff(names, []string{"Software Package", "CPU Usage", "Memory Usage", "Uptime", "Error", "Last Decision"}); diff != "" {
		t.Error(diff)
	}
}

const small = `<LWM2M><Object><Name>N</Name><ObjectID>1</ObjectID><Resources>%s</Resources></Object></LWM2M>`

func TestParseRefuses(t *testing.T) {
	item := func(columns string) string {
		return fmt.Sprintf(small, `<Item ID="0"><Name>R</Name>`+columns+`</Item>`)
	}
	for _, row := range []struct{ name, file, why string }{
		{"nothing", "", "empty"},
		{"other XML", "<a/>", "LWM2M"},
		{"no object", "<LWM2M/>", "no object"},
		{"cut", `<LWM2M><Object>`, "EOF"},
		{"an entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><LWM2M><Object><Name>&e;</Name></Object></LWM2M>`, "entity"},
		{"no name", `<LWM2M><Object><ObjectID>1</ObjectID></Object></LWM2M>`, "no name"},
		{"a number too large", `<LWM2M><Object><Name>N</Name><ObjectID>65535</ObjectID></Object></LWM2M>`, "65534"},
		{"a bad version", `<LWM2M><Object><Name>N</Name><ObjectID>1</ObjectID><ObjectVersion>one</ObjectVersion></Object></LWM2M>`, "version"},
		{"an unknown type", item("<Operations>R</Operations><Type>Complex</Type>"), "Complex"},
		{"a value without type", item("<Operations>R</Operations>"), "no type"},
		{"unknown operations", item("<Operations>X</Operations>"), "Operations"},
		{"read and executed", item("<Operations>RE</Operations><Type>String</Type>"), "executed"},
		{"neither one nor many", item("<MultipleInstances>Some</MultipleInstances>"), "Some"},
		{"a resource twice", fmt.Sprintf(small, strings.Repeat(`<Item ID="7"><Name>R</Name><Operations>E</Operations></Item>`, 2)), "twice"},
		{"too many resources", fmt.Sprintf(small, strings.Repeat(`<Item ID="7"/>`, MaxResources+1)), "more than"},
		{"too many objects", "<LWM2M>" + strings.Repeat("<Object/>", MaxObjects+1) + "</LWM2M>", "more than"},
		{"too large", "<LWM2M>" + strings.Repeat(" ", MaxFileBytes), "larger"},
		{"too deep", strings.Repeat("<LWM2M>", 20000), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			objects, err := Parse(strings.NewReader(row.file))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Error(), row.why) {
				t.Errorf("%v, %v; want one about %q", objects, err, row.why)
			}
		})
	}
}

func TestRegistryIsBounded(t *testing.T) {
	r := Core()
	many := make([]*Object, MaxDefinitions)
	for i := range many {
		many[i] = &Object{ID: uint16(i), Name: "x"}
	}
	if err := r.Add(many...); err == nil {
		t.Error("any number of definitions is taken")
	}
	if _, ok := r.Latest(4000); ok {
		t.Error("a refused set of definitions is there in part")
	}
	if err := r.Add(&Object{ID: 9, Name: "Ours"}); err != nil {
		t.Fatal(err)
	}
	if o, _ := r.Latest(9); o.Name != "Ours" {
		t.Error("a definition is not replaced")
	}
	if o, _ := Core().Latest(9); o.Name == "Ours" {
		t.Error("one registry changes another")
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"oma/9.xml", "oma/20.xml"} {
		file, err := files.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := strings.Cut(string(file), "-->")
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, file string) {
		objects, err := Parse(strings.NewReader(file))
		if err != nil {
			return
		}
		for _, o := range objects {
			for _, r := range o.Resources {
				if got, ok := o.Resource(r.ID); !ok || got.Name == "" {
					t.Errorf("resource %d is not found", r.ID)
				}
				r.Range.Allows(lwm2m.Integer(1))
			}
		}
	})
}

func BenchmarkResource(b *testing.B) {
	view := Core().View(nil)
	path := lwm2m.PathOf(3, 0, 13)
	b.ReportAllocs()
	for b.Loop() {
		view.Kind(path)
	}
}
