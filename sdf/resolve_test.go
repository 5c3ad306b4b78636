package sdf

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parse(t testing.TB, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestResolve(t *testing.T) {
	elsewhere := parse(t, `{"namespace":{"x":"https://example.com/x"},"defaultNamespace":"x",
		"sdfData":{"Length":{"type":"number","unit":"m","minimum":0},"Short":{"sdfRef":"#/sdfData/Length","maximum":1}}}`)
	for _, c := range []struct{ name, text, at, want, code string }{
		{"chain", `{"sdfData":{"A":{"type":"number","unit":"m"},"B":{"sdfRef":"#/sdfData/A","description":"b"},"C":{"sdfRef":"#/sdfData/B","minimum":0}}}`,
			"/sdfData/C", `{"description":"b","minimum":0,"type":"number","unit":"m"}`, ""},
		{"null removes", `{"sdfObject":{"A":{"sdfAction":{"on":{},"toggle":{}}},"B":{"sdfRef":"#/sdfObject/A","sdfAction":{"toggle":null}}}}`,
			"/sdfObject/B", `{"sdfAction":{"on":{}}}`, ""},
		{"a patch with a reference", `{"sdfData":{"T":{"type":"number","maximum":9}},"sdfObject":{"A":{"sdfProperty":{"p":{"label":"p","unit":"m"}}},
			"B":{"sdfRef":"#/sdfObject/A","sdfProperty":{"p":{"sdfRef":"#/sdfData/T","maximum":8}}}}}`,
			"/sdfObject/B", `{"sdfProperty":{"p":{"label":"p","maximum":8,"type":"number","unit":"m"}}}`, ""},
		{"elsewhere", `{"namespace":{"y":"https://example.com/x"},"sdfProperty":{"p":{"sdfRef":"y:#/sdfData/Short","label":"p"}}}`,
			"/sdfProperty/p", `{"label":"p","maximum":1,"minimum":0,"type":"number","unit":"m"}`, ""},
		{"by its own namespace", `{"namespace":{"x":"https://example.com/z"},"defaultNamespace":"x","sdfData":{"A":{"type":"number"},"B":{"sdfRef":"x:#/sdfData/A"}}}`,
			"/sdfData/B", `{"type":"number"}`, ""},
		{"escaped", `{"sdfData":{"a/b~c d":{"type":"number"},"B":{"sdfRef":"#/sdfData/a~1b~0c%20d"}}}`, "/sdfData/B", `{"type":"number"}`, ""},
		{"itself", `{"sdfData":{"A":{"sdfRef":"#/sdfData/A"}}}`, "", "", CodeCycle},
		{"a circle", `{"sdfData":{"A":{"sdfRef":"#/sdfData/B"},"B":{"sdfRef":"#/sdfData/C"},"C":{"sdfRef":"#/sdfData/A"}}}`, "", "", CodeCycle},
		{"within itself", `{"sdfObject":{"A":{"sdfProperty":{"p":{"sdfRef":"#/sdfObject/A"}}}}}`, "", "", CodeCycle},
		{"through a patch", `{"sdfObject":{"A":{"label":"a"},"B":{"sdfRef":"#/sdfObject/A","sdfProperty":{"p":{"sdfRef":"#/sdfObject/B"}}}}}`, "", "", CodeCycle},
		{"nowhere", `{"sdfData":{"A":{"sdfRef":"#/sdfData/B"}}}`, "", "", CodeReference},
		{"no definition", `{"info":{"title":"x"},"sdfData":{"A":{"sdfRef":"#/info/title"}}}`, "", "", CodeReference},
		{"an undeclared prefix", `{"sdfData":{"A":{"sdfRef":"q:#/sdfData/B"}}}`, "", "", CodeReference},
		{"unknown elsewhere", `{"namespace":{"y":"https://example.com/x"},"sdfData":{"A":{"sdfRef":"y:#/sdfData/B"}}}`, "", "", CodeReference},
		{"a bare name", `{"sdfData":{"A":{"sdfRef":"B"},"B":{}}}`, "", "", CodeReference},
		{"the whole document", `{"sdfData":{"A":{"sdfRef":"#"}}}`, "", "", CodeReference},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := parse(t, c.text)
			before, _ := d.JSON()
			resolved, err := d.Resolve(Library(elsewhere))
			if codeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if after, _ := d.JSON(); string(after) != string(before) {
				t.Errorf("the document changed: %s", after)
			}
			if err != nil {
				return
			}
			at, _ := ParsePointer(c.at)
			value, _ := resolved.At(at)
			got, _ := EncodeJSON(value)
			if diff := cmp.Diff(string(got), c.want); diff != "" {
				t.Errorf("(-got +want)\n%s", diff)
			}
		})
	}
}

// TestReferencesDoNotMultiply: twenty definitions that use the next one ten times each would be 10^20 values.
func TestReferencesDoNotMultiply(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"sdfThing":{"T20":{"label":"x"}`)
	for i := range 20 {
		fmt.Fprintf(&text, `,"T%d":{"sdfThing":{`, i)
		for j := range 10 {
			fmt.Fprintf(&text, `%.*s"c%d":{"sdfRef":"#/sdfThing/T%d"}`, min(j, 1), ",", j, i+1)
		}
		text.WriteString(`}}`)
	}
	text.WriteString(`}}`)
	start := time.Now()
	_, err := parse(t, text.String()).Resolve(nil)
	if codeOf(err) != CodeTooLarge || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestLongChains: a chain of 15,000 references would cost the square of it.
func TestLongChains(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"sdfData":{"a0":{}`)
	for i := range 15_000 {
		fmt.Fprintf(&text, `,"a%d":{"sdfRef":"#/sdfData/a%d"}`, i+1, i)
	}
	text.WriteString(`}}`)
	_, err := parse(t, text.String()).Resolve(nil)
	if codeOf(err) != CodeTooLarge {
		t.Error(err)
	}
}

// TestResolvePublicExample: the RFC's example of a switch without a toggle, made of the one with it.
func TestResolvePublicExample(t *testing.T) {
	models := corpus(t)
	whole, err := Parse(models["rfc9880/example1.sdf.json"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, `{"namespace":{"cap":"https://example.com/capability/cap"},"defaultNamespace":"cap",
		"sdfObject":{"BasicSwitch":{"sdfRef":"cap:#/sdfObject/Switch","sdfAction":{"toggle":null}}}}`)
	resolved, err := d.Resolve(Library(whole))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse(models["rfc9880/example1-without-toggle.sdf.json"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(resolved.Tree()["sdfObject"], want.Tree()["sdfObject"]); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		limits := Limits{Bytes: 1 << 15, Values: 5000}
		d, _, err := Read(text, limits, nil)
		if err != nil {
			return
		}
		m, err := d.Model()
		if err != nil {
			t.Fatalf("a valid document is no model: %v", err)
		}
		if err := m.Document().Validate(Framework); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseReference(f *testing.F) {
	for _, text := range []string{"#/sdfData/A", "x:#/a~1b/c%20d", "#", "x:/#/a", "~2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseReference(text)
		if err != nil {
			return
		}
		again, err := ParseReference(r.String())
		if err != nil || !cmp.Equal(again, r) {
			t.Fatalf("%q is %q and then %v, %v", text, r.String(), again, err)
		}
	})
}
