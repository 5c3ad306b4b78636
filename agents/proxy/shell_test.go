package proxy

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgehold/edgehold/mechanisms"
)

func TestShellAsDeviceWritesIt(t *testing.T) {
	list := values("Knob ID | Value\n-----\nTX_PWR | HIGH\nSAMPLE_INTERVAL | 10\n")
	if d := cmp.Diff(list, map[string]string{"TX_PWR": "HIGH", "SAMPLE_INTERVAL": "10"}); d != "" {
		t.Error(d)
	}
	got := options("Knob ID | Values | Default | Unit\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH | \nSAMPLE_INTERVAL | 1..3600 | 10 | s\nBAD | 3..1 | 1 |\n* | A,B | A |\n" +
		"INF | -Inf..+Inf | 1 |\nNAN | NaN..1 | 1 |\nRED\x1b[31m | A,B | A |\nTITLE | \x1b]0;owned\a,B | B |\n")
	want := []knob{
		{Name: "TX_PWR", Kind: mechanisms.KindChoice, Choices: []string{"LOW", "MEDIUM", "HIGH"}},
		{Name: "SAMPLE_INTERVAL", Kind: mechanisms.KindNumber, Min: 1, Max: 3600, Unit: "s"},
	}
	if d := cmp.Diff(got, want, cmpopts.IgnoreUnexported(knob{})); d != "" {
		t.Error(d)
	}
}

// What can't be a knob is none, so that the device isn't asked for its options over and over.
func TestValuesOfAStranger(t *testing.T) {
	got := values("A | 1\nB\x1b[2J | 1\nC | \x1b[31mred\nD | \n| 1\n*/x | 2\n\u202e | 3\n")
	if d := cmp.Diff(got, map[string]string{"A": "1"}); d != "" {
		t.Error(d)
	}
	for _, v := range []any{"NaN", "+Inf", math.NaN(), math.Inf(-1)} {
		if f, ok := number(v); ok {
			t.Errorf("%v counts as %v", v, f)
		}
	}
	for _, v := range []string{"NaN", "-Inf", "much"} {
		if got, err := (knob{Name: "X", Kind: mechanisms.KindNumber}).position(v); err == nil {
			t.Errorf("%s counts as %v", v, got)
		}
	}
}

func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		v    any
		want string
	}{
		"bytes":                {[]byte("A | 1"), "A | 1"},
		"base64url":            {"QSB8IDE", "A | 1"},
		"text":                 {"A | 1", "A | 1"},
		"array":                {[]any{[]byte("get A"), []byte("A | 1")}, "A | 1"},
		"array of one":         {[]any{[]byte("A | 1")}, "A | 1"},
		"map":                  {map[string]any{"1": []byte("A | 1")}, "A | 1"},
		"bytes that are bytes": {[]byte("\xff|1"), "?|1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := answer(test.v); got != test.want || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	for _, v := range []any{nil, []any{}, map[string]any{}, 1.5, []byte(strings.Repeat("x", maxAnswer+1))} {
		if got, err := answer(v); err == nil {
			t.Errorf("got %q", got)
		}
	}
}

// What a device says can't make knobs that are out of bounds, or that look like something else.
func FuzzShell(f *testing.F) {
	f.Add("Knob ID | Values | Default | Unit\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH | \nX | 1..2 | 1 | s\n")
	f.Add("a | b | c")
	f.Add("| | |\n|||||..|,")
	f.Fuzz(func(t *testing.T, s string) {
		list := options(s)
		if len(list) > maxKnobs || len(values(s)) > maxKnobs {
			t.Fatal("too many")
		}
		c := Config{}
		for _, k := range append(list, c.merge(values(s), list)...) {
			if _, err := json.Marshal(k); err != nil {
				t.Fatal(err)
			}
			if !nameable(k.Name) || !printable(strings.Join(k.Choices, "")+k.Unit) || len(k.Name) > maxWord || k.Kind == mechanisms.KindNumber && !(k.Min <= k.Max) || k.Kind == mechanisms.KindChoice && len(k.Choices) == 0 {
				t.Fatalf("%+v", k)
			}
		}
	})
}
