package rewrite

import (
	"debug/dwarf"
	"testing"
)

// The engine takes the marks for what they look like.
func TestMarksCoverAllCode(t *testing.T) {
	sections := map[string][]byte{}
	for _, c := range marks() {
		sections[c.Name] = c.Bytes
	}
	d, err := dwarf.New(sections[".debug_abbrev"], nil, nil, sections[".debug_info"], sections[LineSection], nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	unit, err := d.Reader().Next()
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := d.Ranges(unit)
	if err != nil || len(ranges) != 1 || ranges[0] != [2]uint64{1, 0x7f000001} {
		t.Errorf("got %x, %v", ranges, err)
	}
	r, err := d.LineReader(unit)
	if err != nil {
		t.Fatal(err)
	}
	var rows []dwarf.LineEntry
	for {
		var e dwarf.LineEntry
		if err := r.Next(&e); err != nil {
			break
		}
		rows = append(rows, e)
	}
	if len(rows) != 2 || rows[0].Address != 1 || rows[0].Line != 1 || !rows[1].EndSequence || rows[1].Address < 0x7f000000 {
		t.Errorf("got %+v", rows)
	}
}
