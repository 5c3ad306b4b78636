package lwm2m

import (
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func TestParsePath(t *testing.T) {
	for text, want := range map[string]Path{
		"/": {}, "": {}, "/3": PathOf(3), "3/0": PathOf(3, 0), "/3/0/": PathOf(3, 0), "/3/0/13": PathOf(3, 0, 13),
		"/19/0/0/1": PathOf(19, 0, 0, 1), "/65534/65534/65534/65534": PathOf(65534, 65534, 65534, 65534),
	} {
		got, err := ParsePath(text)
		if err != nil || got != want {
			t.Errorf("ParsePath(%q) = %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParsePath(got.String()); err != nil || again != got {
			t.Errorf("%q does not come back: %v, %v", got, again, err)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, text := range []string{"//", "/3//0", "/65535", "/70000", "/03", "/00", "/-1", "/+1", "/3/0/0/0/0", "/a", "/3 ", "rd/1", "/3/0x1", "///"} {
		if got, err := ParsePath(text); err == nil {
			t.Errorf("ParsePath(%q) = %v", text, got)
		}
	}
}

func TestPathRelations(t *testing.T) {
	device, object, resource := Path{}, PathOf(3), PathOf(3, 0, 13)
	if !device.Contains(resource) || !object.Contains(resource) || !object.Contains(object) || resource.Contains(object) || PathOf(4).Contains(resource) {
		t.Error("Contains is wrong")
	}
	if !resource.Overlaps(object) || resource.Overlaps(PathOf(3, 1)) {
		t.Error("Overlaps is wrong")
	}
	if resource.Parent() != PathOf(3, 0) || object.Parent() != device || device.Parent() != device || object.Child(0).Child(13) != resource {
		t.Error("Parent or Child is wrong")
	}
	if PathOf(3, 0, 13).Truncate(1) != PathOf(3) {
		t.Error("a truncated path is not equal to the short one")
	}
	ordered := []Path{device, object, PathOf(3, 0), resource, PathOf(3, 0, 13, 0), PathOf(3, 1), PathOf(10)}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := a.Compare(b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%v.Compare(%v) = %d", a, b, got)
			}
		}
	}
}

func TestValuesAreSmallAndComparable(t *testing.T) {
	if size := unsafe.Sizeof(Value{}); size > 32 {
		t.Errorf("a value takes %d bytes", size)
	}
	if nan := math.NaN(); Opaque([]byte("x")) != OpaqueString("x") || Integer(1) == Unsigned(1) || !same(Float(nan), Float(nan)) {
		t.Error("== does not compare values")
	}
	bytes := []byte("abc")
	allocs := testing.AllocsPerRun(100, func() {
		v := Integer(7)
		_ = v.Append(bytes[:0])
		_ = PathOf(3, 0, 13).Append(bytes[:0:0])
	})
	if allocs > 1 { // the path's text
		t.Errorf("%v allocations", allocs)
	}
}

func same(a, b Value) bool { return a == b }

func TestValueTextComesBack(t *testing.T) {
	for _, v := range []Value{
		String("é"), Integer(math.MinInt64), Unsigned(math.MaxUint64), Float(1e-7), Float(-0.5), Float(math.Inf(1)), Boolean(true), Boolean(false), Opaque([]byte{0, 255}),
		Time(time.Unix(1367491215, 0)), ObjectLink(9, 3), ObjectLink(NoID, NoID), CoreLink("</3>"),
	} {
		got, err := ParseValue(v.Kind(), string(v.Append(nil)))
		if err != nil || got != v {
			t.Errorf("%v came back as %v, %v", v, got, err)
		}
	}
}

func TestParseValueRefuses(t *testing.T) {
	for _, row := range []struct {
		kind Kind
		text string
	}{
		{KindInteger, "1.5"}, {KindInteger, ""}, {KindInteger, "9223372036854775808"}, {KindUnsigned, "-1"}, {KindFloat, "x"}, {KindBoolean, "2"}, {KindBoolean, ""},
		{KindTime, "yesterday"}, {KindObjectLink, "9"}, {KindObjectLink, "9:65536"}, {KindObjectLink, ":"}, {KindString, "\xff"}, {KindNone, ""}, {Kind(99), "x"},
	} {
		if v, err := ParseValue(row.kind, row.text); err == nil {
			t.Errorf("%q as %v = %v", row.text, row.kind, v)
		}
	}
}

func TestTree(t *testing.T) {
	tree := Tree{
		{Path: PathOf(3, 0, 9), Value: Integer(80)},
		{Path: PathOf(3, 0, 0), Value: String("Acme")},
		{Path: PathOf(4, 0)},
		{Path: PathOf(3, 0, 7, 1), Value: Integer(5000)},
		{Path: PathOf(3, 0, 9), Value: Integer(79), Time: time.Unix(10, 0)},
		{Path: PathOf(3, 0, 7, 0), Value: Integer(3800)},
	}
	tree.Sort()
	want := `/3/0/0 = "Acme", /3/0/7/0 = 3800, /3/0/7/1 = 5000, /3/0/9 = 80, /3/0/9 = 79 at 1970-01-01T00:00:10Z, /4/0 = none`
	if diff := cmp.Diff(tree.String(), want); diff != "" {
		t.Error(diff)
	}
	if v, ok := tree.Value(PathOf(3, 0, 9)); !ok || v != Integer(79) {
		t.Errorf("the latest battery level is %v, %v", v, ok)
	}
	if _, ok := tree.Value(PathOf(4, 0)); ok {
		t.Error("an empty instance has a value")
	}
	var children []string
	for p, below := range tree.Children(PathOf(3, 0)) {
		children = append(children, p.String()+" "+string(rune('0'+len(below))))
	}
	if diff := cmp.Diff(children, []string{"/3/0/0 1", "/3/0/7 2", "/3/0/9 2"}); diff != "" {
		t.Error(diff)
	}
	if n := len(tree.Below(PathOf(3, 0, 7))); n != 2 {
		t.Errorf("%d voltages", n)
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]string{"1.0": "1.0", "1.2": "1.2", "1.0.2": "1.0", "10.255": "10.255"} {
		if v, err := ParseVersion(text); err != nil || v.String() != want {
			t.Errorf("%q is %v, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "1", "1.", ".1", "1.256", "1.1.", "1.1.x", "v1.1", "1.01"} {
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
	if (Version{}).Compare(V1_0) != 0 || V1_1.Compare(V1_2) >= 0 {
		t.Error("Compare is wrong")
	}
}

func TestAttributes(t *testing.T) {
	first, err := ParseAttributes([]string{"pmin=10", "pmax=60", "gt=42.5", "con=1"})
	if err != nil {
		t.Fatal(err)
	}
	change, err := ParseAttributes([]string{"pmin", "st=0.5", "edge=0", "hqmax=20"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Apply(change).String(), "pmax=60&gt=42.5&st=0.5&edge=0&con=1&hqmax=20"); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(change.String(), "pmin&st=0.5&edge=0&hqmax=20"); diff != "" {
		t.Error(diff)
	}
	inherited := Attributes{Has: PMin, PMin: 1}.Inherit(first)
	if inherited.PMin != 1 || inherited.PMax != 60 || inherited.Has != first.Has {
		t.Errorf("inherited %v", inherited)
	}
	if !first.ValidFor(KindFloat) || first.ValidFor(KindString) || change.ValidFor(KindInteger) {
		t.Error("ValidFor is wrong")
	}
	if (Attributes{Has: PMin | PMax, PMin: 10, PMax: 5}).MaxPeriod() != 0 {
		t.Error("a pmax below pmin is heeded")
	}
	link := Link{Target: "/3/0/9", Params: string(first.AppendParams(nil))[1:]}
	if diff := cmp.Diff(link.Attributes(), first); diff != "" {
		t.Error(diff)
	}
}

func TestAttributesRefuse(t *testing.T) {
	for _, q := range []string{"pmin=-1", "pmin=x", "pmax=4294967296", "gt=NaN", "lt=inf", "st=0", "edge=2", "con=true", "color=red", "=1", "", "lt=5 gt=5", "gt=5 lt=4 st=1", "epmin=5 epmax=5"} {
		if a, err := ParseAttributes(strings.Split(q, " ")); err == nil {
			t.Errorf("%q is %v", q, a)
		}
	}
}

func TestLinks(t *testing.T) {
	const document = `</lwm2m>;rt="oma.lwm2m";ct="60 112",</lwm2m/1>;ver=1.1,</lwm2m/3/0>;pmin=1;ssid=101;obs,</other>;title="a, b;\"c\""`
	links, err := ParseLinks([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(links.String(), document); diff != "" {
		t.Error(diff)
	}
	root := links.Root()
	if formats, _ := root.Param("ct"); root.Target != "/lwm2m" || formats != "60 112" {
		t.Errorf("the root is %+v", root)
	}
	if p, ok := links[2].Path(root.Target); !ok || p != PathOf(3, 0) {
		t.Errorf("the path is %v, %v", p, ok)
	}
	if _, ok := links[3].Path(root.Target); ok {
		t.Error("a link outside of the tree has a path")
	}
	if links[1].Version() != V1_1 || links[2].Version() != (Version{}) {
		t.Error("the versions are wrong")
	}
	if title, _ := links[3].Param("title"); title != `a, b;"c"` {
		t.Errorf("the title is %s", title)
	}
	if value, ok := links[2].Param("obs"); !ok || value != "" {
		t.Error("a parameter without value is lost")
	}
	if got := (Links{LinkTo(Path{}, "rt", "oma.lwm2m", "ct", "112"), LinkTo(PathOf(3, 0))}).String(); got != `</>;rt="oma.lwm2m";ct=112,</3/0>` {
		t.Error(got)
	}
}

func TestLinksOfRealDevices(t *testing.T) {
	for _, document := range []string{
		`</1/1>,</2>,</3/0>,</4/0>,</10>;ver=1.1`,             // Anjay: no root
		`</>;rt="oma.lwm2m";ct=110, </1>;ver=1.1,</1/0>,</2>`, // Wakaama, with a blank
	} {
		links, err := ParseLinks([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if _, ok := l.Path(links.Root().Target); !ok {
				t.Errorf("%s: %q has no path", document, l.Target)
			}
		}
	}
}

func TestLinksRefuse(t *testing.T) {
	for _, document := range []string{"<", "</3", "3", "</3>;", "</3>;=1", `</3>;a="`, "</3>,", "</3></4>", "</3>;a=", `</3>;a="\`, "</3>\xff", `</3>;a=b"c"`} {
		if links, err := ParseLinks([]byte(document)); err == nil {
			t.Errorf("%q is %v", document, links)
		}
	}
	if _, err := ParseLinks([]byte(strings.Repeat("<>,", MaxLinks) + "<>")); err == nil {
		t.Error("any number of links is taken")
	}
}

func FuzzParseLinks(f *testing.F) {
	f.Add([]byte(`</>;rt="oma.lwm2m";ct="60 112",</1>;ver=1.1,</3/0>;pmin=1;obs`))
	f.Add([]byte(`<>;a="\"",</3/0/13>;gt=1.5`))
	f.Fuzz(func(t *testing.T, document []byte) {
		links, err := ParseLinks(document)
		if err != nil {
			return
		}
		again, err := ParseLinks(links.Append(nil))
		if err != nil {
			t.Fatalf("%q, written again, is refused: %v", document, err)
		}
		if diff := cmp.Diff(again, links); diff != "" {
			t.Error(diff)
		}
		for _, l := range links {
			l.Path("/")
			l.Attributes()
		}
	})
}

func FuzzParsePath(f *testing.F) {
	f.Add("/3/0/13")
	f.Add("/65534/0/0/1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePath(text)
		if err != nil {
			return
		}
		if again, err := ParsePath(p.String()); err != nil || again != p {
			t.Errorf("%q is %v and comes back as %v, %v", text, p, again, err)
		}
	})
}
