package sdf

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func codeOf(err error) string {
	if own, ok := errors.AsType[*Error](err); ok {
		return own.Code
	}
	return ""
}

func TestDecodeJSON(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       any
		code       string
	}{
		{"scalars", `[null,true,"a\u00e9\ud83d\ude00",-1,9223372036854775807,18446744073709551615,1.0,1e3]`,
			[]any{nil, true, "aé😀", int64(-1), int64(math.MaxInt64), uint64(math.MaxUint64), 1.0, 1000.0}, ""},
		{"empty", `{}`, map[string]any{}, ""},
		{"a name twice", `{"a":1,"b":{"c":1,"c":2}}`, nil, CodeSyntax},
		{"a name twice by escapes", `{"a":1,"\u0061":2}`, nil, CodeSyntax},
		{"half a pair", `"\ud83d"`, nil, CodeSyntax},
		{"the other half", `"\ude00"`, nil, CodeSyntax},
		{"an escaped backslash before u", `"\\ud83d"`, `\ud83d`, ""},
		{"not UTF-8", "\"\xff\"", nil, CodeSyntax},
		{"two values", `1 2`, nil, CodeSyntax},
		{"nothing", ``, nil, CodeSyntax},
		{"cut", `{"a":[1,`, nil, CodeSyntax},
		{"closed wrongly", `{"a":[1}`, nil, CodeSyntax},
		{"a comma too many", `[1,]`, nil, CodeSyntax},
		{"NaN", `NaN`, nil, CodeSyntax},
		{"too large for a float", `1e999`, nil, CodeSyntax},
		{"deep enough", strings.Repeat("[", 32) + strings.Repeat("]", 32), nil, ""},
		{"too deep", strings.Repeat("[", 33) + strings.Repeat("]", 33), nil, CodeTooLarge},
		{"very deep", strings.Repeat("[", 1<<19), nil, CodeTooLarge},
		{"too many", "[" + strings.Repeat("0,", 100_000) + "0]", nil, CodeTooLarge},
		{"too long", `"` + strings.Repeat("a", 1<<20) + `"`, nil, CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeJSON([]byte(c.text), Limits{})
			if codeOf(err) != c.code || (err != nil) != (c.code != "") {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if c.want != nil {
				if diff := cmp.Diff(got, c.want); diff != "" {
					t.Errorf("(-got +want)\n%s", diff)
				}
			}
		})
	}
}

func TestEncodeJSON(t *testing.T) {
	for _, c := range []struct {
		name  string
		value any
		want  string
	}{
		{"names in order", map[string]any{"b": []any{nil, true}, "a": int64(1)}, `{"a":1,"b":[null,true]}`},
		{"byte string", []byte{0xfb, 0xff}, `"-_8"`},
		{"floats stay floats", []any{1.0, 0.1, 1e21, -1e-7}, `[1.0,0.1,1e+21,-1e-07]`},
		{"escapes", "\"\\\n\x01é", `"\"\\\n\u0001é"`},
		{"uint64", uint64(math.MaxUint64), `18446744073709551615`},
		{"not finite", math.Inf(1), ""},
		{"another type", 1, ""},
		{"not UTF-8", "\xff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := EncodeJSON(c.value)
			if string(got) != c.want || (err != nil) != (c.want == "") {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestDecodeCBOR(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       any
		code       string
	}{
		{"map", "\xa1\x61a\x82\x01\x20", map[string]any{"a": []any{int64(1), int64(-1)}}, ""},
		{"byte string", "\x43\x01\x02\x03", []byte{1, 2, 3}, ""},
		{"half float", "\xf9\x3c\x00", 1.0, ""},
		{"largest", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff", uint64(math.MaxUint64), ""},
		{"epoch time", "\xc1\x1a\x67\x00\x00\x00", int64(0x67000000), ""},
		{"says it is CBOR", "\xd9\xd9\xf7\x01", int64(1), ""},
		{"indefinite", "\x9f\x01\xff", []any{int64(1)}, ""},
		{"undefined", "\xf7", nil, ""},
		{"a name twice", "\xa2\x61a\x01\x61a\x02", nil, CodeSyntax},
		{"a name that is no text", "\xa1\x01\x02", nil, CodeSyntax},
		{"below int64", "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", nil, CodeSyntax},
		{"big number", "\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00", nil, CodeSyntax},
		{"a tag", "\xd8\x64\x01", nil, CodeSyntax},
		{"simple value", "\xf8\xff", nil, CodeSyntax},
		{"not UTF-8", "\x61\xff", nil, CodeSyntax},
		{"two items", "\x01\x02", nil, CodeSyntax},
		{"cut", "\x82\x01", nil, CodeSyntax},
		{"a lying length", "\x9b\x00\x00\xff\xff\xff\xff\xff\xff", nil, CodeSyntax},
		{"too deep", strings.Repeat("\x81", 40) + "\x01", nil, CodeSyntax},
		{"tags upon tags", strings.Repeat("\xc1", 40) + "\x01", nil, CodeSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeCBOR([]byte(c.data), Limits{})
			if codeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want)\n%s", diff)
			}
		})
	}
}

// FuzzDecodeJSON: what is read can be written, and reads the same again; in CBOR too.
func FuzzDecodeJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,-1.5,"x",null,true]}`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, `18446744073709551616`, `1e400`, `[[[[]]]]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value, err := DecodeJSON(text, Limits{Bytes: 4096, Depth: 8, Values: 200})
		if err != nil {
			return
		}
		again(t, value)
	})
}

func FuzzDecodeCBOR(f *testing.F) {
	for _, data := range []string{"\xa1\x61a\x82\x01\x20", "\x43\x01\x02\x03", "\xc1\xfb\x41\xd4\x00\x00\x00\x00\x00\x00", "\x9f\x01\xff", "\xd9\xd9\xf7\xf6"} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		value, err := DecodeCBOR(data, Limits{Bytes: 4096, Depth: 8, Values: 200})
		if err != nil {
			return
		}
		written, err := EncodeCBOR(value)
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodeCBOR(written, Limits{})
		if err != nil || !equalNaN(read, value) {
			t.Fatalf("%v, %v; want %v", read, err, value)
		}
	})
}

// equalNaN is equal where NaN is NaN.
func equalNaN(a, b any) bool {
	x, err1 := EncodeCBOR(a)
	y, err2 := EncodeCBOR(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func again(t *testing.T, value any) {
	text, err := EncodeJSON(value)
	if err != nil {
		t.Fatal(err)
	}
	read, err := DecodeJSON(text, Limits{})
	if err != nil || !cmp.Equal(read, value) {
		t.Fatalf("%s: %v, %v", text, err, cmp.Diff(read, value))
	}
	data, err := EncodeCBOR(value)
	if err != nil {
		t.Fatal(err)
	}
	if read, err = DecodeCBOR(data, Limits{}); err != nil || !equal(read, value) {
		t.Fatalf("%x: %v, %v", data, err, cmp.Diff(read, value))
	}
}
