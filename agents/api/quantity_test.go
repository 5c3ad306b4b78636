package api

import (
	"math"
	"testing"
)

func TestParseQuantity(t *testing.T) {
	for text, want := range map[string]struct {
		value float64
		unit  string
	}{
		"1.8GHz":      {1_800_000_000, "Hz"},
		"1800 MHz":    {1_800_000_000, "Hz"},
		"1000000 Hz":  {1_000_000, "Hz"},
		"2.4e3 MHz":   {2_400_000_000, "Hz"},
		"15W":         {15, "W"},
		"1500 mW":     {1.5, "W"},
		"15000000 uW": {15, "W"},
		"12 µs":       {12e-6, "s"},
		"0.5":         {0.5, ""},
		"-3":          {-3, ""},
		"50%":         {50, "%"},
		"3 eggs":      {3, "eggs"},
	} {
		t.Run(text, func(t *testing.T) {
			value, unit, err := ParseQuantity(text)
			if err != nil || value != want.value || unit != want.unit {
				t.Errorf("got %v %q, %v; want %v %q", value, unit, err, want.value, want.unit)
			}
		})
	}
	for _, text := range []string{"", "GHz", "1.8.2GHz", "1e", "1 2", "--1", "1e999999Hz", "NaN", "0x10"} {
		if v, u, err := ParseQuantity(text); err == nil && text != "1e" && text != "0x10" {
			t.Errorf("ParseQuantity(%q) = %v %q, want an error", text, v, u)
		}
	}
}

func TestFormatQuantity(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{1_800_000_000, "Hz", "1.8 GHz"},
		{2_399_999_000, "Hz", "2.399999 GHz"},
		{800_000_000, "Hz", "800 MHz"},
		{0, "Hz", "0 Hz"},
		{15, "W", "15 W"},
		{0.0125, "W", "12.5 mW"},
		{1e-12, "W", "0.000000000001 W"},
		{-2e6, "Hz", "-2 MHz"},
		{42, "", "42"},
		{42, "%", "42 %"},
		{42, "1", "42"},
		{math.NaN(), "Hz", "NaN Hz"},
	} {
		if got := FormatQuantity(c.value, c.unit); got != c.want {
			t.Errorf("FormatQuantity(%v, %q) = %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestParseSetting(t *testing.T) {
	for text, want := range map[string]Setting{
		"policy0/max_frequency=1.8GHz": {Knob: "policy0/max_frequency", Value: NumberValue(1.8e9), Unit: "Hz"},
		"policy0/governor=powersave":   {Knob: "policy0/governor", Value: ChoiceValue("powersave")},
		`boost="1"`:                    {Knob: "boost", Value: ChoiceValue("1")},
		"a = 3":                        {Knob: "a", Value: NumberValue(3)},
	} {
		got, err := ParseSetting(text)
		if err != nil || got.Knob != want.Knob || got.Unit != want.Unit || !got.Value.Equal(want.Value) {
			t.Errorf("ParseSetting(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "a=", "=1", "a=1..2"} {
		if got, err := ParseSetting(text); err == nil {
			t.Errorf("ParseSetting(%q) = %+v, want an error", text, got)
		}
	}
}

// FuzzQuantity checks that what is printed reads back as the same value and unit.
func FuzzQuantity(f *testing.F) {
	for _, seed := range []string{"1.8GHz", "12 µs", "2.399999 GHz", "-0", "1e-9W", "50%", "007 Hz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, unit, err := ParseQuantity(text)
		if err != nil {
			return
		}
		printed := FormatQuantity(value, unit)
		again, unitAgain, err := ParseQuantity(printed)
		if err != nil || again != value || unitAgain != unit {
			t.Fatalf("%q: %v %q printed as %q, which reads as %v %q, %v", text, value, unit, printed, again, unitAgain, err)
		}
	})
}
