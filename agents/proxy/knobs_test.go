package proxy

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
)

func TestKnobsAsDevicesTellThem(t *testing.T) {
	now := map[string]string{"TX_PWR": "HIGH", "SAMPLE_INTERVAL": "10", "BAD": "2", "NAN": "1"}
	got := (&Config{Choices: map[string][]string{"BAD": {"1", "2"}}}).merge(now, []shell.Option{
		{Knob: "TX_PWR", Values: "LOW,MEDIUM, HIGH", Lease: time.Hour}, {Knob: "SAMPLE_INTERVAL", Values: "1..3600", Unit: "s"},
		{Knob: "BAD", Values: "3..1"}, {Knob: "NAN", Values: "NaN..1"}, {Knob: "*", Values: "A,B"}, {Knob: "ABSENT", Values: "A,B"},
	})
	want := []knob{
		{Name: "BAD", Kind: mechanisms.KindChoice, Choices: []string{"1", "2"}},
		{Name: "NAN", Kind: mechanisms.KindChoice, Choices: []string{"1"}},
		{Name: "SAMPLE_INTERVAL", Kind: mechanisms.KindNumber, Min: 1, Max: 3600, Unit: "s"},
		{Name: "TX_PWR", Kind: mechanisms.KindChoice, Choices: []string{"LOW", "MEDIUM", "HIGH"}, Lease: time.Hour},
	}
	if d := cmp.Diff(got, want, cmpopts.IgnoreUnexported(knob{})); d != "" {
		t.Error(d)
	}
}

// What can't be a knob is none, so that the device isn't asked for its options over and over.
func TestValuesOfAStranger(t *testing.T) {
	d := &device{}
	got := d.taken([]shell.Value{{Knob: "A", Value: "1"}, {Knob: "*/x", Value: "2"}, {Knob: "B C", Value: "3"}})
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

// What a device says can't make knobs that are out of bounds, or that look like something else.
func FuzzKnobs(f *testing.F) {
	f.Add("TX_PWR", "LOW,MEDIUM,HIGH", "HIGH")
	f.Add("X", "1..2", "1")
	f.Add("*", "..|,", "")
	f.Fuzz(func(t *testing.T, name, text, value string) {
		d, c := &device{}, Config{}
		now := d.taken([]shell.Value{{Knob: name, Value: value}})
		for _, k := range c.merge(now, []shell.Option{{Knob: name, Values: text}}) {
			if _, err := json.Marshal(k); err != nil {
				t.Fatal(err)
			}
			told := k.Kind == mechanisms.KindNumber || strings.Join(k.Choices, "") != value
			if !nameable(k.Name) || told && !shell.Printable(strings.Join(k.Choices, "")) || k.Kind == mechanisms.KindNumber && !(k.Min <= k.Max) || k.Kind == mechanisms.KindChoice && len(k.Choices) == 0 {
				t.Fatalf("%+v", k)
			}
		}
	})
}
