package shell

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTables(t *testing.T) {
	got := values("Knob ID | Value\n-----\nTX_PWR | HIGH\nSAMPLE_INTERVAL | 10\nRED\x1b[2J | 1\nC | \x1b[31mred\nD | \n| 1\n\u202e | 3\n")
	if d := cmp.Diff(got, []Value{{"TX_PWR", "HIGH"}, {"SAMPLE_INTERVAL", "10"}}); d != "" {
		t.Error(d)
	}
	for name, test := range map[string]struct {
		text string
		want []Option
	}{
		"of D3.3": {"Knob ID | Values | Default | Unit\n-----\nTX_PWR | LOW,HIGH | HIGH | \nX | 1..2 | 1 | s\nTITLE | \x1b]0;owned\a,B | B |\n",
			[]Option{{Knob: "TX_PWR", Values: "LOW,HIGH", Default: "HIGH"}, {Knob: "X", Values: "1..2", Default: "1", Unit: "s"}}},
		"with leases": {"Knob ID | Values | Default | Unit | Lease\n-----\nX | 1..2 | 1 | s | 1h\nY | A | A | | soon\nZ | A | A | | -1s\n",
			[]Option{{Knob: "X", Values: "1..2", Default: "1", Unit: "s", Lease: time.Hour}, {Knob: "Y", Values: "A", Default: "A"}, {Knob: "Z", Values: "A", Default: "A"}}},
		"short": {"X | 1..2\n", []Option{{Knob: "X", Values: "1..2"}}},
	} {
		if d := cmp.Diff(options(test.text), test.want); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if d := cmp.Diff(held("Knob ID | Value | Lease | Holder\n-----\nX | 1 | 29s | node-1\nY | 2 |  | policy:a\nZ | 3 | 1m0s |\n"), []Held{
		{Knob: "X", Value: "1", Left: 29 * time.Second, Holder: "node-1"}, {Knob: "Y", Value: "2", Holder: "policy:a"}, {Knob: "Z", Value: "3", Left: time.Minute},
	}); d != "" {
		t.Error(d)
	}
}

// What stands at the answer's place may be the answer to something else.
func TestWhichAnswerFits(t *testing.T) {
	texts := map[string]string{
		"list": "Knob ID | Value\n-----\nX | 1\n", "options": "Knob ID | Values | Default | Unit\n-----\nX | 1..2 | 1 | s\n",
		"options with leases": "Knob ID | Values | Default | Unit | Lease\n-----\n", "leases": "Knob ID | Value | Lease | Holder\n-----\nX | 1 | 29s | a\n",
		"get": "X | 1\n", "error": "error: there is no such knob: X | Y\n", "nothing": "",
	}
	for command, test := range map[string]struct {
		fits func(string) bool
		want []string
	}{
		"list": {isList, []string{"list", "get"}}, "options": {isOptions, []string{"options", "options with leases"}}, "leases": {isLeases, []string{"leases"}},
		"get": {isOf("x"), []string{"get"}}, "set": {done, []string{"list", "options", "options with leases", "leases", "get", "nothing"}},
	} {
		want := map[string]bool{}
		for _, name := range test.want {
			want[name] = true
		}
		for name, text := range texts {
			if got := test.fits(text); got != want[name] {
				t.Errorf("%s as the answer to %s: %v", name, command, got)
			}
		}
	}
}

func TestElements(t *testing.T) {
	for name, test := range map[string]struct {
		v             any
		command, text string
	}{
		"bytes":        {[]byte("A | 1"), "", "A | 1"},
		"base64url":    {"QSB8IDE", "", "A | 1"},
		"text":         {"A | 1", "", "A | 1"},
		"array":        {[]any{[]byte("get A"), []byte("A | 1")}, "get A", "A | 1"},
		"array of one": {[]any{[]byte("A | 1")}, "", "A | 1"},
		"map":          {map[string]any{"1": []byte("A | 1")}, "", "A | 1"},
		"nothing":      {nil, "", ""},
		"empty array":  {[]any{}, "", ""},
		"number":       {1.5, "", ""},
	} {
		if command, text := element(test.v, commandAt), element(test.v, answerAt); command != test.command || text != test.text {
			t.Errorf("%s: got %q, %q", name, command, text)
		}
	}
}

func TestWord(t *testing.T) {
	for name, want := range map[string]string{"node-1": "node-1", "my node|1\n": "my-node-1-", "\xff": "-"} {
		if got := Word(name); got != want {
			t.Errorf("%q became %q", name, got)
		}
	}
	if got := Word("0123456789012345678901234567890123456789012345678901234567890123é"); len(got) != maxWord {
		t.Errorf("%d bytes", len(got))
	}
}

// Whatever a device says, what is made of it is bounded and can be shown.
func FuzzTables(f *testing.F) {
	f.Add("Knob ID | Values | Default | Unit | Lease\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH | | 24h0m0s\nX | 1..2 | 1 | s\n")
	f.Add("Knob ID | Value | Lease | Holder\nX | 1 | 29s | a")
	f.Add("| | |\n|||||..|,")
	f.Fuzz(func(t *testing.T, s string) {
		var words []string
		for _, v := range values(s) {
			words = append(words, v.Knob, v.Value)
		}
		for _, o := range options(s) {
			if words = append(words, o.Knob, o.Default, o.Unit); o.Lease < 0 || !Printable(o.Values) {
				t.Errorf("%+v", o)
			}
		}
		for _, h := range held(s) {
			if words = append(words, h.Knob, h.Value, h.Holder); h.Left < 0 {
				t.Errorf("%+v", h)
			}
		}
		for _, w := range words {
			if len(w) > maxWord || !Printable(w) {
				t.Errorf("%q", w)
			}
		}
		if len(words) > 8*maxRows {
			t.Errorf("%d words", len(words))
		}
	})
}
