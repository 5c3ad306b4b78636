package policy

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	tests := []struct {
		name  string
		parts []any
		want  string
	}{
		{"nothing", nil, ""},
		{"one text", []any{"calm"}, "calm"},
		{"number", []any{"load ", 2.5, " is above ", 2.0}, "load 2.5 is above 2"},
		{"ratio", []any{0.93214}, "0.9321"},
		{"thousands", []any{12345.678}, "12345.7"},
		{"billions", []any{3.5e9}, "3500000000"},
		{"tiny", []any{0.0000123}, "1.23e-05"},
		{"zero", []any{0.0}, "0"},
		{"negative", []any{-0.5}, "-0.5"},
		{"huge", []any{1e300}, "1e+300"},
		{"infinite", []any{math.Inf(-1)}, "-Inf"},
		{"not a number", []any{math.NaN()}, "NaN"},
		{"whole numbers", []any{1, " ", int64(-2), " ", uint64(3), " ", uint32(4)}, "1 -2 3 4"},
		{"truth", []any{true}, "true"},
		{"duration", []any{90 * time.Second}, "1m30s"},
		{"frequency", []any{Quantity{3.5e9, "Hz"}}, "3.5 GHz"},
		{"small frequency", []any{Quantity{50, "Hz"}}, "50 Hz"},
		{"seconds have no prefix", []any{Quantity{2000, "s"}}, "2000 s"},
		{"plain quantity", []any{Quantity{0.5, "ratio"}}, "0.5"},
		{"error", []any{errors.New("no data")}, "no data"},
		{"unknown", []any{struct{}{}}, "?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.parts...); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"*", "a/b", false},
		{"*/max_frequency", "policy0/max_frequency", true},
		{"*/max_frequency", "policy0/min_frequency", false},
		{"*/*", "a/b", true},
		{"policy?/governor", "policy4/governor", true},
		{"policy?/governor", "policy12/governor", false},
		{"a?b", "a/b", false},
		{"*a*b", "xxaxxb", true},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q on %q: %t", tt.pattern, tt.name, got)
		}
	}
}
