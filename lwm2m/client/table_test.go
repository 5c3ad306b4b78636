package client

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
)

var routeDefinition = Definition{ID: 35001, Multiple: true, Resources: []Resource{
	{ID: 27200, Name: "Origin URI", Kind: lwm2m.KindString, Operations: ReadWrite, Mandatory: true},
	{ID: 27201, Name: "Destination URI", Kind: lwm2m.KindString, Operations: ReadWrite},
	{ID: 27202, Name: "Tags", Kind: lwm2m.KindString, Operations: ReadWrite, Multiple: true},
	{ID: 27203, Name: "Drops", Kind: lwm2m.KindInteger, Operations: Readable},
}}

// values makes a tree of strings from pairs of path and text.
func values(pairs ...string) lwm2m.Tree {
	var t lwm2m.Tree
	for i := 0; i < len(pairs); i += 2 {
		t = append(t, lwm2m.Record{Path: lwm2m.MustParsePath(pairs[i]), Value: lwm2m.String(pairs[i+1])})
	}
	return t
}

func TestTable(t *testing.T) {
	first := values("/35001/1/27200", "a", "/35001/1/27201", "b", "/35001/1/27202/0", "x", "/35001/1/27202/1", "y")
	tests := []struct {
		name   string
		change func(*Table) error
		want   string
		err    error
	}{
		{
			name:   "create",
			change: func(tb *Table) error { return tb.Create(lwm2m.PathOf(35001, 2), values("/35001/2/27200", "c")) },
			want:   `/35001/1 = none, /35001/1/27200 = "a", /35001/1/27201 = "b", /35001/1/27202/0 = "x", /35001/1/27202/1 = "y", /35001/2 = none, /35001/2/27200 = "c"`,
		},
		{
			name:   "create without what is mandatory",
			change: func(tb *Table) error { return tb.Create(lwm2m.PathOf(35001, 2), nil) }, err: ErrBadRequest,
		},
		{
			name:   "delete",
			change: func(tb *Table) error { return tb.Delete(lwm2m.PathOf(35001, 1)) },
		},
		{
			name: "update a resource instance",
			change: func(tb *Table) error {
				return tb.Write(lwm2m.PathOf(35001, 1, 27202, 1), values("/35001/1/27202/1", "z"), Update)
			},
			want: `/35001/1 = none, /35001/1/27200 = "a", /35001/1/27201 = "b", /35001/1/27202/0 = "x", /35001/1/27202/1 = "z"`,
		},
		{
			name: "replace a multiple resource",
			change: func(tb *Table) error {
				return tb.Write(lwm2m.PathOf(35001, 1, 27202), values("/35001/1/27202/7", "z"), Replace)
			},
			want: `/35001/1 = none, /35001/1/27200 = "a", /35001/1/27201 = "b", /35001/1/27202/7 = "z"`,
		},
		{
			name: "replace the instance",
			change: func(tb *Table) error {
				return tb.Write(lwm2m.PathOf(35001, 1), values("/35001/1/27200", "n"), Replace)
			},
			want: `/35001/1 = none, /35001/1/27200 = "n"`,
		},
		{
			name: "replace the instance without what is mandatory",
			change: func(tb *Table) error {
				return tb.Write(lwm2m.PathOf(35001, 1), values("/35001/1/27201", "n"), Replace)
			},
			err: ErrBadRequest,
		},
		{
			name: "too many instances",
			change: func(tb *Table) error {
				for i := range uint16(100) {
					p := lwm2m.PathOf(35001, 10+i)
					if err := tb.Create(p, values(p.Child(27200).String(), "c")); err != nil {
						tb.mu.Lock()
						tb.tree = tb.tree.Below(lwm2m.PathOf(35001, 1))
						tb.mu.Unlock()
						return err
					}
				}
				return nil
			},
			err: ErrTooLarge,
		},
		{
			name: "too many bytes",
			change: func(tb *Table) error {
				return tb.Write(lwm2m.PathOf(35001, 1), values("/35001/1/27200", string(make([]byte, 1<<16))), Update)
			},
			err: ErrTooLarge,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := NewTable(routeDefinition, Rules{})
			if err := table.Create(lwm2m.PathOf(35001, 1), first); err != nil {
				t.Fatal(err)
			}
			before := table.Contents().String()
			changed := 0
			table.Announce(func(lwm2m.Path) { changed++ })
			err := tt.change(table)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			want, changes := tt.want, 1
			if err != nil {
				want, changes = before, changed
			}
			if diff := cmp.Diff(table.Contents().String(), want); diff != "" || changed != changes {
				t.Errorf("%d changes announced; got -, want +:\n%s", changed, diff)
			}
		})
	}
}

func TestTableKeeps(t *testing.T) {
	var kept lwm2m.Tree
	broken := errors.New("disk full")
	var fail error
	table := NewTable(routeDefinition, Rules{Keep: func(t lwm2m.Tree) error {
		if fail == nil {
			kept = t
		}
		return fail
	}})
	if err := table.Create(lwm2m.PathOf(35001, 0), values("/35001/0/27200", "a")); err != nil {
		t.Fatal(err)
	}
	fail = broken
	if err := table.Write(lwm2m.PathOf(35001, 0), values("/35001/0/27200", "b"), Update); !errors.Is(err, broken) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if got := table.Value(lwm2m.PathOf(35001, 0, 27200)); got != lwm2m.String("a") {
		t.Errorf("what could not be kept counts: %v", got)
	}
	again := NewTable(routeDefinition, Rules{})
	if err := again.Fill(kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again.Contents().String(), table.Contents().String()); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}

func TestFolder(t *testing.T) {
	f := Folder(t.TempDir())
	if _, err := f.Load("attributes"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load of nothing: %v", err)
	}
	for _, text := range []string{"one", "two"} {
		if err := f.Save("attributes", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Load("attributes"); err != nil || string(got) != text {
			t.Errorf("load: %q, %v", got, err)
		}
	}
	for _, name := range []string{"../x", "a/b", "", ".."} {
		if err := f.Save(name, nil); err == nil {
			t.Errorf("saved %q", name)
		}
	}
}
