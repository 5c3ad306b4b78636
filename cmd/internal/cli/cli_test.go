package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
)

var update = flag.Bool("update", false, "write golden files")

type fish struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	Count int    `json:"count"`
	Note  string `json:"note"`
}

var fishes = Table[fish]{
	Name: func(f fish) string { return f.Kind },
	Columns: []Column[fish]{
		{Title: "KIND", Text: func(f fish) string { return f.Kind }},
		{Title: "STATE", Status: true, Text: func(f fish) string { return f.State }},
		{Title: "COUNT", Right: true, Text: func(f fish) string { return fmt.Sprint(f.Count) }},
		{Title: "NOTE", Wide: true, Text: func(f fish) string { return f.Note }},
	},
}

var pond = []fish{{"carp", "active", 7, ""}, {"Äsche", "failed", 12345, "wide\x1b[31m\nand long"}}

// golden compares with testdata/NAME.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestList(t *testing.T) {
	for _, format := range Formats {
		for _, color := range []bool{false, true} {
			name := fmt.Sprintf("list-%s-color-%v.txt", format, color)
			t.Run(name, func(t *testing.T) {
				var out bytes.Buffer
				if err := List(&Printer{&out, format, color}, fishes, pond, map[string]any{"items": pond}); err != nil {
					t.Fatal(err)
				}
				golden(t, name, out.Bytes())
			})
		}
	}
}

func TestObject(t *testing.T) {
	for _, format := range Formats {
		t.Run(string(format), func(t *testing.T) {
			var out bytes.Buffer
			err := (&Printer{Out: &out, Format: format}).Object(pond[0], pond[0].Kind, func(d *Details) {
				d.Field("Kind", pond[0].Kind)
				d.Fieldf("How many", "%d", pond[0].Count)
				d.Field("Nothing", "")
				d.Heading("Friends")
				Rows(d, fishes, pond)
				d.Heading("Words")
				d.Line("swims %s", "well\r")
			})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "object-"+string(format)+".txt", out.Bytes())
		})
	}
}

func TestWatch(t *testing.T) {
	changes := func() iter.Seq2[api.Change[fish], error] {
		return func(yield func(api.Change[fish], error) bool) {
			_ = yield(api.Change[fish]{Type: api.ChangePresent, Name: "carp", Item: &pond[0]}, nil) &&
				yield(api.Change[fish]{Type: api.ChangePresent, Name: "Äsche", Item: &pond[1]}, nil) &&
				yield(api.Change[fish]{Type: api.ChangeListed}, nil) &&
				yield(api.Change[fish]{Type: api.ChangeChanged, Name: "Äsche", Item: &pond[1]}, nil) &&
				yield(api.Change[fish]{Type: api.ChangeGone, Name: "carp"}, nil) &&
				yield(api.Change[fish]{}, errors.New("the stream ended"))
		}
	}
	for _, format := range Formats {
		t.Run(string(format), func(t *testing.T) {
			var out bytes.Buffer
			if err := Watch(&Printer{Out: &out, Format: format}, fishes, changes()); err == nil {
				t.Error("the error was lost")
			}
			golden(t, "watch-"+string(format)+".txt", out.Bytes())
		})
	}
}

func TestPrintError(t *testing.T) {
	for name, err := range map[string]error{
		"plain": errors.New("open x: no such file"),
		"lines": &UsageError{"read tokens", "line 1 is odd\nline 2 is\x1b[2J odder", "mend them"},
		"usage": &UsageError{"apply mechanism", "no setting", "name one"},
		"problem": fmt.Errorf("upload a.wasm: %w", &api.Problem{Status: 422, Detail: "upload policy: body is odd", Why: "body is odd", Hint: "send less", Code: "api.invalid",
			Errors: []api.ProblemField{{Location: "body", Message: "is odd"}, {Location: "query.x", Message: "is\x07 unknown"}}}),
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			PrintError(&out, "edgehold", err, false)
			golden(t, "error-"+name+".txt", out.Bytes())
		})
	}
}

func TestProgressIsSilentWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	p.Step("working")
	p.Done()
	if out.Len() != 0 || AllowsColor(&out, os.Getenv) {
		t.Errorf("wrote %q", out.String())
	}
}
