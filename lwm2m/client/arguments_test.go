package client

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseArguments(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Argument
		bad        bool
	}{
		{name: "none", text: ""},
		{name: "digit", text: "5", want: []Argument{{ID: 5}}},
		{name: "text", text: "2='10.3'", want: []Argument{{ID: 2, Value: "10.3", HasValue: true}}},
		{name: "several", text: "7,0='https://www.oma.org'", want: []Argument{{ID: 7}, {ID: 0, Value: "https://www.oma.org", HasValue: true}}},
		{name: "empty text", text: "0='',1", want: []Argument{{ID: 0, HasValue: true}, {ID: 1}}},
		{name: "comma in text", text: "0='a,b'", want: []Argument{{ID: 0, Value: "a,b", HasValue: true}}},
		{name: "no digit", text: "a", bad: true},
		{name: "two digits", text: "11", bad: true},
		{name: "twice", text: "1,1", bad: true},
		{name: "open quote", text: "1='x", bad: true},
		{name: "no quote", text: "1=x", bad: true},
		{name: "trailing comma", text: "1,", bad: true},
		{name: "control character", text: "1='\x00'", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseArguments(tt.text)
			if tt.bad != errors.Is(err, ErrBadRequest) || (err != nil) != tt.bad {
				t.Fatalf("error %v, want one: %v", err, tt.bad)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("got -, want +:\n%s", diff)
			}
		})
	}
}

func FuzzParseArguments(f *testing.F) {
	for _, s := range []string{"", "5", "2='10.3'", "7,0='https://www.oma.org'", "1,", "0=''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		args, err := ParseArguments(s)
		if err == nil && len(args) > 10 {
			t.Errorf("%d arguments of %q", len(args), s)
		}
	})
}
