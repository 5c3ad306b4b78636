package sdf

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func dataOf(t testing.TB, text string) *Data {
	t.Helper()
	tree, err := DecodeJSON([]byte(text), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := parseData(tree.(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestAccept(t *testing.T) {
	state := `{"type":"integer","minimum":0,"maximum":200,"sdfChoice":{"INITIAL":{"const":0},"DOWNLOAD_STARTED":{"const":1},"other":{"minimum":2}}}`
	for _, c := range []struct {
		name, data  string
		value, want any
		why         string
	}{
		{"integer", `{"type":"integer"}`, int64(3), int64(3), ""},
		{"ten point nought", `{"type":"integer"}`, 10.0, int64(10), ""},
		{"text for an integer", `{"type":"integer"}`, " 12 ", int64(12), ""},
		{"a fraction", `{"type":"integer"}`, 1.5, nil, "1.5 is not an integer"},
		{"text for a number", `{"type":"number"}`, "1e3", 1000.0, ""},
		{"words for a number", `{"type":"number"}`, "warm", nil, `"warm" is not a number`},
		{"below", `{"type":"number","minimum":0}`, -0.5, nil, "-0.5 is below 0"},
		{"above", `{"type":"integer","maximum":18446744073709551615}`, uint64(math.MaxUint64), uint64(math.MaxUint64), ""},
		{"exclusive", `{"type":"number","exclusiveMaximum":1}`, int64(1), nil, "1 is not below 1"},
		{"exact beyond 2^53", `{"type":"integer","maximum":9007199254740992}`, int64(9007199254740993), nil, "is above"},
		{"NaN", `{"type":"number","maximum":1}`, math.NaN(), nil, "NaN is above 1"},
		{"multiple", `{"type":"number","multipleOf":0.1}`, 0.3, 0.3, ""},
		{"no multiple", `{"type":"integer","multipleOf":5}`, int64(7), nil, "7 is no multiple of 5"},
		{"boolean", `{"type":"boolean"}`, "True", true, ""},
		{"0", `{"type":"boolean"}`, "0", false, ""},
		{"no boolean", `{"type":"boolean"}`, "perhaps", nil, "is not a boolean"},
		{"characters", `{"type":"string","maxLength":2}`, "éé", "éé", ""},
		{"too long", `{"type":"string","maxLength":2}`, "abc", nil, "its length 3 is above 2"},
		{"pattern", `{"type":"string","pattern":"b+"}`, "abbc", "abbc", ""},
		{"no match", `{"type":"string","pattern":"^b"}`, "abbc", nil, "does not match"},
		{"date", `{"type":"string","format":"date"}`, "2026-02-30", nil, "is not a date"},
		{"uuid", `{"type":"string","format":"uuid"}`, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ""},
		{"byte string", `{"type":"string","sdfType":"byte-string","maxLength":3}`, "AQID", []byte{1, 2, 3}, ""},
		{"padded", `{"sdfType":"byte-string"}`, "+/8=", []byte{0xfb, 0xff}, ""},
		{"native", `{"sdfType":"byte-string","maxLength":1}`, []byte{1, 2}, nil, "its length 2 is above 1"},
		{"a package description", `{"sdfType":"byte-string"}`, map[string]any{"a": int64(1)}, []byte(`{"a":1}`), ""},
		{"no base64url", `{"sdfType":"byte-string"}`, "a b", nil, "is not base64url"},
		{"time", `{"type":"number","sdfType":"unix-time"}`, "2026-11-22T00:00:00.5Z", 1795305600.5, ""},
		{"time by number", `{"sdfType":"unix-time"}`, int64(5), int64(5), ""},
		{"no time", `{"sdfType":"unix-time"}`, "soon", nil, "is not"},
		{"choice by name", state, "download started", int64(1), ""},
		{"choice by value", state, int64(0), int64(0), ""},
		{"open choice", state, "77", int64(77), ""},
		{"beyond", state, int64(201), nil, "201 is above 200"},
		{"choice without constants", `{"type":"string","sdfChoice":{"red":{},"blue":{}}}`, "blue", "blue", ""},
		{"no choice", `{"type":"string","sdfChoice":{"red":{},"blue":{}}}`, "green", nil, "is none of blue, red"},
		{"enum", `{"enum":["a","b"]}`, "c", nil, "is not one of a, b"},
		{"const", `{"type":"integer","const":4}`, int64(5), nil, "5 is not 4"},
		{"array", `{"type":"array","items":{"type":"integer"},"maxItems":2}`, []any{"1", int64(2)}, []any{int64(1), int64(2)}, ""},
		{"too many items", `{"type":"array","maxItems":1}`, []any{int64(1), int64(2)}, nil, "it has 2 items and may have 1"},
		{"twins", `{"type":"array","uniqueItems":true}`, []any{int64(1), 1.0}, nil, "an item stands twice"},
		{"no array", `{"type":"array"}`, int64(1), nil, "1 is not an array"},
		{"object", `{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}}`, map[string]any{"a": "1", "b": "x"}, map[string]any{"a": int64(1), "b": "x"}, ""},
		{"a member is missing", `{"type":"object","required":["a"]}`, map[string]any{}, nil, `it lacks "a"`},
		{"a member is wrong", `{"type":"object","properties":{"a":{"type":"integer"}}}`, map[string]any{"a": true}, nil, "/a: true is not an integer"},
		{"null", `{"type":"integer"}`, nil, nil, ""},
		{"no null", `{"type":"integer","nullable":false}`, nil, nil, "null is not allowed"},
		{"anything", `{}`, "x", "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := dataOf(t, c.data).Accept(c.value)
			if c.why != "" {
				if err == nil || !strings.Contains(err.Error(), c.why) || codeOf(err) != CodeValue {
					t.Errorf("%v, %v; want %q", got, err, c.why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want)\n%s", diff)
			}
		})
	}
}

func TestChoiceOf(t *testing.T) {
	q := dataOf(t, `{"type":"integer","sdfChoice":{"A":{"const":0},"B":{"const":1},"rest":{"minimum":2}}}`)
	for value, want := range map[any]string{int64(0): "A", 1.0: "B", int64(2): "", "A": ""} {
		if got := q.ChoiceOf(value); got != want {
			t.Errorf("%v: %q, want %q", value, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, text, why string }{
		{"nothing", `{}`, ""},
		{"bounds", `{"sdfData":{"A":{"type":"number","minimum":2,"maximum":1}}}`, "/sdfData/A: minimum is above maximum"},
		{"lengths", `{"sdfProperty":{"A":{"type":"string","minLength":2,"maxLength":1}}}`, "minLength is above maxLength"},
		{"object", `{"sdfObject":{"A":{"minItems":2,"maxItems":1}}}`, "/sdfObject/A: minItems is above maxItems"},
		{"constant of another type", `{"sdfData":{"A":{"type":"integer","const":"x"}}}`, `/sdfData/A/const: "x" is not an integer`},
		{"default out of range", `{"sdfData":{"A":{"type":"integer","maximum":1,"default":2}}}`, "/sdfData/A/default: 2 is above 1"},
		{"pattern", `{"sdfData":{"A":{"pattern":"("}}}`, "/sdfData/A/pattern"},
		{"a huge pattern", `{"sdfData":{"A":{"pattern":"` + strings.Repeat("a{1000}", 11) + `"}}}`, "repeats more than"},
		{"a large pattern", `{"sdfData":{"A":{"pattern":"^[0-9a-f]{1000}$"}}}`, ""},
		{"look-around", `{"sdfData":{"A":{"pattern":"^(?=a)"}}}`, "looks around"},
		{"multipleOf", `{"sdfData":{"A":{"multipleOf":0}}}`, "multipleOf is not positive"},
		{"enum twice", `{"sdfData":{"A":{"enum":["a","a"]}}}`, `"a" stands twice`},
		{"enum and choice", `{"sdfData":{"A":{"enum":["a"],"sdfChoice":{"a":{}}}}}`, "enum stands beside sdfChoice"},
		{"required by name", `{"sdfObject":{"A":{"sdfRequired":["p","q"],"sdfProperty":{"p":{}}}}}`, `"q" is no name of an affordance here`},
		{"data is no affordance", `{"sdfObject":{"A":{"sdfRequired":["p"],"sdfData":{"p":{}}}}}`, `"p" is no name of an affordance here`},
		{"required by pointer", `{"sdfObject":{"A":{"sdfRequired":["#/sdfObject/A/sdfAction/p",true]}}}`, "names nothing"},
		{"default namespace", `{"defaultNamespace":"x"}`, "is not declared"},
		{"namespace", `{"namespace":{"x":"no URI"}}`, "is not an absolute URI"},
		{"deep", `{"sdfThing":{"T":{"sdfObject":{"O":{"sdfAction":{"a":{"sdfInputData":{"type":"object","properties":{"m":{"type":"integer","default":true}}}}}}}}}}`,
			"/sdfThing/T/sdfObject/O/sdfAction/a/sdfInputData/properties/m/default: true is not an integer"},
		{"exclusive bounds", `{"sdfData":{"A":{"type":"number","exclusiveMinimum":2,"exclusiveMaximum":2}}}`, "exclusiveMinimum and exclusiveMaximum leave nothing between them"},
		{"half exclusive bounds", `{"sdfData":{"A":{"type":"number","minimum":2,"exclusiveMaximum":1}}}`, "minimum is above exclusiveMaximum"},
		{"just a point", `{"sdfData":{"A":{"type":"number","minimum":2,"maximum":2}}}`, ""},
		{"a name with a colon", `{"sdfObject":{"a:b":{}}}`, "/sdfObject/a:b: a name may neither be empty nor have : or # in it"},
		{"a name with a hash", `{"sdfObject":{"A":{"sdfProperty":{"p#":{}}}}}`, "/sdfObject/A/sdfProperty/p#: a name may"},
		{"an empty name", `{"sdfData":{"":{}}}`, "a name may neither be empty"},
		{"members are the data's", `{"sdfData":{"A":{"type":"object","properties":{"a:b#":{}}}}}`, ""},
		{"true is no reference", `{"sdfData":{"A":{"sdfRef":true}}}`, "/sdfData/A/sdfRef: true is no text"},
		{"a group", `{"sdfData":{"A":{}},"sdfObject":{"O":{"sdfProperty":{"p":{"sdfRef":"#/sdfData"}}}}}`, "#/sdfData is a group of definitions"},
		{"another kind", `{"sdfAction":{"a":{}},"sdfProperty":{"p":{"sdfRef":"#/sdfAction/a"}}}`, "/sdfProperty/p/sdfRef: #/sdfAction/a is of another kind (sdfAction)"},
		{"another kind elsewhere", `{"namespace":{"x":"https://example.com/x"},"sdfObject":{"O":{"sdfRef":"x:#/sdfThing/T"}}}`, "x:#/sdfThing/T is of another kind (sdfThing)"},
		{"a property of data", `{"sdfData":{"A":{}},"sdfProperty":{"p":{"sdfRef":"#/sdfData/A"}},"sdfAction":{"a":{"sdfInputData":{"sdfRef":"#/sdfProperty/p"}}}}`, ""},
		{"a member of data", `{"sdfData":{"A":{"type":"object","properties":{"m":{"type":"integer"}}},"B":{"sdfRef":"#/sdfData/A/properties/m"}}}`, ""},
		{"an extension", `{"x:data":{"A":{"type":"integer"}},"sdfData":{"B":{"sdfRef":"#/x:data/A"}}}`, ""},
		{"escapes", `{"sdfData":{"a/b~c":{"type":"integer"}},"sdfProperty":{"p":{"sdfRef":"#/sdfData/a~1b~0c"}}}`, ""},
		{"an escape that is none", `{"sdfData":{"a":{}},"sdfProperty":{"p":{"sdfRef":"#/sdfData/a~2"}}}`, "~ stands for itself as ~0"},
		{"its own parent", `{"sdfThing":{"T":{"sdfThing":{"U":{"sdfRef":"#/sdfThing/T"}}}}}`, "is made of itself"},
		{"bytes of a number", `{"sdfData":{"A":{"type":"number","sdfType":"byte-string"}}}`, "/sdfData/A/sdfType: byte-string is no number"},
		{"time of a text", `{"sdfData":{"A":{"type":"string","sdfType":"unix-time"}}}`, "unix-time is no string"},
		{"a time", `{"sdfData":{"A":{"type":"integer","sdfType":"unix-time"}}}`, ""},
		{"names for a number", `{"sdfData":{"A":{"type":"integer","enum":["a"]}}}`, "its values are texts, and the type is integer"},
		{"a member required twice", `{"sdfData":{"A":{"type":"object","required":["a","a"]}}}`, `/sdfData/A/required: "a" stands twice`},
		{"media type", `{"sdfData":{"A":{"type":"string","contentFormat":"application/link-format; charset=utf-8"}}}`, ""},
		{"number of a format", `{"sdfData":{"A":{"type":"string","contentFormat":"60"}}}`, ""},
		{"no media type", `{"sdfData":{"A":{"type":"string","contentFormat":"senml"}}}`, "is neither a media type"},
		{"choice of another type", `{"sdfData":{"A":{"type":"integer","sdfChoice":{"on":{"const":"1"}}}}}`, `/sdfData/A/sdfChoice/on/const: "1" is not an integer`},
		{"choice out of range", `{"sdfData":{"A":{"type":"integer","maximum":1,"sdfChoice":{"on":{"const":2}}}}}`, "/sdfData/A/sdfChoice/on/const: 2 is above 1"},
		{"two choices of one value", `{"sdfData":{"A":{"type":"integer","sdfChoice":{"off":{"const":0},"on":{"const":0.0}}}}}`, `0 is that of "off", too`},
		{"elsewhere is left", `{"namespace":{"x":"https://example.com/x"},"sdfData":{"A":{"sdfRef":"x:#/sdfData/B"}}}`, ""},
		{"dangling", `{"sdfData":{"A":{"sdfRef":"#/sdfData/B"}}}`, "names nothing that is known here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := parse(t, c.text).Check()
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
}

func TestModernize(t *testing.T) {
	d := parse(t, `{"sdfProduct":{"P":{"sdfRequired":["#/sdfProduct/P/sdfObject/O"],"sdfObject":{"O":{
		"sdfProperty":{"units":{"type":"number","units":"m"},"b":{"type":"string","subtype":"byteString"},"c":{"sdfRef":"#/sdfProduct/P/sdfObject/O/sdfProperty/b"},"d":{"sdfEnum":{"A":{}}}},
		"sdfAction":{"a":{"sdfRequiredInputData":["#/x/properties/m"],"sdfInputData":{"type":"object","properties":{"m":{}}}}}}}}}}`)
	modern, warnings := d.Modernize()
	want := `{"sdfThing":{"P":{"sdfObject":{"O":{"sdfAction":{"a":{"sdfInputData":{"properties":{"m":{}},"required":["m"],"type":"object"}}},` +
		`"sdfProperty":{"b":{"sdfType":"byte-string","type":"string"},"c":{"sdfRef":"#/sdfThing/P/sdfObject/O/sdfProperty/b"},"d":{"sdfChoice":{"A":{}}},"units":{"type":"number","unit":"m"}}}},` +
		`"sdfRequired":["#/sdfThing/P/sdfObject/O"]}}}`
	if got, _ := modern.JSON(); string(got) != want {
		t.Error(cmp.Diff(string(got), want))
	}
	if len(warnings) != 5 {
		t.Errorf("%v", warnings)
	}
	if err := modern.Validate(Exact); err != nil {
		t.Error(err)
	}
	if again, none := modern.Modernize(); again != modern || none != nil {
		t.Error("a document without old names changed")
	}
}

func TestStrictLetsDeclaredExtensionsPass(t *testing.T) {
	for text, want := range map[string]string{
		`{"namespace":{"oma":"https://onedm.org/ecosystem/oma"},"sdfObject":{"A":{"oma:id":3}}}`: "",
		`{"sdfObject":{"A":{"oma:id":3}}}`:                      CodeSchema,
		`{"sdfProperty":{"A":{"sdfProtocolMap":{"lwm2m":{}}}}}`: "",
		`{"sdfProperty":{"A":{"tpye":"number"}}}`:               CodeSchema,
	} {
		if err := parse(t, text).Validate(Strict); codeOf(err) != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
